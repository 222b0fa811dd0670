//! Taking a session over, and moving a body into its staged object.

use futures_util::StreamExt;
use landfall_blobs::{Finished, Location, Resume, Staging};
use landfall_ids::UploadId;
use landfall_oci::{ByteRange, Digest, Hasher, RepositoryName};

use super::Body;
use crate::{Error, Registry, Result, StoredBlob, store::uploads};

/// A session that this request may write to, and where it comes from.
pub(super) struct Held {
    pub(super) session: uploads::Session,
    pub(super) staging: Box<dyn Staging>,
}

impl Registry {
    /// Takes the session's token and opens its staged bytes, both in the
    /// upload's turn.
    pub(super) async fn upload_hold(
        &self,
        name: &RepositoryName,
        id: UploadId,
        range: Option<ByteRange>,
    ) -> Result<Held> {
        let _turn = self.turns.wait(id).await;
        let (now, wanted) = (self.now(), name.clone());
        let mut session = self
            .database
            .write(move |tx| {
                let session = uploads::upload_take(tx, &wanted, id, now)?;
                let session = session.ok_or(Error::UploadUnknown)?;
                let received = session.received;
                match range {
                    Some(range) if range.first() != received => {
                        Err(Error::ChunkOutOfOrder { received })
                    }
                    _ => Ok(session),
                }
            })
            .await?;
        // Written by `Hasher::save`; a state of another version starts anew.
        let Ok(hasher) = Hasher::restore(&session.hasher) else {
            let error = Error::UploadUnknown;
            return Err(self.upload_failed(name, id, session.token, error).await);
        };
        let resume = Resume {
            offset: session.received,
            hasher,
            token: session.token,
            state: std::mem::take(&mut session.state),
        };
        match self.blobs.stage(id, resume).await {
            Ok(staging) => Ok(Held { session, staging }),
            Err(error) => Err(self
                .upload_failed(name, id, session.token, error.into())
                .await),
        }
    }

    /// Moves the body into the staged object.
    pub(super) async fn receive(
        &self,
        staging: &mut dyn Staging,
        start: u64,
        range: Option<ByteRange>,
        mut body: Body<'_>,
    ) -> Result<()> {
        while let Some(frame) = body.next().await {
            let frame = frame.map_err(Error::BodyBroken)?;
            let size = staging.offset() + frame.len() as u64;
            if let Some(limit) = self.settings.max_blob_size.filter(|limit| size > *limit) {
                return Err(Error::BlobTooLarge { limit });
            }
            if let Some(range) = range.filter(|range| size > range.first() + range.len()) {
                return Err(Error::SizeMismatch {
                    expected: range.len(),
                    actual: size - start,
                });
            }
            staging.append(frame).await?;
        }
        let actual = staging.offset() - start;
        match range {
            Some(range) if range.len() != actual => Err(Error::SizeMismatch {
                expected: range.len(),
                actual,
            }),
            _ => Ok(()),
        }
    }

    /// Gives the staged bytes their location, if they are those of the digest.
    pub(super) async fn store_as(
        &self,
        id: UploadId,
        finished: Finished,
        expected: &Digest,
    ) -> Result<StoredBlob> {
        let actual = if finished.digest.algorithm() == expected.algorithm() {
            finished.digest
        } else {
            // The session was hashed by another algorithm than its end names.
            let digest = self
                .blobs
                .digest_staged(id, &finished.staged, expected.algorithm());
            digest.await?
        };
        if actual != *expected {
            return Err(Error::DigestMismatch {
                expected: *expected,
                actual,
            });
        }
        let location: Location = self.blobs.promote(id, expected, &finished.staged).await?;
        Ok(StoredBlob {
            digest: actual,
            size: finished.size,
            location,
        })
    }
}
