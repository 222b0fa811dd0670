//! One request at a time takes over an upload.
//!
//! To take an upload over are two acts: to take the session's next token, and
//! to fence earlier writers off in the blob store. Two requests that do both at
//! once must do them in the same order. Otherwise the one with the older token
//! comes to the store last, and cuts the staged bytes to a length that is on
//! record no more: bytes that the other has acknowledged meanwhile.
//!
//! So both acts happen in the upload's **turn**. It ends before the first byte
//! is written, so nobody waits for a slow client. The last steps of the closing
//! request are made in a turn as well: the bytes that get a location are those
//! that were hashed, and not those of a request that came in between.
//!
//! This orders the requests of one process. A store that several processes share
//! gets the token as well, and sees to it that no writer harms what another has
//! put on record.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use landfall_ids::UploadId;
use tokio::sync::OwnedMutexGuard;

/// The turns of all uploads that a request takes over right now.
#[derive(Debug, Default)]
pub(crate) struct Turns(
    // A std mutex: held to look an entry up.
    Mutex<HashMap<UploadId, Weak<tokio::sync::Mutex<()>>>>,
);

/// While it lives, nobody else takes the upload over.
pub(crate) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits for the turn of this upload.
    pub(crate) async fn wait(&self, upload: UploadId) -> Turn {
        // An async mutex: it is held while the database and the store work,
        // and who waits for it holds no thread.
        let turn = self.entry(upload);
        turn.lock_owned().await
    }

    fn entry(&self, upload: UploadId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&upload).and_then(Weak::upgrade) {
            return turn;
        }
        // There are as many as requests are being let in; the dead ones go.
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(upload, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_keeps_out_others_of_the_same_upload_only() {
        let turns = Turns::default();
        let (one, other) = (UploadId::new_at(1), UploadId::new_at(2));
        let turn = turns.wait(one).await;
        drop(turns.wait(other).await);
        assert!(turns.entry(one).try_lock().is_err());
        drop(turn);
        assert!(turns.entry(one).try_lock().is_ok());
    }

    #[tokio::test]
    async fn turns_that_are_over_are_forgotten() {
        let turns = Turns::default();
        for number in 0..1000 {
            drop(turns.wait(UploadId::new_at(number)).await);
        }
        let left = turns.0.lock().map_or(0, |turns| turns.len());
        assert!(left <= 1, "{left} turns are left");
    }
}
