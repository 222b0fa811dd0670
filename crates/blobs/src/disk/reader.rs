//! Reads a range of a file as a stream.
//!
//! Most blobs that are read are in the page cache, and a copy out of it takes
//! less time than a hop to another thread. So each chunk is first read where
//! the stream is polled, with `RWF_NOWAIT`, which gives up where it would have
//! to wait for the disk. Only then a thread of the blocking pool reads the
//! chunk. A slow client holds no thread either way.
//!
//! Who can have the kernel send a file needs no copy at all: [`FilePieces`]
//! looks with the same flag whether the pages are there, and names the part of
//! the file. What is not there is read as above, by the pool.

use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::stream::{BoxStream, Stream};
use rustix::io::{Errno, ReadWriteFlags};
use tokio::task::{JoinHandle, coop, spawn_blocking};

use super::{
    outcome,
    pool::{BUFFER, Buffer, Pool},
};
use crate::{Error, FilePart, Piece, RangeReader};

const READING: &str = "reading a blob";

/// An opened file.
#[derive(Debug)]
pub(super) struct FileReader {
    pub(super) file: Arc<File>,
    pub(super) pool: Arc<Pool>,
}

impl FileReader {
    fn stream(&self, range: Range<u64>) -> FileStream {
        FileStream {
            file: Arc::clone(&self.file),
            pool: Arc::clone(&self.pool),
            range,
            tries_cache: true,
            miss: None,
        }
    }
}

impl RangeReader for FileReader {
    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Error>> {
        Box::pin(self.stream(range))
    }

    fn pieces(&self, range: Range<u64>) -> BoxStream<'static, Result<Piece, Error>> {
        Box::pin(FilePieces(self.stream(range)))
    }
}

struct FileStream {
    file: Arc<File>,
    pool: Arc<Pool>,
    /// What is still to be read.
    range: Range<u64>,
    /// Whether the file system knows `RWF_NOWAIT`.
    tries_cache: bool,
    /// A read on the blocking pool.
    miss: Option<JoinHandle<Result<(Buffer, usize), Error>>>,
}

impl FileStream {
    /// Reads what the page cache has; `None` if that is nothing.
    fn read_cached(&mut self, buffer: &mut Buffer) -> Result<Option<usize>, Error> {
        if !self.tries_cache {
            return Ok(None);
        }
        let mut into = [io::IoSliceMut::new(buffer.space())];
        match rustix::io::preadv2(
            &*self.file,
            &mut into,
            self.range.start,
            ReadWriteFlags::NOWAIT,
        ) {
            // Some kernels say 0 in the middle of a file, so the other way
            // decides whether this is its end.
            Ok(0) | Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Ok(count) => Ok(Some(count)),
            Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
                self.tries_cache = false;
                Ok(None)
            }
            Err(error) => Err(Error::io(READING, error)),
        }
    }

    fn yields(&mut self, buffer: Buffer, count: usize) -> Option<Result<Bytes, Error>> {
        self.range.start += count as u64;
        // The file ends here. `BlobStream` knows whether it may.
        (count > 0).then(|| Ok(buffer.into_bytes(count)))
    }
}

/// Fills the buffer, up to the end of the file.
fn read_waiting(file: &File, mut buffer: Buffer, offset: u64) -> Result<(Buffer, usize), Error> {
    let mut filled = 0;
    while let Some(rest) = buffer
        .space()
        .get_mut(filled..)
        .filter(|rest| !rest.is_empty())
    {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io(READING, error)),
        }
    }
    Ok((buffer, filled))
}

impl Stream for FileStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.range.is_empty() {
            return Poll::Ready(None);
        }
        // A cached blob is always ready; without this a reader that never
        // waits would keep the others of its thread from running.
        let proceed = ready!(coop::poll_proceed(cx));
        if this.miss.is_none() {
            let left = this.range.end - this.range.start;
            let mut buffer = this.pool.take(usize::try_from(left).unwrap_or(BUFFER));
            match this.read_cached(&mut buffer) {
                Ok(Some(count)) => {
                    proceed.made_progress();
                    return Poll::Ready(this.yields(buffer, count));
                }
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            let (file, offset) = (Arc::clone(&this.file), this.range.start);
            this.miss = Some(spawn_blocking(move || read_waiting(&file, buffer, offset)));
        }
        let Some(miss) = &mut this.miss else {
            return Poll::Ready(None);
        };
        let read = ready!(Pin::new(miss).poll(cx));
        this.miss = None;
        proceed.made_progress();
        Poll::Ready(match outcome(READING, read) {
            Ok((buffer, count)) => this.yields(buffer, count),
            Err(error) => Some(Err(error)),
        })
    }
}

/// A shorter part is not worth a system call of its own: its bytes go out
/// together with the head of the answer.
const WORTH_A_PART: u64 = 64 << 10;

/// How far apart the looks at the page cache are, in bytes. The kernel reads
/// ahead and drops in pieces of about that size. A page that is missing between
/// two looks costs the sender one read of the disk.
const LOOK_EACH: u64 = 256 << 10;

/// The stream of a file, with parts of the file where the page cache has them.
struct FilePieces(FileStream);

impl FilePieces {
    /// Takes the next part off the range if it is in the page cache.
    fn next_part(&mut self) -> Option<FilePart> {
        let Range { start, end } = self.0.range;
        let length = (end - start).min(FilePart::LONGEST as u64);
        if self.0.miss.is_some() || !self.0.tries_cache || length < WORTH_A_PART {
            return None;
        }
        let last = start + length - 1;
        let looks = (start..last).step_by(LOOK_EACH as usize).chain([last]);
        let missing = looks.into_iter().find(|at| !self.is_cached(*at));
        let length = match missing {
            None => length,
            // The page before it was looked at, those in between were not.
            Some(at) if at == last => (last - start) / LOOK_EACH * LOOK_EACH,
            Some(at) => at - start,
        };
        if length < WORTH_A_PART {
            return None;
        }
        self.0.range.start += length;
        Some(FilePart {
            file: Arc::clone(&self.0.file),
            offset: start,
            length: length as usize,
        })
    }

    fn is_cached(&self, at: u64) -> bool {
        let mut byte = [0];
        let mut into = [io::IoSliceMut::new(&mut byte)];
        rustix::io::preadv2(&*self.0.file, &mut into, at, ReadWriteFlags::NOWAIT) == Ok(1)
    }
}

impl Stream for FilePieces {
    type Item = Result<Piece, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Who polls this sends, and yields to others there.
        if let Some(part) = self.next_part() {
            return Poll::Ready(Some(Ok(Piece::File(part))));
        }
        Pin::new(&mut self.0).poll_next(cx).map_ok(Piece::Bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_file_system_without_nowait_is_read_on_the_pool() {
        let content: Vec<u8> = (0..=250).cycle().take(700_000).collect();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&content).expect("a write");
        let stream = FileStream {
            file: Arc::new(file),
            pool: Arc::default(),
            range: 1..699_999,
            tries_cache: false,
            miss: None,
        };
        let chunks: Vec<Bytes> = stream.try_collect().await.expect("a read");
        assert_eq!(chunks.len(), 3);
        assert_eq!(chunks.concat(), &content[1..699_999]);
    }
}
