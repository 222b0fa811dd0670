//! The first start makes the administrator.

use landfall_ids::{AccountId, PrincipalId};

use crate::{Error, Identity, Principal, Secret, password, store};

/// What the administrator and its account are called.
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

    /// The hash of the administrator's password, if there is one.
    async fn administrator_known(&self) -> Result<Option<String>, Error> {
        let known = self
            .database
            .read(|tx| store::administrator_find(tx, ADMINISTRATOR))
            .await?;
        Ok(known.map(|(_, hash)| hash))
    }

    async fn administrator_check(
        &self,
        password: Secret,
        hash: String,
    ) -> Result<FirstStart, Error> {
        if password::verify(password.clone(), hash).await? {
            return Ok(FirstStart::Known);
        }
        let hash = password::hash(password).await?;
        self.database
            .write(move |tx| store::administrator_set_password(tx, ADMINISTRATOR, &hash))
            .await?;
        Ok(FirstStart::PasswordSet)
    }

    /// `false` if another server has made one at the same time.
    async fn administrator_make(&self, password: Secret) -> Result<bool, Error> {
        let hash = password::hash(password).await?;
        let now = self.clock.now();
        self.database
            .write(move |tx| {
                let account = AccountId::new_at(now.unix_micros());
                let account = store::account_insert(tx, account, ADMINISTRATOR, now)?;
                let principal = Principal {
                    id: PrincipalId::new_at(now.unix_micros()),
                    account,
                    name: ADMINISTRATOR.to_owned(),
                    administrator: true,
                };
                store::administrator_insert(tx, &principal, &hash, now)
            })
            .await
            .map_err(Error::from)
    }
}
