//! A writer of one upload.
//!
//! Bytes are collected until they make a part. A part is hashed and sent by a
//! task of its own while the next is collected, and there are never more than
//! these two: that bounds the memory of an upload, and a slow server slows the
//! client. All uploads together have the store's [`room`](super::room): who is
//! about to take more than a little waits for the room of a part.
//!
//! # Parts
//!
//! S3 takes 10,000 parts, and none but the last under 5 MiB. So each thousand
//! parts are twice as long as the thousand before: 8 MiB, 16 MiB, ... The ten
//! thousand hold some 8 TiB, more than an object may have, and a layer of up to
//! 8 GiB costs 16 MiB of memory. What is too short for a part when a request
//! ends is put aside as an object of its own, the *tail*, and read back by the
//! next request.

use std::{io, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use landfall_oci::Hasher;
use tokio::task::JoinSet;

use super::{
    Shared,
    keys::Made,
    objects::Slot,
    room::{self, Taken},
    state::{Multipart, Old, State},
    sums::Summed,
};
use crate::{Error, Finished, Staged, Staging, Suspended, fence::Turn};

const WRITING: &str = "writing an upload";

/// The shortest part that is not the last.
const SHORTEST: usize = 5 << 20;
/// How long the first parts are.
const FIRST: usize = 8 << 20;
/// After so many parts they are twice as long.
const DOUBLES_EACH: usize = 1000;

/// What a writer may take without room.
pub(super) const LITTLE: usize = 256 << 10;

/// How long the part is at the most that follows on `count` parts.
pub(super) fn part(count: usize) -> usize {
    FIRST * growth(count)
}

/// How much longer than at first the part is that follows on `count` parts.
fn growth(count: usize) -> usize {
    1 << (count / DOUBLES_EACH).min(9)
}

pub(super) struct S3Staging {
    shared: Arc<Shared>,
    made: Made,
    turn: Turn,
    /// `None` while a part is sent, and after a failure.
    progress: Option<Progress>,
    /// At most one.
    sending: JoinSet<Result<Progress, Error>>,
    /// Parts that are in the server or on their way.
    parts: usize,
    /// What was taken and is no part yet.
    buffer: Vec<u8>,
    /// That of the buffer, if it has more than a little.
    room: Option<Taken>,
    /// What was taken and did not fit into the buffer.
    waiting: Bytes,
    /// How many bytes of the buffer the hash has seen: the tail's.
    hashed: usize,
    offset: u64,
    /// What nobody needs any more once this writer is on record.
    old: Vec<Old>,
    gap: bool,
}

/// What grows with each part.
struct Progress {
    hasher: Hasher,
    multipart: Option<Multipart>,
}

impl S3Staging {
    /// A writer that goes on behind `state` and its `tail`, which has `room` if it
    /// is more than a little. The hash has seen both.
    pub(super) fn new(
        shared: Arc<Shared>,
        made: Made,
        turn: Turn,
        hasher: Hasher,
        state: State,
        tail: Bytes,
        room: Option<Taken>,
    ) -> Self {
        let offset = state.size();
        let mut old = state.old;
        if state.tail > 0 {
            old.push(Old::Tail(state.token));
        }
        let multipart = state.multipart;
        Self {
            shared,
            made,
            turn,
            parts: multipart.as_ref().map_or(0, |upload| upload.parts.len()),
            progress: Some(Progress { hasher, multipart }),
            sending: JoinSet::new(),
            hashed: tail.len(),
            buffer: tail.into(),
            room,
            waiting: Bytes::new(),
            offset,
            old,
            gap: state.gap,
        }
    }

    /// What there is after the part that is being sent. From then on the caller
    /// has it, until it puts it back.
    async fn progress(&mut self) -> Result<Progress, Error> {
        // Cancelled here, the part stays where it is.
        if let Some(sent) = self.sending.join_next().await {
            return sent.unwrap_or_else(|error| Err(Error::io(WRITING, io::Error::other(error))));
        }
        self.progress.take().ok_or_else(|| {
            let what = "an earlier write of this upload failed";
            Error::io(WRITING, io::Error::other(what))
        })
    }

    /// Takes what was collected, and how much of it was hashed.
    fn collected(&mut self) -> (Bytes, usize) {
        let bytes = std::mem::take(&mut self.buffer);
        let bytes = room::held(bytes, self.room.take());
        (bytes, std::mem::take(&mut self.hashed))
    }

    /// Brings what waits into the buffer, and sends the buffer whenever it is a
    /// part. Cancelled, it has brought some of it, and can go on.
    async fn fill(&mut self) -> Result<(), Error> {
        while !self.waiting.is_empty() {
            let longest = part(self.parts);
            if self.buffer.len() + self.waiting.len() > LITTLE {
                if self.room.is_none() {
                    self.room = Some(self.shared.room.take(longest).await?);
                }
                let missing = longest.saturating_sub(self.buffer.len());
                self.buffer.reserve_exact(missing);
            }
            let missing = longest.saturating_sub(self.buffer.len());
            let next = self.waiting.split_to(missing.min(self.waiting.len()));
            self.buffer.extend_from_slice(&next);
            if self.buffer.len() >= longest {
                self.turn.check()?;
                let progress = self.progress().await?;
                // Nothing awaits from here on, so the part can't be taken and lost.
                self.parts += 1;
                let part = self.collected();
                let shared = Arc::clone(&self.shared);
                self.sending
                    .spawn(send_part(shared, self.made, progress, part));
            }
        }
        Ok(())
    }
}

/// Hashes bytes and makes them the next part.
async fn send_part(
    shared: Arc<Shared>,
    made: Made,
    progress: Progress,
    (bytes, seen): (Bytes, usize),
) -> Result<Progress, Error> {
    let upload = made.upload;
    let (summed, hasher) = sum(bytes, seen, progress.hasher).await?;
    let mut multipart = match progress.multipart {
        Some(multipart) => multipart,
        None => Multipart {
            token: made.token,
            id: shared
                .client
                .upload_start(WRITING, &shared.keys.blob(made))
                .await?,
            parts: Vec::new(),
        },
    };
    let key = shared.keys.blob(Made {
        upload,
        token: multipart.token,
    });
    let slot = Slot {
        key: &key,
        id: &multipart.id,
        number: multipart.parts.len() + 1,
    };
    match shared.client.upload_part(WRITING, slot, &summed).await {
        Ok(part) => multipart.parts.push(part),
        // Another writer has moved the upload, or has thrown it away.
        Err(failure) if failure.is_missing() => return Err(Error::Superseded { upload }),
        Err(failure) => return Err(shared.client.explain(WRITING, failure)),
    }
    Ok(Progress {
        hasher,
        multipart: Some(multipart),
    })
}

/// Adds the bytes from `seen` on to the hash.
async fn sum(bytes: Bytes, seen: usize, mut hasher: Hasher) -> Result<(Summed, Hasher), Error> {
    Summed::with(bytes, move |bytes| {
        hasher.update(bytes.get(seen..).unwrap_or_default());
        hasher
    })
    .await
}

#[async_trait]
impl Staging for S3Staging {
    async fn append(&mut self, bytes: Bytes) -> Result<(), Error> {
        // Of a call that was cancelled.
        self.fill().await?;
        self.offset += bytes.len() as u64;
        self.waiting = bytes;
        self.fill().await
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    async fn suspend(mut self: Box<Self>) -> Result<Suspended, Error> {
        self.fill().await?;
        let mut progress = self.progress().await?;
        self.turn.check()?;
        let is_part = self.buffer.len() >= SHORTEST * growth(self.parts);
        let (bytes, seen) = self.collected();
        let mut tail = 0;
        if is_part {
            let shared = Arc::clone(&self.shared);
            progress = send_part(shared, self.made, progress, (bytes, seen)).await?;
        } else if !bytes.is_empty() {
            let (summed, hasher) = sum(bytes, seen, progress.hasher).await?;
            progress.hasher = hasher;
            tail = summed.bytes.len() as u64;
            let Shared { client, keys, .. } = &*self.shared;
            let put = client.put(&keys.tail(self.made), &summed, false).await;
            put.map_err(|failure| client.explain(WRITING, failure))?;
        }
        let state = State {
            token: self.made.token,
            multipart: progress.multipart,
            tail,
            old: std::mem::take(&mut self.old),
            gap: self.gap,
        };
        self.turn.enter()?.settle();
        Ok(Suspended {
            offset: self.offset,
            hasher: progress.hasher,
            state: state.save(),
        })
    }

    async fn finish(mut self: Box<Self>) -> Result<Finished, Error> {
        self.fill().await?;
        let mut progress = self.progress().await?;
        self.turn.check()?;
        let (mut bytes, seen) = self.collected();
        if progress.multipart.is_some() && !bytes.is_empty() {
            let part = (std::mem::take(&mut bytes), seen);
            let shared = Arc::clone(&self.shared);
            progress = send_part(shared, self.made, progress, part).await?;
        } else {
            let (summed, hasher) = sum(bytes, seen, progress.hasher).await?;
            progress.hasher = hasher;
            bytes = summed.bytes;
        }
        let state = State {
            token: self.made.token,
            multipart: progress.multipart,
            tail: 0,
            old: std::mem::take(&mut self.old),
            gap: self.gap,
        };
        self.turn.enter()?.settle();
        Ok(Finished {
            digest: progress.hasher.finish(),
            size: self.offset,
            staged: Staged {
                state: state.save(),
                held: bytes,
                turn: Some(self.turn),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_hold_the_largest_object() {
        let total = |shortest: u64| -> u64 {
            (0..10_000)
                .map(|count| shortest * growth(count) as u64)
                .sum()
        };
        assert!(total(FIRST as u64) > 5 << 40, "by parts as they fill up");
        assert!(total(SHORTEST as u64) > 4 << 40, "by the shortest");
        // 5 GiB is the longest part.
        assert!(FIRST as u64 * growth(9_999) as u64 <= 5 << 30);
    }
}
