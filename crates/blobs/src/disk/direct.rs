//! Writing past the page cache.
//!
//! A large upload would fill the page cache with bytes that push out what
//! others read, and copying into new pages was the largest part of what it
//! cost. So what comes after its first [`FROM`] bytes is collected in one
//! aligned buffer and written with `O_DIRECT`. Smaller blobs, and so most that
//! are pulled, stay in the cache from their push on.
//!
//! Both ways write to one file. They meet at a multiple of [`BLOCK`], so they
//! never share a page, and what is left at the end goes the usual way. A file
//! system that refuses, at the opening or at a write, gets the usual way too.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// From this offset of a staged file on, bytes go past the page cache.
pub(super) const FROM: u64 = 4 << 20;

/// Memory, offsets and lengths are multiples of this many bytes, which suits
/// the disks of today: they have blocks of 512 or 4,096.
pub(super) const BLOCK: usize = 4 << 10;

/// The length of a write. Half of it costs more calls, twice of it leaves the
/// processor's second cache.
pub(super) const BUFFER: usize = 1 << 20;

/// A file that is written past the page cache, in pieces of [`BUFFER`] bytes.
#[derive(Debug)]
pub(super) struct DirectFile {
    file: File,
    /// [`BUFFER`] bytes begin at `start`, where memory is aligned.
    memory: Box<[u8]>,
    start: usize,
    filled: usize,
    /// Where in the file the buffer belongs.
    offset: u64,
}

impl DirectFile {
    /// Opens the file at `path` once more, to go on at `offset`, a multiple of
    /// [`BLOCK`]. `None` if the file system can't.
    pub(super) fn open(path: &Path, offset: u64) -> Option<Self> {
        let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()?;
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(path)
            .ok()?;
        let memory = vec![0; BUFFER + BLOCK].into_boxed_slice();
        let start = memory.as_ptr().align_offset(BLOCK);
        (start <= BLOCK).then_some(Self {
            file,
            memory,
            start,
            filled: 0,
            offset,
        })
    }

    /// Adds `bytes`, and writes the buffer each time it is full. After an error
    /// nothing is lost: what is [`pending`](Self::pending) has not been
    /// written, and the second value says how many of `bytes` are in there or
    /// written.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), (io::Error, usize)> {
        let mut taken = 0;
        while taken < bytes.len() {
            let place = self.start + self.filled;
            let count = (BUFFER - self.filled).min(bytes.len() - taken);
            self.memory[place..place + count].copy_from_slice(&bytes[taken..taken + count]);
            self.filled += count;
            taken += count;
            if self.filled == BUFFER {
                let full = &self.memory[self.start..self.start + BUFFER];
                self.file
                    .write_all_at(full, self.offset)
                    .map_err(|error| (error, taken))?;
                self.offset += BUFFER as u64;
                self.filled = 0;
            }
        }
        Ok(())
    }

    /// What was pushed and not written, and where in the file it belongs.
    pub(super) fn pending(&self) -> (&[u8], u64) {
        let bytes = &self.memory[self.start..self.start + self.filled];
        (bytes, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_file_and_what_is_pending_are_what_was_pushed(
            lengths in prop::collection::vec(0..900_000usize, 0..12)
        ) {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("file");
            fs::write(&path, vec![9; BLOCK]).expect("a file");
            let Some(mut direct) = DirectFile::open(&path, BLOCK as u64) else {
                // This file system has no direct writes.
                return Ok(());
            };
            let mut expected = vec![9; BLOCK];
            for (number, length) in (0u8..).zip(lengths) {
                let bytes: Vec<u8> = (number..=255).cycle().take(length).collect();
                direct.push(&bytes).map_err(|(error, _)| error).expect("a write");
                expected.extend(bytes);
            }
            let (pending, offset) = direct.pending();
            let mut found = fs::read(&path).expect("the file");
            prop_assert_eq!(found.len() as u64, offset);
            found.extend(pending);
            prop_assert!(found == expected);
        }
    }

    #[test]
    fn a_refused_write_leaves_the_bytes_pending() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        fs::write(&path, b"").expect("a file");
        let Some(mut direct) = DirectFile::open(&path, 0) else {
            return;
        };
        direct.file = File::open(&path).expect("the file, for reading");
        let bytes = vec![3; BUFFER + 10];
        let (_, taken) = direct.push(&bytes).expect_err("it can't be written to");
        assert_eq!(taken, BUFFER);
        assert_eq!(direct.pending(), (&bytes[..BUFFER], 0));
    }
}
