//! Collects the frames of a request body until they are worth a write.
//!
//! Frames are kept as they are, without a copy, because they are slices of the
//! buffer that the network read filled. A small frame is copied all the same:
//! it may be a few bytes of a read buffer of some 400 KiB and would keep all of
//! it alive. With [`COPY_BELOW`] a batch keeps at most [`FULL`] / [`COPY_BELOW`]
//! buffers that are not its own.

use bytes::{Bytes, BytesMut};

/// A batch of this many bytes is handed to the disk.
pub(super) const FULL: usize = 1 << 20;

/// Frames shorter than this are copied together. The usual frame of HTTP/2 is
/// just as long, so it is not copied.
const COPY_BELOW: usize = 16 << 10;

/// Copied frames are collected in pieces of up to this many bytes.
const PIECE: usize = 64 << 10;

/// Bytes in the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct Batch {
    frames: Vec<Bytes>,
    /// Copies of small frames, which belong behind `frames`.
    piece: BytesMut,
    len: usize,
}

impl Batch {
    /// Adds the next frame.
    pub(super) fn push(&mut self, frame: Bytes) {
        self.len += frame.len();
        if frame.len() >= COPY_BELOW {
            self.close_piece();
            self.frames.push(frame);
            return;
        }
        if self.piece.len() + frame.len() > PIECE {
            self.close_piece();
        }
        self.piece.extend_from_slice(&frame);
    }

    /// How many bytes were collected.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The collected bytes; the batch is empty afterwards.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        self.close_piece();
        self.len = 0;
        std::mem::take(&mut self.frames)
    }

    fn close_piece(&mut self) {
        if !self.piece.is_empty() {
            self.frames.push(std::mem::take(&mut self.piece).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_frame_does_not_keep_its_read_buffer_alive() {
        let buffer = Bytes::from(vec![7; 400 << 10]);
        let mut batch = Batch::default();
        batch.push(buffer.slice(..100));
        assert!(buffer.is_unique(), "the batch refers to the read buffer");
        batch.push(buffer.slice(100..COPY_BELOW + 100));
        assert!(!buffer.is_unique(), "a large frame was copied");
    }

    #[test]
    fn tiny_frames_become_few_writes() {
        let mut batch = Batch::default();
        for _ in 0..FULL {
            batch.push(Bytes::from_static(b"x"));
        }
        assert_eq!(batch.len(), FULL);
        assert_eq!(batch.take().len(), FULL / PIECE);
    }

    proptest! {
        #[test]
        fn the_order_of_bytes_is_kept(
            lengths in prop::collection::vec(prop_oneof![0..300usize, 16_000..17_000usize], 0..40)
        ) {
            let mut batch = Batch::default();
            let mut expected = Vec::new();
            for (number, length) in (0u8..).zip(lengths) {
                batch.push(Bytes::from(vec![number; length]));
                expected.extend(vec![number; length]);
            }
            prop_assert_eq!(batch.len(), expected.len());
            prop_assert_eq!(batch.take().concat(), expected);
            prop_assert_eq!(batch.len(), 0);
        }
    }
}
