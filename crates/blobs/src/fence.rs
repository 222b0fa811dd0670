//! One writer for each upload.
//!
//! Two requests may write the same upload: the first hangs in a slow network,
//! the client gives up and continues with a second. The database lets only one
//! of them commit, but the first still holds an open file, and what it writes
//! late would land in the middle of what the second has written and hashed.
//! So every writer carries a *generation*, and only the newest may write.
//!
//! Taking over is one atomic addition and never waits. The lock is held while
//! a batch is written, on the blocking pool, so whoever comes after waits for a
//! batch at the longest.
//!
//! This is for the writers of one process. Where several processes share a store,
//! the store has to see to it that they can't harm each other.
//!
//! A writer that has made everything durable *settles* its generation. Bytes
//! are promoted only while the newest generation is settled: otherwise somebody
//! is writing them, or is about to cut them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use landfall_ids::UploadId;

use crate::Error;

/// The fences of all uploads that something is being done with.
#[derive(Debug, Default)]
pub(crate) struct Fences(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    fences: HashMap<UploadId, Weak<Fence>>,
    /// The size of the map at which the dead entries are thrown out.
    prune_at: usize,
}

#[derive(Debug, Default)]
struct Fence {
    /// The generation of the newest writer.
    newest: AtomicU64,
    /// The newest generation that has settled. Changed while `touching` is held.
    settled: AtomicU64,
    /// Held while somebody touches the staged file.
    touching: Mutex<()>,
}

/// Keeps others from the staged file while it lives.
#[derive(Debug)]
pub(crate) struct Alone<'a> {
    fence: &'a Fence,
    generation: u64,
    _guard: MutexGuard<'a, ()>,
}

/// The right to write an upload, until somebody else takes it.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    upload: UploadId,
    fence: Arc<Fence>,
    generation: u64,
}

// No lock guards data that a panic could leave in half.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fences {
    fn fence(&self, upload: UploadId) -> Arc<Fence> {
        let mut registry = lock(&self.0);
        if registry.fences.len() >= registry.prune_at {
            registry.fences.retain(|_, fence| fence.strong_count() > 0);
            registry.prune_at = registry.fences.len() * 2 + 64;
        }
        let entry = registry.fences.entry(upload).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let fence = Arc::default();
            *entry = Arc::downgrade(&fence);
            fence
        })
    }

    /// Fences every earlier writer of `upload` off.
    pub(crate) fn take_over(&self, upload: UploadId) -> Turn {
        let fence = self.fence(upload);
        let generation = fence.newest.fetch_add(1, Ordering::SeqCst) + 1;
        Turn {
            upload,
            fence,
            generation,
        }
    }

    /// The turn of whoever wrote `upload` last. It can be entered if they have
    /// settled.
    pub(crate) fn settled(&self, upload: UploadId) -> Turn {
        let fence = self.fence(upload);
        let generation = fence.settled.load(Ordering::SeqCst);
        Turn {
            upload,
            fence,
            generation,
        }
    }
}

impl Turn {
    /// Waits for the batch that is being written, then keeps others from the
    /// staged file while the guard lives. [`Error::Superseded`] if somebody
    /// else took the upload over.
    pub(crate) fn enter(&self) -> Result<Alone<'_>, Error> {
        let alone = self.enter_regardless();
        if self.fence.newest.load(Ordering::SeqCst) == self.generation {
            Ok(alone)
        } else {
            Err(Error::Superseded {
                upload: self.upload,
            })
        }
    }

    /// As [`Turn::enter`], but keeps nobody out: for stores whose writers can't
    /// harm each other, and only shall know that they are out of the race.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.enter().map(drop)
    }

    /// As [`Turn::enter`], whoever has the turn: for throwing the bytes away,
    /// which is right at any time.
    pub(crate) fn enter_regardless(&self) -> Alone<'_> {
        Alone {
            fence: &self.fence,
            generation: self.generation,
            _guard: lock(&self.fence.touching),
        }
    }
}

impl Alone<'_> {
    /// The staged bytes are as they shall be.
    pub(crate) fn settle(&self) {
        self.fence
            .settled
            .fetch_max(self.generation, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_writer_shuts_the_earlier_ones_out() {
        let fences = Fences::default();
        let upload = UploadId::new_at(0);
        let first = fences.take_over(upload);
        assert!(first.enter().is_ok());
        let second = fences.take_over(upload);
        assert!(matches!(first.enter(), Err(Error::Superseded { .. })));
        assert!(second.enter().is_ok());
        let other = fences.take_over(UploadId::new_at(0));
        assert!(second.enter().is_ok() && other.enter().is_ok());
    }

    #[test]
    fn bytes_can_be_promoted_once_their_writer_has_settled() {
        let fences = Fences::default();
        let upload = UploadId::new_at(0);
        assert!(fences.settled(upload).enter().is_ok(), "nobody writes it");
        let slow = fences.take_over(upload);
        let writer = fences.take_over(upload);
        assert!(fences.settled(upload).enter().is_err());
        writer.enter().expect("its turn").settle();
        slow.enter_regardless().settle();
        let promotion = fences.settled(upload);
        assert!(promotion.enter().is_ok());
        assert!(promotion.enter().is_ok(), "a second time");
        fences.take_over(upload);
        assert!(promotion.enter().is_err(), "a later writer was overlooked");
    }

    #[test]
    fn finished_uploads_are_forgotten() {
        let fences = Fences::default();
        let kept = UploadId::new_at(0);
        let turn = fences.take_over(kept);
        for _ in 0..10_000 {
            drop(fences.take_over(UploadId::new_at(0)));
        }
        assert!(lock(&fences.0).fences.len() < 200);
        fences.take_over(kept);
        assert!(turn.enter().is_err(), "a living fence was forgotten");
    }
}
