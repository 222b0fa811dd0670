//! Uploads: how bytes come in.
//!
//! # Overview
//!
//! A session is a row (`store::uploads`) and a staged object in the blob
//! store. A request that adds bytes takes the session's next **token**, writes
//! the bytes behind those that are on record, makes them durable, and puts the
//! new length and the state of the hash on record, by that token only. The
//! last request compares the digest, moves the bytes to their location, and
//! commits: blob, link, candidate, and the end of the session.
//!
//! # Two requests at once
//!
//! The later takes the token, and the store fences the earlier writer off; both
//! in this order for both of them (see `turns`). The earlier finds its token
//! gone and answers that its chunk is out of order, with the length that is on
//! record.
//!
//! # Crash consistency
//!
//! After a crash the row says less than, or as much as, the staged object
//! holds; the rest is thrown away when the session goes on. No upload waits
//! for another, not even for one of the same digest: who commits second finds
//! the blob, and its own bytes go to the trash.

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use landfall_blobs::{Finished, Location, Staging};
use landfall_ids::{AccountId, RepositoryId, UploadId};
use landfall_oci::{Algorithm, ByteRange, Digest, Hasher, RepositoryName};

use crate::{
    Error, Registry, Result, StoredBlob, UploadStatus,
    store::{blobs, candidates, repositories, trash, uploads},
};

/// The bytes of a request: its frames, or why it broke off.
pub type Body<'a> = BoxStream<'a, Result<Bytes, String>>;

/// A session that this request may write to, and where it comes from.
struct Held {
    session: uploads::Session,
    staging: Box<dyn Staging>,
}

/// Where the bytes of a blob come from.
enum Origin {
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
    /// Starts a session. Makes the repository if it is not there.
    pub async fn upload_start(
        &self,
        name: &RepositoryName,
        account: AccountId,
        algorithm: Algorithm,
    ) -> Result<UploadStatus> {
        let now = self.now();
        let id = UploadId::new_at(now.unix_micros());
        let (name, hasher) = (name.clone(), Hasher::new(algorithm).save());
        self.database
            .write(move |tx| {
                let repository = repositories::repository_ensure(tx, &name, account, now)?;
                uploads::upload_insert(tx, id, repository, &hasher, now)
            })
            .await?;
        Ok(UploadStatus { id, received: 0 })
    }

    /// How far a session is.
    pub async fn upload_status(&self, name: &RepositoryName, id: UploadId) -> Result<UploadStatus> {
        let name = name.clone();
        let received = self
            .database
            .read(move |tx| uploads::upload_received(tx, &name, id))
            .await?;
        Ok(UploadStatus {
            id,
            received: received.ok_or(Error::UploadUnknown)?,
        })
    }

    /// Adds bytes to a session. With a range, they must follow on what is
    /// there and be as many as the range says.
    pub async fn upload_append(
        &self,
        name: &RepositoryName,
        id: UploadId,
        range: Option<ByteRange>,
        body: Body<'_>,
    ) -> Result<UploadStatus> {
        let Held {
            session,
            mut staging,
        } = self.upload_hold(name, id, range).await?;
        let received = self
            .receive(&mut *staging, session.received, range, body)
            .await;
        match received {
            // What came before the break is kept, and the client may go on.
            Ok(()) | Err(Error::BodyBroken(_)) => {}
            Err(error) => return Err(self.upload_failed(name, id, session.token, error).await),
        }
        let suspended = match staging.suspend().await {
            Ok(suspended) => suspended,
            Err(error) => {
                let error = error.into();
                return Err(self.upload_failed(name, id, session.token, error).await);
            }
        };
        let (now, token, hasher) = (self.now(), session.token, suspended.hasher.save());
        let offset = suspended.offset;
        let committed = self
            .database
            .write(move |tx| uploads::upload_commit(tx, id, token, offset, &hasher, now))
            .await?;
        if !committed {
            return Err(self.upload_overtaken(name, id).await);
        }
        received.map(|()| UploadStatus {
            id,
            received: offset,
        })
    }

    /// Adds the last bytes, compares the digest, and makes the blob.
    pub async fn upload_finish(
        &self,
        name: &RepositoryName,
        id: UploadId,
        digest: &Digest,
        range: Option<ByteRange>,
        body: Body<'_>,
    ) -> Result<()> {
        let Held {
            session,
            mut staging,
        } = self.upload_hold(name, id, range).await?;
        if let Err(error) = self
            .receive(&mut *staging, session.received, range, body)
            .await
        {
            if matches!(error, Error::BodyBroken(_)) {
                // The client may try the closing request once more.
                drop(staging);
                return Err(error);
            }
            return Err(self.upload_failed(name, id, session.token, error).await);
        }
        let token = session.token;
        let finished = match staging.finish().await {
            Ok(finished) => finished,
            Err(error) => return Err(self.upload_failed(name, id, token, error.into()).await),
        };
        // From here to the commit nobody takes the session over, so what is
        // moved to its location is what was hashed.
        let _turn = self.turns.wait(id).await;
        let held = self
            .database
            .read(move |tx| uploads::upload_is_held(tx, id, token))
            .await?;
        if !held {
            return Err(self.upload_overtaken(name, id).await);
        }
        let stored = match self.store_as(id, finished, digest).await {
            Ok(stored) => stored,
            Err(error) => return Err(self.upload_failed(name, id, token, error).await),
        };
        let repository = session.repository;
        let from = Origin::Session {
            id,
            token,
            repository,
        };
        match self.blob_commit(from, stored).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.upload_overtaken(name, id).await),
            Err(error) => Err(self.upload_failed(name, id, token, error).await),
        }
    }

    /// Takes a whole blob in one request.
    pub async fn blob_push(
        &self,
        name: &RepositoryName,
        account: AccountId,
        digest: &Digest,
        body: Body<'_>,
    ) -> Result<()> {
        let id = UploadId::new_at(self.now().unix_micros());
        let mut staging = self
            .blobs
            .stage(id, 0, Hasher::new(digest.algorithm()))
            .await?;
        let stored = match self.receive(&mut *staging, 0, None, body).await {
            Ok(()) => match staging.finish().await {
                Ok(finished) => self.store_as(id, finished, digest).await,
                Err(error) => Err(error.into()),
            },
            Err(error) => {
                drop(staging);
                Err(error)
            }
        };
        match stored {
            Ok(stored) => {
                let from = Origin::Request {
                    name: name.clone(),
                    account,
                };
                let location = stored.location.clone();
                let committed = self.blob_commit(from, stored).await.map(drop);
                if let Err(Error::Database(
                    landfall_database::Error::Full | landfall_database::Error::ReadOnly,
                )) = &committed
                {
                    // Nothing was changed, so no row names the bytes. After any
                    // other failure of a commit that is not sure, and the
                    // orphan sweep decides.
                    self.forget(&location).await;
                }
                committed
            }
            Err(error) => {
                self.discard(id).await;
                Err(error)
            }
        }
    }

    /// Gives a session up.
    pub async fn upload_cancel(&self, name: &RepositoryName, id: UploadId) -> Result<()> {
        let name = name.clone();
        let cancelled = self
            .database
            .write(move |tx| uploads::upload_cancel(tx, &name, id))
            .await?;
        if !cancelled {
            return Err(Error::UploadUnknown);
        }
        self.discard(id).await;
        Ok(())
    }

    /// Links a blob of another repository, which the caller may read. Whether
    /// the blob was there.
    pub async fn blob_mount(
        &self,
        name: &RepositoryName,
        account: AccountId,
        digest: &Digest,
        from: &RepositoryName,
    ) -> Result<bool> {
        let (now, digest) = (self.now(), *digest);
        let (name, from, keep_until) = (name.clone(), from.clone(), self.promise().given(now));
        self.database
            .write(move |tx| {
                if blobs::link_find(tx, &from, &digest)?.is_none() {
                    return Ok(false);
                }
                let repository = repositories::repository_ensure(tx, &name, account, now)?;
                blobs::link_upsert(tx, repository, &digest, keep_until)?;
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

    /// Takes the session's token and opens its staged bytes, both in the
    /// upload's turn.
    async fn upload_hold(
        &self,
        name: &RepositoryName,
        id: UploadId,
        range: Option<ByteRange>,
    ) -> Result<Held> {
        let _turn = self.turns.wait(id).await;
        let (now, wanted) = (self.now(), name.clone());
        let session = self
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
        match self.blobs.stage(id, session.received, hasher).await {
            Ok(staging) => Ok(Held { session, staging }),
            Err(error) => Err(self
                .upload_failed(name, id, session.token, error.into())
                .await),
        }
    }

    /// Moves the body into the staged object.
    async fn receive(
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
    async fn store_as(
        &self,
        id: UploadId,
        finished: Finished,
        expected: &Digest,
    ) -> Result<StoredBlob> {
        let actual = if finished.digest.algorithm() == expected.algorithm() {
            finished.digest
        } else {
            // The session was hashed by another algorithm than its end names.
            self.blobs.digest_staged(id, expected.algorithm()).await?
        };
        if actual != *expected {
            return Err(Error::DigestMismatch {
                expected: *expected,
                actual,
            });
        }
        let location: Location = self.blobs.promote(id, expected).await?;
        Ok(StoredBlob {
            digest: actual,
            size: finished.size,
            location,
        })
    }

    /// The transaction that makes stored bytes a blob of the repository.
    /// `false` if another request holds the session: then nothing is changed,
    /// and the bytes are that request's, or an orphan's.
    async fn blob_commit(&self, from: Origin, blob: StoredBlob) -> Result<bool> {
        let now = self.now();
        let keep_until = self.promise().given(now);
        self.database
            .write(move |tx| {
                // Bytes of an upload that lay still for long may have been taken
                // for an orphan just now, and are about to be deleted.
                if trash::trash_exists(tx, &blob.location)? {
                    return Err(Error::UploadUnknown);
                }
                let repository = match &from {
                    Origin::Session { id, token, .. } if !uploads::upload_end(tx, *id, *token)? => {
                        return Ok(false);
                    }
                    Origin::Session { repository, .. } => *repository,
                    Origin::Request { name, account } => {
                        repositories::repository_ensure(tx, name, *account, now)?
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

    /// What to answer when a request on a session failed. A session that can
    /// come to nothing is ended, and its space given back; but not by a request
    /// that was overtaken.
    async fn upload_failed(
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
    async fn upload_overtaken(&self, name: &RepositoryName, id: UploadId) -> Error {
        match self.upload_status(name, id).await {
            Ok(UploadStatus { received, .. }) => Error::ChunkOutOfOrder { received },
            Err(error) => error,
        }
    }

    /// Gives the space of bytes back that no row names. If that fails, the
    /// orphan sweep finds them later.
    async fn forget(&self, location: &Location) {
        if let Err(error) = self.blobs.delete(location).await {
            tracing::warn!(%location, %error, "bytes without a row were not deleted");
        }
    }

    /// Gives the space of staged bytes back. If that fails, the orphan sweep
    /// finds them later.
    pub(crate) async fn discard(&self, id: UploadId) {
        if let Err(error) = self.blobs.discard(id).await {
            tracing::warn!(upload.id = %id, %error, "staged bytes were not discarded");
        }
    }
}
