//! Making an object of a closed upload.
//!
//! A small upload is put whole, under a name that no other writer has, and only
//! if there is nothing of that name. A large one is completed. Either may have
//! happened already, because an answer was lost or the caller asks twice; then
//! what is there is compared by size and entity tag with what should be there.

use landfall_ids::UploadId;
use landfall_oci::{Algorithm, Digest, Hasher};

use super::{
    Shared,
    keys::{self, Made},
    state::{Multipart, State},
    sums::{self, Summed},
};
use crate::{Error, Location, Staged};

const PROMOTING: &str = "giving an upload its location";
const REHASHING: &str = "hashing an upload again";

impl Shared {
    pub(super) async fn promote(
        &self,
        upload: UploadId,
        staged: &Staged,
    ) -> Result<Location, Error> {
        let state = State::restore(&staged.state).ok_or(Error::Lost { upload })?;
        if let Some(turn) = &staged.turn {
            turn.check()?;
        }
        let made = if let Some(multipart) = &state.multipart {
            self.complete(upload, multipart).await?
        } else {
            let token = state.token;
            let made = Made { upload, token };
            self.put_whole(made, staged).await?;
            made
        };
        self.forget(upload, &state.old).await;
        if state.gap
            && let Err(error) = self.clear(made, state.token).await
        {
            tracing::debug!(upload.id = %upload, %error, "what broken requests left stays until the next sweep");
        }
        keys::location(made)
    }

    /// Makes an object of the parts.
    async fn complete(&self, upload: UploadId, multipart: &Multipart) -> Result<Made, Error> {
        let Multipart { token, id, parts } = multipart;
        let made = Made {
            upload,
            token: *token,
        };
        let key = self.keys.blob(made);
        match self.client.upload_complete(&key, id, parts).await {
            Ok(()) => return Ok(made),
            Err(failure) if failure.is_missing() => {}
            Err(failure) => return Err(self.client.explain(PROMOTING, failure)),
        }
        let Some(found) = self.client.head(PROMOTING, &key).await? else {
            return Err(Error::Lost { upload });
        };
        let is_same = found.size == multipart.size()
            && (!found.is_md5 || sums::completed(parts).is_none_or(|etag| etag == found.etag));
        if is_same {
            Ok(made)
        } else {
            // Another writer has completed it, with other parts.
            Err(Error::Superseded { upload })
        }
    }

    async fn put_whole(&self, made: Made, staged: &Staged) -> Result<(), Error> {
        let key = self.keys.blob(made);
        let (summed, ()) = Summed::with(staged.held.clone(), |_| ()).await?;
        match self.client.put(&key, &summed, true).await {
            Ok(()) => return Ok(()),
            Err(failure) if failure.is_precondition() => {}
            Err(failure) => return Err(self.client.explain(PROMOTING, failure)),
        }
        let upload = made.upload;
        match self.client.head(PROMOTING, &key).await? {
            // Only this writer puts anything there. An encrypted bucket has
            // other tags, so a different one says nothing.
            Some(found) if found.size == staged.held.len() as u64 => Ok(()),
            Some(_) => Err(Error::Superseded { upload }),
            None => Err(Error::Lost { upload }),
        }
    }

    /// Throws away what writers up to `token` have left behind of the upload
    /// that has become `made`. None of them can commit any more, for a later
    /// token was given out. What has a later token is not touched: its writer may
    /// have won meanwhile.
    async fn clear(&self, made: Made, token: u64) -> Result<(), Error> {
        const CLEARING: &str = "clearing an upload";
        let upload = made.upload;
        let is_left = |key: &str| {
            let left = self.keys.maker(key).filter(|left| *left != made);
            left.is_some_and(|left| left.upload == upload && left.token <= token)
        };
        let tails = self.keys.tails_of(upload);
        let blobs = self.keys.blobs_of(upload);
        for prefix in [&tails, &blobs] {
            let found = self.client.list(CLEARING, prefix, None).await?;
            for object in found.contents {
                let is_tail = prefix == &tails;
                if is_left(&object.key) || is_tail && object.key == self.keys.tail(made) {
                    self.client.delete(CLEARING, &object.key).await?;
                }
            }
        }
        let started = self.client.list_uploads(CLEARING, &blobs, None).await?;
        for upload in started.upload {
            if is_left(&upload.key) {
                let aborted = self.client.upload_abort(CLEARING, &upload.key, &upload.id);
                aborted.await?;
            }
        }
        Ok(())
    }

    /// Parts can't be read, so a large upload becomes an object for this. If its
    /// digest turns out to be a wrong one, the object is an orphan.
    pub(super) async fn rehash(
        &self,
        upload: UploadId,
        staged: &Staged,
        algorithm: Algorithm,
    ) -> Result<Digest, Error> {
        let state = State::restore(&staged.state).ok_or(Error::Lost { upload })?;
        if let Some(turn) = &staged.turn {
            turn.check()?;
        }
        let Some(multipart) = &state.multipart else {
            let held = staged.held.clone();
            let hash = move |bytes: &[u8]| Digest::of(algorithm, bytes);
            return Summed::with(held, hash).await.map(|(_, digest)| digest);
        };
        let made = self.complete(upload, multipart).await?;
        let (key, size) = (self.keys.blob(made), multipart.size());
        let mut hasher = Hasher::new(algorithm);
        let mut at = 0;
        while at < size {
            let end = size.min(at + REHASHED);
            let bytes = self.client.get(REHASHING, &key, at..end).await?;
            let bytes = bytes.ok_or(Error::Lost { upload })?;
            if bytes.len() as u64 != end - at {
                return Err(Error::Lost { upload });
            }
            at = end;
            let hash = move |bytes: &[u8]| {
                hasher.update(bytes);
                hasher
            };
            (_, hasher) = Summed::with(bytes, hash).await?;
        }
        Ok(hasher.finish())
    }
}

/// A re-hash reads so many bytes in one go.
const REHASHED: u64 = 8 << 20;
