//! Accounts: the tenants that own repositories, principals and groups.
//!
//! A deleted account keeps its row: nobody gets its name again, and what is
//! left of it in policies, tokens and the audit log means nobody else. The
//! first push to a new account makes it, if the operator pushes.

use landfall_clock::Timestamp;
use landfall_database::{WriteTransaction, epoch};
use landfall_ids::AccountId;
use landfall_oci::RepositoryName;

use crate::{
    AuditEvent, Caller, Error, Identity, OPERATOR_ACCOUNT, Page, name::account_name, store,
};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its identity.
    pub id: AccountId,
    /// Its name: the first part of its repositories' names.
    pub name: String,
    /// Whether the credentials of its principals are taken.
    pub enabled: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// What it is called in messages and in the audit log.
const KIND: &str = "account";

impl Identity {
    /// The account of that name, if there is one.
    pub async fn account_find(&self, name: &str) -> Result<Option<AccountId>, Error> {
        Ok(store::accounts::account_look_up(&self.database, name).await?)
    }

    /// The account that a repository of this name belongs to, made if it is
    /// not there. The caller has been asked whether it may push.
    /// [`Error::NotFound`] if the account was deleted.
    pub async fn account_ensure(
        &self,
        repository: &RepositoryName,
        by: &Caller,
    ) -> Result<AccountId, Error> {
        let name = repository.account().to_string();
        let found = store::accounts::account_look_up(&self.database, &name).await?;
        if let Some(account) = found {
            return Ok(account);
        }
        let now = self.clock.now();
        let id = AccountId::new_at(now.unix_micros());
        let wanted = name.clone();
        let row = self
            .audit
            .stamp(event(by, "account.create", &name).id(id), now);
        let ensured = self.database.write(move |tx| {
            if store::accounts::account_insert(tx, id, &wanted, now)? {
                store::audit::audit_insert(tx, std::slice::from_ref(&row))?;
                epoch::bump(tx, epoch::ACCESS)?;
            }
            store::accounts::account_find(tx, &wanted)
        });
        let ensured = ensured.await?;
        self.own_write_seen().await;
        let account = ensured.ok_or_else(|| Error::not_found(KIND, name))?;
        Ok(account.id)
    }

    /// Makes an account. [`Error::Exists`] if there is, or was, one of the name.
    pub async fn account_create(&self, name: &str, by: &Caller) -> Result<Account, Error> {
        let name = account_name(name)?;
        let now = self.clock.now();
        let account = Account {
            id: AccountId::new_at(now.unix_micros()),
            name,
            enabled: true,
            created: now,
        };
        let event = event(by, "account.create", &account.name).id(account.id);
        let made = account.clone();
        self.change(event, move |tx| {
            if store::accounts::account_insert(tx, made.id, &made.name, now)? {
                return Ok(());
            }
            Err(Error::exists(KIND, &made.name))
        })
        .await?;
        Ok(account)
    }

    /// The accounts whose names come after `after`, by name.
    pub async fn account_list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Account>, Error> {
        let after = after.map(str::to_owned);
        let listed = self.database.read(move |tx| {
            store::accounts::account_list(tx, after.as_deref(), limit.saturating_add(1))
        });
        Ok(Page::cut(listed.await?, limit))
    }

    /// The account of that name.
    pub async fn account_show(&self, name: &str) -> Result<Account, Error> {
        let wanted = name.to_owned();
        let found = self
            .database
            .read(move |tx| store::accounts::account_find(tx, &wanted));
        found.await?.ok_or_else(|| Error::not_found(KIND, name))
    }

    /// Takes the credentials of the account's principals, or takes them no more.
    /// The operator's account stays enabled.
    pub async fn account_set_enabled(
        &self,
        name: &str,
        enabled: bool,
        by: &Caller,
    ) -> Result<(), Error> {
        if !enabled {
            not_the_operators(name, "disabled")?;
        }
        let action = if enabled {
            "account.enable"
        } else {
            "account.disable"
        };
        let wanted = name.to_owned();
        self.change(event(by, action, name), move |tx| {
            if store::accounts::account_enable(tx, &wanted, enabled)? {
                return Ok(());
            }
            Err(Error::not_found(KIND, &wanted))
        })
        .await
    }

    /// Deletes the account: the credentials of its principals are refused from
    /// now on, and its name stays taken. What it owns in other domains is for
    /// them to know. The operator's account stays.
    pub async fn account_delete(&self, name: &str, by: &Caller) -> Result<(), Error> {
        not_the_operators(name, "deleted")?;
        let now = self.clock.now();
        let wanted = name.to_owned();
        self.change(event(by, "account.delete", name), move |tx| {
            if store::accounts::account_delete(tx, &wanted, now)? {
                return Ok(());
            }
            Err(Error::not_found(KIND, &wanted))
        })
        .await
    }

    /// Changes what access depends on: `work`, its line of the audit log, and
    /// the next epoch, in one transaction. An error of `work` undoes it all.
    pub(crate) async fn change<T, F>(&self, event: AuditEvent, work: F) -> Result<T, Error>
    where
        F: FnMut(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let changed = self.write_down(event, true, work).await?;
        self.own_write_seen().await;
        Ok(changed)
    }

    /// Adds what access did not depend on before: `work` and its line of the
    /// audit log, in one transaction. An error of `work` undoes it all.
    pub(crate) async fn add<T, F>(&self, event: AuditEvent, work: F) -> Result<T, Error>
    where
        F: FnMut(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.write_down(event, false, work).await
    }

    async fn write_down<T, F>(
        &self,
        event: AuditEvent,
        begins_epoch: bool,
        mut work: F,
    ) -> Result<T, Error>
    where
        F: FnMut(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let row = self.audit.stamp(event, self.clock.now());
        let changed = self.database.write(move |tx| {
            let done = work(tx)?;
            store::audit::audit_insert(tx, std::slice::from_ref(&row))?;
            if begins_epoch {
                // Last: from here on, other changes wait for this one.
                epoch::bump(tx, epoch::ACCESS)?;
            }
            Ok::<T, Error>(done)
        });
        changed.await
    }
}

fn event(by: &Caller, action: &'static str, name: &str) -> AuditEvent {
    AuditEvent::new(by, action, KIND, name).account(name)
}

fn not_the_operators(name: &str, what: &str) -> Result<(), Error> {
    if name == OPERATOR_ACCOUNT {
        return Err(Error::in_use(format!(
            "the account `{OPERATOR_ACCOUNT}` operates the registry, and can't be {what}"
        )));
    }
    Ok(())
}

impl<T> Page<T> {
    /// Of entries that were asked for with one more than `limit`.
    pub(crate) fn cut(mut entries: Vec<T>, limit: usize) -> Self {
        let more = entries.len() > limit;
        entries.truncate(limit);
        Self { entries, more }
    }
}
