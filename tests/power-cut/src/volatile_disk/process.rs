//! The process that answers for a disk, and what is said to it.
//!
//! # Why a process of its own
//! A program that unmaps a shared mapping waits for the disk while it holds the
//! lock of its address space. A disk in the same process would need that lock
//! for its next page fault, and both would wait for ever; so would a process
//! that has to end while one of its threads waits for its own disk. The process
//! is the test binary once more, so there is nothing to install or to find.
//!
//! # Protocol
//! The socket is the process's standard input. A message is its length (4 bytes,
//! little endian) and its bytes. The process speaks first: whether it has
//! mounted. Then each request gets one answer: empty, or what went wrong. The
//! end of the requests unmounts the disk and ends the process.

use std::{
    ffi::OsStr,
    io::{self, Read, Write},
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::{Path, PathBuf},
};

use super::{mounted::Mounted, power_loss::PowerLoss};

/// The variable that tells the process its mount point.
pub(crate) const MOUNT_POINT: &str = "LANDFALL_VOLATILE_DISK";

/// The name of the test that [`volatile_disk_process`](crate::volatile_disk_process) makes.
pub(crate) const TEST: &str = "volatile_disk_process";

/// No path and no error is longer, in bytes.
const LONGEST: usize = 1 << 16;

/// Lets a test binary mount disks: a line in the root of the binary (that is
/// `tests/it/main.rs`), because the disk runs in a second process of it.
#[macro_export]
macro_rules! volatile_disk_process {
    () => {
        /// The process of a volatile disk. Run by hand it does nothing.
        #[test]
        #[ignore = "the process of a disk, which other tests start"]
        fn volatile_disk_process() {
            $crate::volatile_disk::serve_if_asked();
        }
    };
}

/// What a test asks of its disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Cut(PowerLoss),
    Snapshot(PowerLoss, PathBuf),
}

impl Request {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, loss, path) = match self {
            Self::Cut(loss) => (b'c', loss, Path::new("")),
            Self::Snapshot(loss, path) => (b's', loss, path.as_path()),
        };
        let (partial, seed) = match loss {
            PowerLoss::Total => (0, 0),
            PowerLoss::Partial(seed) => (1, *seed),
        };
        let mut message = vec![kind, partial];
        message.extend(seed.to_le_bytes());
        message.extend(path.as_os_str().as_bytes());
        message
    }

    fn decode(message: &[u8]) -> Option<Self> {
        let (head, path) = message.split_first_chunk::<10>()?;
        let (kind, seed) = head.split_first_chunk::<2>()?;
        let loss = match kind[1] {
            0 => PowerLoss::Total,
            _ => PowerLoss::Partial(u64::from_le_bytes(seed.try_into().ok()?)),
        };
        match kind[0] {
            b'c' => Some(Self::Cut(loss)),
            b's' => Some(Self::Snapshot(loss, OsStr::from_bytes(path).into())),
            _ => None,
        }
    }
}

pub(crate) fn send(mut socket: &UnixStream, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    socket.write_all(&[&length.to_le_bytes(), message].concat())
}

/// The next message; `UnexpectedEof` when the other side is gone.
pub(crate) fn receive(mut socket: &UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    socket.read_exact(&mut message)?;
    Ok(message)
}

/// Answers for a disk until the test ends it, if this process was started for
/// that; returns at once otherwise.
pub fn serve_if_asked() {
    let Some(path) = std::env::var_os(MOUNT_POINT) else {
        return;
    };
    if let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() {
        // It ends when the other side is gone, which is no error.
        let _gone = serve(&UnixStream::from(socket), Path::new(&path));
    }
}

fn serve(socket: &UnixStream, path: &Path) -> io::Result<()> {
    let disk = match Mounted::new(path) {
        Ok(disk) => disk,
        Err(error) => return send(socket, error.to_string().as_bytes()),
    };
    send(socket, b"")?;
    loop {
        let message = receive(socket)?;
        let done = match Request::decode(&message) {
            Some(Request::Cut(loss)) => {
                disk.cut(loss);
                Ok(())
            }
            Some(Request::Snapshot(loss, target)) => disk.snapshot(loss, &target),
            None => Err(io::ErrorKind::InvalidInput.into()),
        };
        let answer = done.err().map(|error| error.to_string());
        send(socket, answer.unwrap_or_default().as_bytes())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_understood_as_they_were_meant() {
        for request in [
            Request::Cut(PowerLoss::Total),
            Request::Cut(PowerLoss::Partial(u64::MAX - 7)),
            Request::Snapshot(PowerLoss::Partial(0), "/a path/with\nanything".into()),
        ] {
            assert_eq!(Request::decode(&request.encode()), Some(request));
        }
        assert_eq!(Request::decode(b"c"), None);
        assert_eq!(Request::decode(b"x123456789"), None);
    }
}
