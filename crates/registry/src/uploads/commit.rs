//! The transaction that makes stored bytes a blob.

use landfall_ids::{AccountId, RepositoryId, UploadId};
use landfall_oci::RepositoryName;

use crate::{
    Error, Registry, Result, StoredBlob,
    store::{blobs, candidates, repositories, trash, uploads},
};

/// Where the bytes of a blob come from.
pub(super) enum Origin {
    /// The session that ends with them, by the token that this request holds.
    Session {
        id: UploadId,
        token: u64,
        repository: RepositoryId,
    },
    /// One request. The repository is made if it is not there, or not any more.
    Request {
        name: RepositoryName,
        account: AccountId,
    },
}

impl Registry {
    /// The transaction that makes stored bytes a blob of the repository.
    /// `false` if another request holds the session: then nothing is changed,
    /// and the bytes are that request's, or an orphan's.
    pub(super) async fn blob_commit(&self, from: Origin, blob: StoredBlob) -> Result<bool> {
        let (now, actor) = (self.now(), self.actor.clone());
        let keep_until = self.promise().given(now);
        self.database
            .write(move |tx| {
                // Bytes of an upload that lay still for long may have been taken
                // for an orphan just now, and are about to be deleted.
                // Who looks for orphans has done so before, or sees this commit.
                tx.lock_shared("orphans")?;
                if trash::trash_exists(tx, &blob.location)? {
                    return Err(Error::UploadUnknown);
                }
                let repository = match &from {
                    Origin::Session { id, token, .. } if !uploads::upload_end(tx, *id, *token)? => {
                        return Ok(false);
                    }
                    Origin::Session { repository, .. } => *repository,
                    Origin::Request { name, account } => {
                        repositories::repository_ensure(tx, name, *account, actor.as_deref(), now)?
                            .id
                    }
                };
                let unneeded = match blobs::blob_insert(tx, &blob, now)? {
                    blobs::Inserted::Taken => None,
                    blobs::Inserted::Known => Some(&blob.location),
                    blobs::Inserted::Healed { ref damaged } => Some(&damaged.clone()),
                };
                if let Some(location) = unneeded {
                    trash::trash_insert(tx, location, blob.size, now)?;
                }
                blobs::link_upsert(tx, repository, &blob.digest, keep_until)?;
                candidates::candidate_insert(tx, &blob.digest, keep_until, now)?;
                Ok::<_, Error>(true)
            })
            .await
    }
}
