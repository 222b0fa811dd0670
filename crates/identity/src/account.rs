//! Accounts: the tenants that own repositories.

use landfall_ids::AccountId;
use landfall_oci::RepositoryName;

use crate::{Error, Identity, store};

impl Identity {
    /// The account of that name, if there is one.
    pub async fn account_find(&self, name: &str) -> Result<Option<AccountId>, Error> {
        Ok(store::account_look_up(&self.database, name).await?)
    }

    /// The account that a repository of this name belongs to, made if it is
    /// not there. The caller has been asked whether it may push.
    pub async fn account_ensure(&self, repository: &RepositoryName) -> Result<AccountId, Error> {
        let name = repository.account().to_string();
        let found = store::account_look_up(&self.database, &name).await?;
        if let Some(account) = found {
            return Ok(account);
        }
        let now = self.clock.now();
        let id = AccountId::new_at(now.unix_micros());
        Ok(self
            .database
            .write(move |tx| store::account_insert(tx, id, &name, now))
            .await?)
    }
}
