//! The first start makes the administrator.

use landfall_ids::{AccountId, PrincipalId};

use crate::{
    AuditEvent, Caller, Error, Identity, LocalName, OPERATOR_ACCOUNT, Principal, PrincipalKind,
    Secret, password,
    store::{self, principals::Standing},
};

/// What the administrator is called, in the account of the same name.
const ADMINISTRATOR: &str = "admin";

/// What [`Identity::first_start`] found or did.
#[derive(Debug)]
pub enum FirstStart {
    /// There was an administrator already, and its password is as it was.
    Known,
    /// There was one already, and it has the given password from now on.
    PasswordSet,
    /// It was made with the given password.
    Made,
    /// It was made with this password, which is told this once.
    MadeWithPassword(Secret),
}

impl Identity {
    /// Makes the administrator `admin` of the account `admin` if there is none.
    /// Without a password one is made up. A password given later replaces the
    /// stored one: whoever starts the server may say it.
    pub async fn first_start(&self, given: Option<Secret>) -> Result<FirstStart, Error> {
        let known = self.administrator_known().await?;
        match (known, given) {
            (Some(_), None) => Ok(FirstStart::Known),
            (Some(hash), Some(password)) => self.administrator_check(password, hash).await,
            (None, Some(password)) => {
                if self.administrator_make(password.clone()).await? {
                    return Ok(FirstStart::Made);
                }
                // Another server has come first.
                match self.administrator_known().await? {
                    Some(hash) => self.administrator_check(password, hash).await,
                    None => Ok(FirstStart::Known),
                }
            }
            (None, None) => {
                let password = password::made_up();
                if self.administrator_make(password.clone()).await? {
                    return Ok(FirstStart::MadeWithPassword(password));
                }
                Ok(FirstStart::Known)
            }
        }
    }

    /// Who the administrator is, and the hash of its password, if there is one.
    async fn administrator_known(&self) -> Result<Option<(PrincipalId, String)>, Error> {
        let name = LocalName::stored(OPERATOR_ACCOUNT, ADMINISTRATOR.to_owned());
        let known = store::principals::password_look_up(&self.database, &name).await?;
        Ok(match known {
            Some((Standing::Good(principal), hash)) => Some((principal.id, hash)),
            _ => None,
        })
    }

    async fn administrator_check(
        &self,
        password: Secret,
        known: (PrincipalId, String),
    ) -> Result<FirstStart, Error> {
        let (id, hash) = known;
        if password::verify(password.clone(), hash).await? {
            return Ok(FirstStart::Known);
        }
        let hash = password::hash(password).await?;
        self.change(event("principal.set-password", id), move |tx| {
            store::principals::principal_set_password(tx, id, &hash)?;
            Ok(store::tokens::principal_tokens_end(tx, id)?)
        })
        .await?;
        Ok(FirstStart::PasswordSet)
    }

    /// `false` if another server has made one at the same time.
    async fn administrator_make(&self, password: Secret) -> Result<bool, Error> {
        let hash = password::hash(password).await?;
        let now = self.clock.now();
        let id = PrincipalId::new_at(now.unix_micros());
        let made = self.change(event("principal.create", id), move |tx| {
            let account = AccountId::new_at(now.unix_micros());
            store::accounts::account_insert(tx, account, OPERATOR_ACCOUNT, now)?;
            let account = store::accounts::account_find(tx, OPERATOR_ACCOUNT)?;
            let principal = Principal {
                id,
                account: account
                    .ok_or_else(|| Error::not_found("account", OPERATOR_ACCOUNT))?
                    .id,
                account_name: OPERATOR_ACCOUNT.to_owned(),
                name: ADMINISTRATOR.to_owned(),
                kind: PrincipalKind::User,
                administrator: true,
            };
            if store::principals::principal_insert(tx, &principal, Some(&hash), now)? {
                return Ok(());
            }
            Err(Error::exists("principal", ADMINISTRATOR))
        });
        match made.await {
            Ok(()) => Ok(true),
            Err(Error::Exists { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn event(action: &'static str, id: PrincipalId) -> AuditEvent {
    AuditEvent::new(&Caller::ANONYMOUS, action, "principal", ADMINISTRATOR)
        .account(OPERATOR_ACCOUNT)
        .id(id)
        .detail("at a start of the server")
}
