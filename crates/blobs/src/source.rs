//! Reading the bytes of a blob, whole or in part.

use std::{
    fmt,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::stream::{BoxStream, Stream};

use crate::{Error, Location};

/// What a store implements to be read from.
pub trait RangeReader: Send + Sync + fmt::Debug {
    /// The bytes of `range`, which lies inside of the blob and is not empty.
    /// The stream may end early; [`BlobStream`] makes that an error.
    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Error>>;
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
        let end = range.end.min(self.size);
        let start = range.start.min(end);
        BlobStream {
            chunks: (start < end).then(|| self.reader.read(start..end)),
            remaining: end - start,
            location: self.location.clone(),
        }
    }
}

/// A stream of exactly the bytes of one range: it yields all of them, or an
/// error at its end.
pub struct BlobStream {
    /// `None` after the last byte and after an error.
    chunks: Option<BoxStream<'static, Result<Bytes, Error>>>,
    remaining: u64,
    location: Location,
}

impl BlobStream {
    /// How many bytes are still to come.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream")
            .field("location", &self.location)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

impl Stream for BlobStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(chunks) = &mut self.chunks else {
            return Poll::Ready(None);
        };
        let item = match ready!(chunks.as_mut().poll_next(cx)) {
            Some(Ok(bytes)) if bytes.len() as u64 <= self.remaining => {
                self.remaining -= bytes.len() as u64;
                Ok(bytes)
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
