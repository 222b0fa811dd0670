//! Principals: the users, robots, hosts and workers of an account.
//!
//! A principal's name stays taken when it is deleted, so a name in the audit
//! log always means the same one. An administrator, who operates the registry,
//! is made at the first start, and is changed by an administrator alone.

use landfall_clock::Timestamp;
use landfall_ids::PrincipalId;

use crate::{
    AuditEvent, Caller, Error, Identity, LocalName, Page, Principal, PrincipalKind, Secret, store,
};

/// A principal, with what is known of it beside who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalEntry {
    /// Who it is.
    pub principal: Principal,
    /// Whether its credentials are taken. Those of a disabled account are not,
    /// whatever this says.
    pub enabled: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// What it is called in messages and in the audit log.
const KIND: &str = "principal";

impl Identity {
    /// Makes a principal. Users may have a password. [`Error::Exists`] if there
    /// is, or was, one of the name.
    pub async fn principal_create(
        &self,
        name: &LocalName,
        kind: PrincipalKind,
        password: Option<Secret>,
        by: &Caller,
    ) -> Result<PrincipalEntry, Error> {
        let hash = match password {
            Some(password) => {
                has_passwords(kind)?;
                Some(self.passwords.hash_new(password, by.source).await?)
            }
            None => None,
        };
        let now = self.clock.now();
        let id = PrincipalId::new_at(now.unix_micros());
        let event = event(by, "principal.create", name)
            .id(id)
            .detail(kind.as_str());
        let name = name.clone();
        self.change(event, move |tx| {
            let account = store::accounts::account_hold(tx, name.account())?
                .ok_or_else(|| Error::not_found("account", name.account()))?;
            let principal = Principal {
                id,
                account,
                account_name: name.account().to_owned(),
                name: name.name().to_owned(),
                kind,
                administrator: false,
            };
            if !store::principals::principal_insert(tx, &principal, hash.as_deref(), now)? {
                return Err(Error::exists(KIND, &name));
            }
            Ok(PrincipalEntry {
                principal,
                enabled: true,
                created: now,
            })
        })
        .await
    }

    /// The principals of an account whose names come after `after`, by name.
    pub async fn principal_list(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<PrincipalEntry>, Error> {
        let account = self.account_show(account).await?.id;
        let after = after.map(str::to_owned);
        let listed = self.database.read(move |tx| {
            let more = limit.saturating_add(1);
            store::principals::principal_list(tx, account, after.as_deref(), more)
        });
        Ok(Page::cut(listed.await?, limit))
    }

    /// The principal of that name.
    pub async fn principal_show(&self, name: &LocalName) -> Result<PrincipalEntry, Error> {
        let wanted = name.clone();
        let found = self
            .database
            .read(move |tx| store::principals::principal_find(tx, &wanted));
        found.await?.ok_or_else(|| Error::not_found(KIND, name))
    }

    /// What the principal of that identity is called, also if it was disabled
    /// or deleted.
    pub async fn principal_name(&self, id: PrincipalId) -> Result<Option<LocalName>, Error> {
        let found = self
            .database
            .read(move |tx| store::principals::principal_called(tx, id));
        let found = found.await?;
        Ok(found.map(|(account, name)| LocalName::stored(&account, name)))
    }

    /// The groups that the principal is in, by name.
    pub async fn principal_groups(&self, name: &LocalName) -> Result<Vec<LocalName>, Error> {
        let id = self.principal_show(name).await?.principal.id;
        let names = self
            .database
            .read(move |tx| store::groups::group_names_of(tx, id))
            .await?;
        let full = |each| LocalName::stored(name.account(), each);
        Ok(names.into_iter().map(full).collect())
    }

    /// Takes the principal's credentials, or takes them no more.
    pub async fn principal_set_enabled(
        &self,
        name: &LocalName,
        enabled: bool,
        by: &Caller,
    ) -> Result<(), Error> {
        let id = self.principal_of(name, by).await?;
        let action = if enabled {
            "principal.enable"
        } else {
            "principal.disable"
        };
        if !enabled {
            self.not_an_administrator(name, "disabled").await?;
        }
        let wanted = name.clone();
        self.change(event(by, action, name).id(id), move |tx| {
            if store::principals::principal_enable(tx, id, enabled)? {
                return Ok(());
            }
            Err(Error::not_found(KIND, &wanted))
        })
        .await
    }

    /// Gives a user a new password, and ends the tokens that it had.
    pub async fn principal_set_password(
        &self,
        name: &LocalName,
        password: Secret,
        by: &Caller,
    ) -> Result<(), Error> {
        let id = self.principal_of(name, by).await?;
        has_passwords(self.principal_show(name).await?.principal.kind)?;
        let hash = self.passwords.hash_new(password, by.source).await?;
        let wanted = name.clone();
        let event = event(by, "principal.set-password", name).id(id);
        self.change(event, move |tx| {
            if !store::principals::principal_set_password(tx, id, &hash)? {
                return Err(Error::not_found(KIND, &wanted));
            }
            Ok(store::tokens::principal_tokens_end(tx, id)?)
        })
        .await
    }

    /// Deletes the principal with its credentials. Its name stays taken.
    pub async fn principal_delete(&self, name: &LocalName, by: &Caller) -> Result<(), Error> {
        let id = self.principal_of(name, by).await?;
        self.not_an_administrator(name, "deleted").await?;
        let now = self.clock.now();
        let wanted = name.clone();
        self.change(event(by, "principal.delete", name).id(id), move |tx| {
            if !store::principals::principal_delete(tx, id, now)? {
                return Err(Error::not_found(KIND, &wanted));
            }
            Ok(store::policies::target_policies_delete(tx, id.as_bytes())?)
        })
        .await
    }

    /// The identity of a principal that `by` wants to change, or to give a
    /// credential.
    pub(crate) async fn principal_of(
        &self,
        name: &LocalName,
        by: &Caller,
    ) -> Result<PrincipalId, Error> {
        let principal = self.principal_show(name).await?.principal;
        let operates = by.principal.as_ref().is_some_and(|by| by.administrator);
        if principal.administrator && !operates {
            return Err(Error::OperatorOnly);
        }
        Ok(principal.id)
    }

    async fn not_an_administrator(&self, name: &LocalName, what: &str) -> Result<(), Error> {
        if self.principal_show(name).await?.principal.administrator {
            return Err(Error::in_use(format!(
                "`{name}` operates the registry, and can't be {what}; somebody has to"
            )));
        }
        Ok(())
    }
}

fn event(by: &Caller, action: &'static str, name: &LocalName) -> AuditEvent {
    AuditEvent::new(by, action, KIND, name.to_string()).account(name.account())
}

/// Only people remember passwords.
fn has_passwords(kind: PrincipalKind) -> Result<(), Error> {
    if kind == PrincipalKind::User {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a {kind} has no password; make an API key for it"
    )))
}
