//! Mounts: a repository gets a blob that another one holds, without a byte
//! being sent.

use landfall_ids::AccountId;
use landfall_oci::{Digest, RepositoryName};

use crate::{
    Registry, Result,
    store::{blobs, candidates, repositories},
};

impl Registry {
    /// Links a blob of another repository, which the caller may read. Whether
    /// the blob was there.
    pub async fn blob_mount(
        &self,
        name: &RepositoryName,
        account: AccountId,
        digest: &Digest,
        from: &RepositoryName,
    ) -> Result<bool> {
        let (now, digest, actor) = (self.now(), *digest, self.actor.clone());
        let (name, from, keep_until) = (name.clone(), from.clone(), self.promise().given(now));
        self.database
            .write(move |tx| {
                if blobs::link_find(tx, &from, &digest)?.is_none() {
                    return Ok(false);
                }
                let actor = actor.as_deref();
                let repository = repositories::repository_ensure(tx, &name, account, actor, now)?;
                blobs::link_upsert(tx, repository.id, &digest, keep_until)?;
                candidates::candidate_insert(tx, &digest, keep_until, now)?;
                Ok(true)
            })
            .await
    }

    /// Repositories of the account that hold the blob, a few.
    pub async fn blob_sources(
        &self,
        account: AccountId,
        digest: &Digest,
    ) -> Result<Vec<RepositoryName>> {
        let digest = *digest;
        Ok(self
            .database
            .read(move |tx| blobs::link_sources(tx, account, &digest))
            .await?)
    }
}
