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

mod commit;
mod failure;
mod receive;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use landfall_blobs::{Location, Resume};
use landfall_ids::{AccountId, UploadId};
use landfall_oci::{Algorithm, ByteRange, Digest, Hasher, RepositoryName};

use self::{commit::Origin, receive::Held};
use crate::{
    Error, Registry, Result, UploadStatus,
    store::{repositories, uploads},
};

/// The bytes of a request: its frames, or why it broke off.
pub type Body<'a> = BoxStream<'a, Result<Bytes, String>>;

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
        let actor = self.actor.clone();
        self.database
            .write(move |tx| {
                let actor = actor.as_deref();
                let repository =
                    repositories::repository_ensure(tx, &name, account, actor, now)?.id;
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
        let (offset, state) = (suspended.offset, suspended.state);
        let committed = self
            .database
            .write(move |tx| {
                let progress = uploads::Progress {
                    received: offset,
                    hasher: &hasher,
                    state: &state,
                };
                uploads::upload_commit(tx, id, token, &progress, now)
            })
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
            .stage(id, Resume::new(Hasher::new(digest.algorithm())))
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
