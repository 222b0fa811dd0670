//! Compressed streams, unpacked under a limit.

use std::{
    io::{self, BufReader, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;

use crate::{Error, Limits, error::shorten};

/// Up to so many bytes it doesn't matter how well something is packed.
const FREE: u64 = 1 << 30;

/// Beyond, what is packed better than this is taken for an attack.
const RATIO: u64 = 500;

/// How something is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Plain,
    Gzip,
    Zstd,
}

impl Compression {
    /// By the first bytes.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// Counts what comes out, and stops when it is too much.
struct Bounded<R> {
    inner: R,
    given: u64,
    packed: u64,
    most: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.given = self.given.saturating_add(read as u64);
        let is_bomb = self.given > FREE && self.given / RATIO > self.packed;
        if self.given > self.most || is_bomb {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(read)
    }
}

/// The unpacked bytes of a stream of `packed` bytes.
pub(super) fn unpack<'a>(
    compression: Compression,
    reader: impl Read + 'a,
    packed: u64,
    limits: &Limits,
) -> io::Result<Box<dyn Read + 'a>> {
    let reader = BufReader::with_capacity(128 << 10, reader);
    let inner: Box<dyn Read> = match compression {
        Compression::Plain => Box::new(reader),
        Compression::Gzip => Box::new(MultiGzDecoder::new(reader)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(reader)?),
    };
    Ok(Box::new(Bounded {
        inner,
        given: 0,
        packed,
        most: limits.unpacked,
    }))
}

/// Why a stream could not be unpacked.
pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.display().to_string();
    move |error| match error.kind() {
        io::ErrorKind::FileTooLarge => {
            Error::Refused(format!("`{path}` unpacks to more than is taken"))
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            Error::Damaged(format!(
                "`{path}` can't be unpacked: {}",
                shorten(&error.to_string())
            ))
        }
        _ => Error::File {
            path,
            what: "can't be unpacked",
            source: error,
        },
    }
}
