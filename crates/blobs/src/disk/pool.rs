//! Read buffers that are used again.
//!
//! A buffer of 256 KiB is the size at which a read costs the least and still
//! fits the processor's second cache. It travels as [`Bytes`] through the
//! server to the socket, and comes back to the pool when the last reference to
//! it drops. A recycled buffer keeps its old bytes, so nothing is zeroed twice.
//!
//! The pool bounds what lies idle. What is in use is bounded by the readers:
//! each stream makes one buffer at a time.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The length of a pooled buffer.
pub(super) const BUFFER: usize = 256 << 10;

/// A read of at most this many bytes gets memory of its own, so that a small
/// object doesn't hold a large buffer.
const SMALL: usize = 64 << 10;

/// The most idle buffers: 16 MiB.
const IDLE: usize = 64;

/// Idle buffers, each of [`BUFFER`] bytes.
#[derive(Debug, Default)]
pub(super) struct Pool {
    // Held for a push or a pop.
    idle: Mutex<Vec<Box<[u8]>>>,
}

/// A buffer that goes back to its pool when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    memory: Box<[u8]>,
    /// How many bytes of `memory` count.
    length: usize,
    pool: Arc<Pool>,
}

impl Pool {
    /// A buffer for a read of `length` bytes, or of [`BUFFER`] if that is less.
    /// What it holds is arbitrary.
    pub(super) fn take(self: &Arc<Self>, length: usize) -> Buffer {
        let length = length.min(BUFFER);
        let memory = if length <= SMALL {
            None
        } else {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()
        };
        let size = if length <= SMALL { length } else { BUFFER };
        Buffer {
            memory: memory.unwrap_or_else(|| vec![0; size].into_boxed_slice()),
            length,
            pool: Arc::clone(self),
        }
    }
}

impl Buffer {
    /// The place to read into.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let length = self.length.min(self.memory.len());
        &mut self.memory[..length]
    }

    /// The first `filled` bytes, without a copy.
    pub(super) fn into_bytes(mut self, filled: usize) -> Bytes {
        self.length = self.length.min(filled);
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.length.min(self.memory.len())]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.memory.len() != BUFFER {
            return;
        }
        let mut idle = self
            .pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(std::mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(pool: &Pool) -> usize {
        pool.idle.lock().expect("no panic").len()
    }

    #[test]
    fn a_buffer_comes_back_when_its_last_slice_drops() {
        let pool = Arc::new(Pool::default());
        let mut buffer = pool.take(BUFFER);
        buffer.space()[..4].copy_from_slice(b"blob");
        let bytes = buffer.into_bytes(4);
        let slice = bytes.slice(1..3);
        drop(bytes);
        assert_eq!((idle(&pool), &*slice), (0, &b"lo"[..]));
        drop(slice);
        assert_eq!(idle(&pool), 1);
        drop(pool.take(BUFFER));
        assert_eq!(idle(&pool), 1, "the idle buffer was not used again");
    }

    #[test]
    fn the_idle_buffers_are_bounded() {
        let pool = Arc::new(Pool::default());
        let all: Vec<_> = (0..IDLE + 10).map(|_| pool.take(BUFFER)).collect();
        drop(all);
        assert_eq!(idle(&pool), IDLE);
    }

    #[test]
    fn a_small_read_takes_a_small_buffer() {
        let pool = Arc::new(Pool::default());
        let mut buffer = pool.take(2_000);
        assert_eq!(buffer.space().len(), 2_000);
        assert_eq!(buffer.memory.len(), 2_000);
        drop(buffer);
        assert_eq!(idle(&pool), 0);
        assert_eq!(pool.take(10 << 20).space().len(), BUFFER);
    }
}
