//! The memory that the uploads of one server share.
//!
//! A writer asks for the room of a whole part before it takes more than a
//! little, and has nothing while it waits but the part that is on its way to the
//! server, whose room comes back whatever the writer does. So nobody waits for
//! somebody who waits.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;

/// Room is counted by so many bytes.
const UNIT: usize = 1024;

/// How many bytes may be in memory.
#[derive(Debug)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    units: u32,
}

/// Room that somebody has.
#[derive(Debug)]
pub(super) struct Taken {
    _permit: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self {
            free: Arc::new(Semaphore::new(units as usize)),
            units,
        }
    }

    /// Waits for room for `bytes`. Who asks for more than there is gets all of it.
    pub(super) async fn take(&self, bytes: usize) -> Result<Taken, Error> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let free = Arc::clone(&self.free);
        let permit = free.acquire_many_owned(units.min(self.units)).await;
        permit
            .map(|permit| Taken { _permit: permit })
            .map_err(|error| Error::io("taking an upload", std::io::Error::other(error)))
    }
}

/// Bytes that have their room until the last of them is gone.
struct Held {
    bytes: Vec<u8>,
    _room: Option<Taken>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that give their room back when nobody has them any more.
pub(super) fn held(bytes: Vec<u8>, room: Option<Taken>) -> Bytes {
    Bytes::from_owner(Held { bytes, _room: room })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn room_comes_back_with_the_last_of_the_bytes() {
        let room = Room::new(10 * UNIT);
        let take = |bytes| room.take(bytes).now_or_never();
        let first = take(6 * UNIT).expect("free").expect("open");
        let bytes = held(vec![1; 100], Some(first));
        let slice = bytes.slice(1..2);
        assert!(take(6 * UNIT).is_none());
        drop(bytes);
        assert!(take(6 * UNIT).is_none());
        drop(slice);
        // More than there is.
        let all = take(60 * UNIT).expect("free").expect("open");
        assert!(take(1).is_none());
        drop(all);
        assert!(take(1).is_some());
    }
}
