//! What becomes of a session when a request on it fails.

use landfall_ids::UploadId;
use landfall_oci::RepositoryName;

use crate::{Error, Registry, UploadStatus, store::uploads};

impl Registry {
    /// What to answer when a request on a session failed. A session that can
    /// come to nothing is ended, and its space given back; but not by a request
    /// that was overtaken.
    pub(super) async fn upload_failed(
        &self,
        name: &RepositoryName,
        id: UploadId,
        token: u64,
        error: Error,
    ) -> Error {
        let answer = match error {
            Error::Blobs(landfall_blobs::Error::Superseded { .. }) => {
                return self.upload_overtaken(name, id).await;
            }
            Error::Blobs(landfall_blobs::Error::Lost { .. }) => Error::UploadUnknown,
            Error::UploadUnknown | Error::DigestMismatch { .. } | Error::BlobTooLarge { .. } => {
                error
            }
            error => return error,
        };
        let ended = self
            .database
            .write(move |tx| uploads::upload_end(tx, id, token))
            .await;
        match ended {
            Ok(true) => self.discard(id).await,
            Ok(false) => return self.upload_overtaken(name, id).await,
            Err(error) => {
                // The reason for the failure is the answer, not this.
                tracing::warn!(upload.id = %id, %error, "a failed session stays until it expires");
            }
        }
        answer
    }

    /// Another request holds the session; the answer tells where it stands.
    pub(super) async fn upload_overtaken(&self, name: &RepositoryName, id: UploadId) -> Error {
        match self.upload_status(name, id).await {
            Ok(UploadStatus { received, .. }) => Error::ChunkOutOfOrder { received },
            Err(error) => error,
        }
    }
}
