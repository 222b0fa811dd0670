//! Reading the bytes of a blob, whole or in part.

use std::{
    fmt,
    fs::File,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::stream::{BoxStream, Stream};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::{Error, Location};

/// What a store implements to be read from.
pub trait RangeReader: Send + Sync + fmt::Debug {
    /// The bytes of `range`, which lies inside of the blob and is not empty.
    /// The stream may end early; [`BlobStream`] makes that an error.
    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Error>>;

    /// The same as pieces. A store that has the bytes in files names parts of
    /// them where it can.
    fn pieces(&self, range: Range<u64>) -> BoxStream<'static, Result<Piece, Error>> {
        self.read(range).map_ok(Piece::Bytes).boxed()
    }
}

/// Some of the bytes of a blob, on their way to a client.
#[derive(Debug)]
pub enum Piece {
    /// The bytes themselves.
    Bytes(Bytes),
    /// Where they lie, for somebody who can have the kernel send them.
    File(FilePart),
}

/// A part of an open file that was in the page cache a moment ago: sending it
/// now does not wait for the disk.
#[derive(Debug, Clone)]
pub struct FilePart {
    /// The file.
    pub file: Arc<File>,
    /// Where the part begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; at most [`FilePart::LONGEST`].
    pub length: usize,
}

impl FilePart {
    /// The longest part: what is checked at once should also be sent at once.
    pub const LONGEST: usize = 1 << 20;
}

/// The opened bytes of a blob. It can be read several times and in parts.
#[derive(Debug, Clone)]
pub struct BlobSource {
    location: Location,
    size: u64,
    reader: Arc<dyn RangeReader>,
}

impl BlobSource {
    /// A source of `size` bytes at `location`, read by `reader`.
    pub fn new(location: Location, size: u64, reader: Arc<dyn RangeReader>) -> Self {
        Self {
            location,
            size,
            reader,
        }
    }

    /// How many bytes there are. It is what the store found when it opened
    /// them; the caller compares it with what the database says.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes from `range.start` up to, but not including, `range.end`. The
    /// part of the range that lies behind the end of the blob is left out.
    pub fn read(&self, range: Range<u64>) -> BlobStream {
        let range = self.within(range);
        let chunks = (!range.is_empty()).then(|| self.reader.read(range.clone()));
        self.exactly(range, chunks)
    }

    /// What [`BlobSource::read`] gives, but with parts of files instead of
    /// bytes where the store has them.
    pub fn pieces(&self, range: Range<u64>) -> BlobStream<Piece> {
        let range = self.within(range);
        let chunks = (!range.is_empty()).then(|| self.reader.pieces(range.clone()));
        self.exactly(range, chunks)
    }

    fn within(&self, range: Range<u64>) -> Range<u64> {
        let end = range.end.min(self.size);
        range.start.min(end)..end
    }

    fn exactly<T>(
        &self,
        range: Range<u64>,
        chunks: Option<BoxStream<'static, Result<T, Error>>>,
    ) -> BlobStream<T> {
        BlobStream {
            chunks,
            remaining: range.end - range.start,
            location: self.location.clone(),
        }
    }
}

/// What a [`BlobStream`] is made of: it has a length in bytes.
pub trait Chunk {
    /// How many bytes of the blob it stands for.
    fn length(&self) -> u64;
}

impl Chunk for Bytes {
    fn length(&self) -> u64 {
        self.len() as u64
    }
}

impl Chunk for Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.length(),
            Self::File(part) => part.length as u64,
        }
    }
}

/// A stream of exactly the bytes of one range: it yields all of them, or an
/// error at its end.
pub struct BlobStream<T = Bytes> {
    /// `None` after the last byte and after an error.
    chunks: Option<BoxStream<'static, Result<T, Error>>>,
    remaining: u64,
    location: Location,
}

impl<T> BlobStream<T> {
    /// How many bytes are still to come.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }
}

impl<T> fmt::Debug for BlobStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream")
            .field("location", &self.location)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

impl<T: Chunk> Stream for BlobStream<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(chunks) = &mut self.chunks else {
            return Poll::Ready(None);
        };
        let item = match ready!(chunks.as_mut().poll_next(cx)) {
            Some(Ok(chunk)) if chunk.length() <= self.remaining => {
                self.remaining -= chunk.length();
                Ok(chunk)
            }
            Some(Err(error)) => Err(error),
            // It ended early, or gave more than it was asked for.
            None | Some(Ok(_)) => Err(Error::Damaged {
                location: self.location.clone(),
                missing: self.remaining,
            }),
        };
        if item.is_err() || self.remaining == 0 {
            self.chunks = None;
        }
        Poll::Ready(Some(item))
    }
}
