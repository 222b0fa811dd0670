//! Taking an upload up again, and moving it out of the reach of others.
//!
//! # Who may add parts
//!
//! Two writers that add parts to one multipart upload would overwrite each
//! other's, for a part is named by its number. So a multipart upload belongs to
//! a chain of writers: each has the token after the one that is on record, which
//! means that nobody else has taken the upload up since. A writer that finds a
//! gap can't know what the writers in the gap still do. It **closes** their
//! multipart upload, by completing it with just the parts that are on record,
//! and goes on in a new one, into which the server copies those bytes. After
//! that the server itself refuses whatever the others still send.
//!
//! # Taking back
//!
//! An upload on record may have been completed: by a writer that had the whole
//! of it, whose row was never committed, or by one that has closed it and then
//! crashed. The bytes on record are the first of that object in both cases, and
//! are copied from there. An object that was made by a writer with a later token
//! than the one on record starts with the bytes on record too, for that writer
//! went on from them.

use std::sync::Arc;

use bytes::Bytes;
use landfall_ids::UploadId;

use super::{
    Shared,
    client::Failure,
    keys::Made,
    objects::Slot,
    staging::{LITTLE, S3Staging, part},
    state::{Multipart, Old, State},
};
use crate::{Error, Resume};

const OPENING: &str = "opening an upload";

/// The server copies so many bytes in one go.
const COPIED: u64 = 512 << 20;

/// An object that starts with the bytes of an upload.
struct Whole {
    made: Made,
    size: u64,
}

impl Shared {
    pub(super) async fn resume(
        self: &Arc<Self>,
        upload: UploadId,
        resume: Resume,
    ) -> Result<S3Staging, Error> {
        let Resume {
            offset,
            hasher,
            token,
            state,
        } = resume;
        let lost = || Error::Lost { upload };
        let turn = self.fences.take_over(upload);
        let mut state = match state.as_slice() {
            [] => State::default(),
            saved => State::restore(saved).ok_or_else(lost)?,
        };
        if state.size() != offset || hasher.hashed() != offset {
            return Err(lost());
        }
        let old = std::mem::take(&mut state.old);
        if !old.is_empty() {
            let shared = Arc::clone(self);
            tokio::spawn(async move { shared.forget(upload, &old).await });
        }
        let made = Made { upload, token };
        let parts = state.multipart.as_ref().map_or(0, |had| had.parts.len());
        let room = if state.tail > LITTLE as u64 {
            Some(self.room.take(part(parts)).await?)
        } else {
            None
        };
        let tail = self.tail(upload, &state).await?;
        let follows = state.token + 1 == token;
        state.gap |= !follows;
        if !follows && let Some(multipart) = state.multipart.take() {
            let whole = self.close(upload, state.token, &multipart).await?;
            state.multipart = Some(self.copy(made, &whole, multipart.size()).await?);
            state.old.push(Old::Blob(whole.made.token));
        }
        turn.check()?;
        let shared = Arc::clone(self);
        Ok(S3Staging::new(
            shared, made, turn, hasher, state, tail, room,
        ))
    }

    /// The bytes behind the parts.
    async fn tail(&self, upload: UploadId, state: &State) -> Result<Bytes, Error> {
        if state.tail == 0 {
            return Ok(Bytes::new());
        }
        let token = state.token;
        let key = self.keys.tail(Made { upload, token });
        let mut found = self.client.get(OPENING, &key, 0..state.tail).await?;
        if found.is_none() {
            let (end, start) = (state.size(), state.size() - state.tail);
            let started = state.multipart.as_ref().map(|multipart| multipart.token);
            if let Some(whole) = self.find(upload, started, token, end).await? {
                let key = self.keys.blob(whole.made);
                found = self.client.get(OPENING, &key, start..end).await?;
            }
        }
        found
            .filter(|tail| tail.len() as u64 == state.tail)
            .ok_or(Error::Lost { upload })
    }

    /// Sees to it that nobody adds to `multipart` any more, and returns the
    /// object that starts with its bytes.
    async fn close(
        &self,
        upload: UploadId,
        token: u64,
        multipart: &Multipart,
    ) -> Result<Whole, Error> {
        let made = Made {
            upload,
            token: multipart.token,
        };
        let (key, size) = (self.keys.blob(made), multipart.size());
        let closed = self
            .client
            .upload_complete(&key, &multipart.id, &multipart.parts);
        match closed.await {
            Ok(()) => Ok(Whole { made, size }),
            Err(failure) if failure.is_missing() => self
                .find(upload, Some(multipart.token), token, size)
                .await?
                .ok_or(Error::Lost { upload }),
            Err(failure) => Err(self.client.explain(OPENING, failure)),
        }
    }

    /// An object with at least the first `size` bytes of an upload: what became
    /// of the multipart upload that the writer `started` has started, or what
    /// a writer after `token` has made.
    async fn find(
        &self,
        upload: UploadId,
        started: Option<u64>,
        token: u64,
        size: u64,
    ) -> Result<Option<Whole>, Error> {
        let page = self
            .client
            .list(OPENING, &self.keys.blobs_of(upload), None)
            .await?;
        let wholes = page.contents.iter().filter_map(|object| {
            let made = self.keys.maker(&object.key)?;
            let is_ours = made.upload == upload;
            let starts_so = Some(made.token) == started || made.token > token;
            (is_ours && starts_so && object.size >= size).then_some(Whole {
                made,
                size: object.size,
            })
        });
        Ok(wholes.max_by_key(|whole| whole.made.token))
    }

    /// A new multipart upload with the first `size` bytes of an object.
    async fn copy(&self, made: Made, whole: &Whole, size: u64) -> Result<Multipart, Error> {
        debug_assert!(whole.size >= size, "the object was chosen by its size");
        let (from, to) = (self.keys.blob(whole.made), self.keys.blob(made));
        let id = self.client.upload_start(OPENING, &to).await?;
        let mut multipart = Multipart {
            token: made.token,
            id,
            parts: Vec::new(),
        };
        let copied = self.copy_into(&mut multipart, &to, &from, size).await;
        match copied {
            Ok(()) => Ok(multipart),
            Err(failure) => {
                let aborted = self.client.upload_abort(OPENING, &to, &multipart.id).await;
                if let Err(error) = aborted {
                    tracing::debug!(upload.id = %made.upload, %error, "a broken copy stays until the next sweep");
                }
                // Somebody else is as far as we wanted to be.
                if failure.is_missing() {
                    let upload = made.upload;
                    return Err(Error::Superseded { upload });
                }
                Err(self.client.explain(OPENING, failure))
            }
        }
    }

    /// Adds the first `size` bytes of the object `from` to an upload of `to`.
    pub(super) async fn copy_into(
        &self,
        multipart: &mut Multipart,
        to: &str,
        from: &str,
        size: u64,
    ) -> Result<(), Failure> {
        // Of equal length, so that the last is not too short for a part.
        let step = size.div_ceil(size.div_ceil(COPIED).max(1)).max(1);
        let mut start = 0;
        while start < size {
            let end = size.min(start + step);
            let slot = Slot {
                key: to,
                id: &multipart.id,
                number: multipart.parts.len() + 1,
            };
            let part = self.client.upload_copy(OPENING, slot, from, start, end);
            let part = part.await?;
            multipart.parts.push(part);
            start = end;
        }
        Ok(())
    }

    /// Deletes what an upload doesn't need any more. If that fails, a sweep
    /// finds it later.
    pub(super) async fn forget(&self, upload: UploadId, old: &[Old]) {
        for old in old {
            let key = match *old {
                Old::Tail(token) => self.keys.tail(Made { upload, token }),
                Old::Blob(token) => self.keys.blob(Made { upload, token }),
            };
            if let Err(error) = self.client.delete("deleting a tail", &key).await {
                tracing::debug!(upload.id = %upload, %error, "a tail stays until the next sweep");
            }
        }
    }
}
