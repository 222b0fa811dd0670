//! The data folder: made private, held by one process, with a place for files
//! that are being made.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use rustix::fs::FlockOperation;

use crate::config::Config;

/// Makes a directory that nobody else reads, and what is missing above it, all
/// of it durably: what is in a directory is worth as much as its own name.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !path.is_dir() {
        if !parent.is_dir() {
            create_private(parent)?;
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    }
    // Synced in any case: an earlier start may have ended before it came here.
    match File::open(parent).and_then(|parent| parent.sync_all()) {
        // Made by somebody else, above whom we may not look.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// The data directory belongs to one process as long as this lives.
pub(crate) struct DataLock {
    _file: File,
}

impl DataLock {
    pub(crate) fn take(data: &Path) -> Result<Self> {
        let path = data.join("landfall.lock");
        let file = File::create(&path)
            .with_context(|| format!("`{}` can't be written", path.display()))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => bail!(
                "`{}` is used by another `landfall` process; stop it, or give this one another \
                 directory with `--data`",
                data.display()
            ),
            Err(error) => {
                Err(error).with_context(|| format!("`{}` can't be locked", path.display()))
            }
        }
    }
}

/// An empty directory for files that are being made; what a crash left in it
/// goes.
pub(super) fn scratch(config: &Config) -> Result<PathBuf> {
    let path = config.data.join("scratch");
    let unusable = || format!("`{}` can't be made", path.display());
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(unusable);
        }
        _ => {}
    }
    create_private(&path).with_context(unusable)?;
    Ok(path)
}
