//! Moves files durably: staged bytes to their location, damaged ones aside.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use landfall_ids::UploadId;
use landfall_oci::{Algorithm, Digest};
use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};

use super::layout::{self, Layout};
use crate::{Error, Location, durability, fence::Turn};

const PROMOTING: &str = "giving an upload its location";
const QUARANTINING: &str = "moving a damaged blob aside";

/// The directories that this process knows to be durable.
#[derive(Debug, Default)]
pub(super) struct Directories {
    // Held to look up or to insert, never while something is synced.
    durable: Mutex<HashSet<PathBuf>>,
}

impl Directories {
    /// Makes `path` and those above it, below the existing `root`, and syncs
    /// each into its parent; once in the life of a process.
    fn ensure(&self, root: &Path, path: &Path) -> Result<(), Error> {
        let known = || self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if path == root || known().contains(path) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.ensure(root, parent)?;
        }
        durability::create_directory(path)?;
        known().insert(path.to_owned());
        Ok(())
    }
}

/// Renames, but never over an existing file.
pub(super) fn rename_new(from: &Path, to: &Path) -> Result<(), Errno> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system does not know the flag. The locations of a store
        // are used once, so nobody makes `to` between the two calls.
        Err(Errno::INVAL | Errno::NOSYS) => {
            if to.exists() {
                return Err(Errno::EXIST);
            }
            rustix::fs::rename(from, to)
        }
        result => result,
    }
}

/// Moves the settled bytes of `upload` to their location.
pub(super) fn promote(
    layout: &Layout,
    directories: &Directories,
    turn: &Turn,
    upload: UploadId,
    digest: &Digest,
) -> Result<Location, Error> {
    let location = layout::location(digest, upload)?;
    let from = layout.staged(upload);
    let to = layout.blob(&location)?;
    let parent = to.parent().unwrap_or(layout.root());
    let _alone = turn.enter()?;
    directories.ensure(&layout.blobs(), parent)?;
    match rename_new(&from, &to) {
        Ok(()) => {
            if let Err(error) = durability::sync_directory(parent) {
                // Nobody was told of it, and a second call must not find it.
                tracing::error!(%location, %error, "syncing failed, the blob is removed");
                if let Err(error) = fs::remove_file(&to) {
                    tracing::warn!(%location, %error, "the blob stays until the next sweep");
                }
                return Err(error);
            }
        }
        // An earlier call came this far, and a crash has kept both names. No
        // row can name the location while the upload goes on, and only the
        // staged bytes are known to be whole.
        Err(Errno::EXIST) => {
            rustix::fs::rename(&from, &to).map_err(|error| Error::io(PROMOTING, error))?;
            durability::sync_directory(parent)?;
            // Two names of one file stay two names.
            remove(&from, PROMOTING)?;
        }
        Err(Errno::NOENT) if to.exists() => durability::sync_directory(parent)?,
        Err(Errno::NOENT) if !from.exists() => return Err(Error::Lost { upload }),
        Err(error) => return Err(Error::io(PROMOTING, error)),
    }
    Ok(location)
}

/// Moves what `upload` has brought back to its staged file; `false` if nothing
/// of it is there. For bytes that were promoted before a crash, or a failed
/// commit, of an upload that goes on: no row names them.
///
/// The location has a digest that nobody knows any more, so this looks at every
/// object. That is slow in a large store, and rare.
pub(super) fn take_back(layout: &Layout, upload: UploadId) -> Result<bool, Error> {
    const TAKING: &str = "looking for the bytes of an upload";
    let ending = format!(".{upload}");
    let taking = |error: io::Error| Error::io(TAKING, error);
    for algorithm in Algorithm::ALL {
        for first in 0..=u8::MAX {
            let folder = layout.algorithm(algorithm).join(format!("{first:02x}"));
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(taking)?,
            };
            for entry in entries {
                let entry = entry.map_err(taking)?;
                if entry
                    .file_name()
                    .as_encoded_bytes()
                    .ends_with(ending.as_bytes())
                {
                    fs::rename(entry.path(), layout.staged(upload)).map_err(taking)?;
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Moves a damaged object out of the way.
pub(super) fn quarantine(layout: &Layout, location: &Location) -> Result<(), Error> {
    let from = layout.blob(location)?;
    let to = layout.quarantined(location)?;
    match rename_new(&from, &to) {
        Ok(()) => {}
        // Moved before. Synced again, for a crash may have come between.
        Err(Errno::NOENT) if to.exists() => {}
        Err(Errno::NOENT) => {
            return Err(Error::NotFound {
                location: location.clone(),
            });
        }
        Err(error) => return Err(Error::io(QUARANTINING, error)),
    }
    durability::sync_directory(&layout.quarantine())?;
    durability::sync_directory(from.parent().unwrap_or(layout.root()))
}

/// Removes a file. One that is not there is removed already.
pub(super) fn remove(path: &Path, doing: &'static str) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(doing, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
