//! A file system that forgets everything that was not synced.
//!
//! It keeps files in memory, twice: as programs see them, and as a disk would
//! hold them. `fsync` or `fdatasync` of a file makes its bytes durable; `fsync`
//! of a directory makes its names durable: creations, renames into it, removals.
//! Neither does the other's work, and nothing else makes anything durable.
//!
//! A test runs a server on it and either
//! - takes a [`VolatileDisk::snapshot_durable`]: what a restart would find if
//!   the power went at this instant, while the server runs on; or
//! - makes the [`VolatileDisk::cut`]: the tree now *is* what a restart finds, and
//!   everything that was open answers `EIO`.
//!
//! Which of the unsynced changes survive is the adversary's choice, see
//! [`PowerLoss`]: at 4 KiB granularity any of the unsynced writes of a file, and
//! a prefix of the unsynced changes of directories. A failing test prints its
//! seed; the same seed makes the same choice from the same history of requests.
//!
//! # How it is used
//! The disk runs in a second process of the test binary, which ends with the
//! test, however that ends. The binary needs one line for it in its root:
//!
//! ```
//! landfall_power_cut::volatile_disk_process!();
//! # fn main() {}
//! ```
//!
//! # What it does not do
//! Hard links, symbolic links, device files, extended attributes and
//! `RENAME_EXCHANGE` are refused. The bytes are in memory, most of them twice.
//! Needs Linux, `/dev/fuse`, and root or `fusermount3`.

use std::{
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

mod content;
mod entries;
mod kernel;
mod mounted;
mod node;
mod power_loss;
mod process;
mod state;
mod survivors;
mod tree;

pub use power_loss::PowerLoss;
pub use process::serve_if_asked;
use process::{MOUNT_POINT, Request, TEST, receive, send};

/// Why a disk could not be mounted, cut or copied.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The process of the disk did not start. Is
    /// [`volatile_disk_process!`](crate::volatile_disk_process) in the root of
    /// the test binary?
    #[error("the process of a volatile disk did not start, is `volatile_disk_process!()` there?")]
    NotStarted(#[source] io::Error),
    /// Is there `/dev/fuse`, is the mount point a directory, may this user mount?
    #[error("cannot mount a volatile disk at `{path}`: {reason}")]
    Mount {
        /// The mount point.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Is the target writable, and is it outside of the disk?
    #[error("cannot write a snapshot to `{path}`: {reason}")]
    Snapshot {
        /// The target directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The process of the disk has ended; a bug, or somebody killed it.
    #[error("the process of the volatile disk is gone")]
    Gone(#[source] io::Error),
}

/// A mounted volatile disk. Dropping it unmounts it; what is still open then
/// answers errors.
#[derive(Debug)]
pub struct VolatileDisk {
    path: PathBuf,
    process: Child,
    // `None` only while it is dropped. Requests go one by one.
    socket: Option<Mutex<UnixStream>>,
}

impl VolatileDisk {
    /// Mounts an empty disk over the directory `path`, for the user of this
    /// process.
    pub fn mount(path: impl Into<PathBuf>) -> Result<Self, DiskError> {
        let path = path.into();
        let (socket, theirs) = UnixStream::pair().map_err(DiskError::NotStarted)?;
        let executable = std::env::current_exe().map_err(DiskError::NotStarted)?;
        // In a process group of its own: an interrupt for the test must not end
        // it before it has unmounted.
        let process = Command::new(executable)
            .args(["--exact", TEST, "--ignored", "--nocapture"])
            .env(MOUNT_POINT, &path)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(DiskError::NotStarted)?;
        // From here on a failure ends the process by dropping the disk.
        let disk = Self {
            path,
            process,
            socket: Some(Mutex::new(socket)),
        };
        match disk.answer(None).map_err(DiskError::NotStarted)? {
            None => Ok(disk),
            Some(reason) => Err(DiskError::Mount {
                path: disk.path.clone(),
                reason,
            }),
        }
    }

    /// The mount point.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The power goes and comes back: only what survives `loss` is there, and it
    /// is durable. Every file and directory that was open answers `EIO`.
    ///
    /// A server should be killed first, as by a power loss; one that lives on
    /// and touches a shared mapping of a file gets `SIGBUS`.
    pub fn cut(&self, loss: impl Into<PowerLoss>) -> Result<(), DiskError> {
        let request = Request::Cut(loss.into());
        self.answer(Some(&request))
            .map(drop)
            .map_err(DiskError::Gone)
    }

    /// Writes to the plain directory `target` what [`Self::cut`] with the same
    /// `loss` would leave at this instant. The disk goes on as it was. Modes
    /// are kept, times and owners are not.
    pub fn snapshot_durable(
        &self,
        loss: impl Into<PowerLoss>,
        target: impl AsRef<Path>,
    ) -> Result<(), DiskError> {
        let path = target.as_ref().to_owned();
        let request = Request::Snapshot(loss.into(), path.clone());
        match self.answer(Some(&request)).map_err(DiskError::Gone)? {
            None => Ok(()),
            Some(reason) => Err(DiskError::Snapshot { path, reason }),
        }
    }

    /// Sends a request, if there is one, and waits for the answer: what went
    /// wrong, or nothing.
    fn answer(&self, request: Option<&Request>) -> io::Result<Option<String>> {
        let gone = || io::Error::from(io::ErrorKind::NotConnected);
        let socket = self.socket.as_ref().ok_or_else(gone)?;
        let socket = socket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(request) = request {
            send(&socket, &request.encode())?;
        }
        let answer = receive(&socket)?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        Ok(Some(answer).filter(|answer| !answer.is_empty()))
    }
}

impl Drop for VolatileDisk {
    fn drop(&mut self) {
        // The end of the requests: the process unmounts and ends.
        self.socket = None;
        let _ended_before = self.process.wait();
    }
}
