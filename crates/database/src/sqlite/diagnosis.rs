//! Why the disk refused a write, where SQLite does not say.
//!
//! A disk that the kernel has made read-only under an open file, and one that
//! is too full for SQLite's shared memory, give the same "disk I/O error" as a
//! broken one. A caller can do something about the first two, so the file
//! system is asked: can a file be written beside the database?

use std::{fs, io, io::Write, path::PathBuf};

use rusqlite::{Connection, ffi};

use crate::Error;

/// What is the matter with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiskFault {
    Full,
    ReadOnly,
}

impl From<DiskFault> for Error {
    fn from(fault: DiskFault) -> Self {
        match fault {
            DiskFault::Full => Self::Full,
            DiskFault::ReadOnly => Self::ReadOnly,
        }
    }
}

/// Failures before anything of a commit counts. A failed sync is not one of
/// them: what was written before it may turn up again after a crash.
const BEFORE_THE_COMMIT: [i32; 4] = [
    ffi::SQLITE_IOERR_WRITE,
    ffi::SQLITE_IOERR_SHMSIZE,
    ffi::SQLITE_IOERR_SHMMAP,
    ffi::SQLITE_IOERR_SHMOPEN,
];

/// What tells a caller more than `error` does, if there is anything.
pub(super) fn disk_fault(connection: &Connection, error: &rusqlite::Error) -> Option<DiskFault> {
    let code = error.sqlite_error()?.extended_code;
    if !BEFORE_THE_COMMIT.contains(&code) {
        return None;
    }
    let path = PathBuf::from(format!("{}-probe", connection.path()?));
    let written = fs::File::create(&path).and_then(|mut file| {
        // A whole block: a full disk still makes empty files.
        file.write_all(&[0; 4096])?;
        file.sync_all()
    });
    // It was never made, or there is nothing more to be done about it.
    let _ = fs::remove_file(&path);
    match written.err()?.kind() {
        io::ErrorKind::ReadOnlyFilesystem => Some(DiskFault::ReadOnly),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(DiskFault::Full),
        _ => None,
    }
}
