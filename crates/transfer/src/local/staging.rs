//! A folder beside a destination that becomes visible at the end: as a file or
//! folder of its own. It stays when a copy is interrupted, and the next one
//! goes on with what is in it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::{files, spool::Spool};
use crate::Error;

/// The folder `.<name>.landfall-partial` beside `<name>`.
#[derive(Debug)]
pub(super) struct Staging {
    /// What will be made.
    pub(super) target: PathBuf,
    /// The folder.
    pub(super) folder: PathBuf,
    /// Its blobs.
    pub(super) spool: Spool,
    /// Locked as long as this copy goes on.
    _lock: File,
}

impl Staging {
    /// Makes the folder, or goes on with the one that an earlier copy has
    /// left. Refused if the destination is there already, or if another copy
    /// is writing it.
    pub(super) fn open(target: &Path) -> Result<Self, Error> {
        let shown = target.display();
        let is_empty_folder =
            fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
        if fs::symlink_metadata(target).is_ok() && !is_empty_folder {
            return Err(Error::Refused(format!(
                "`{shown}` is there already; remove it, or choose another name"
            )));
        }
        let name = target
            .file_name()
            .ok_or_else(|| Error::Refused(format!("`{shown}` has no name to write to")))?;
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".landfall-partial");
        let folder = parent.join(hidden);
        files::make_private_folder(&folder)?;
        let path = folder.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(&path)
            .map_err(Error::file(&path, "can't be written"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Refused(format!(
                    "another copy is writing `{shown}` right now"
                )));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Error::file(&path, "can't be locked")(error));
            }
        }
        Ok(Self {
            target: target.to_owned(),
            spool: Spool::new(folder.join("blobs"), folder.join("partial")),
            folder,
            _lock: lock,
        })
    }

    /// Gives a finished file or folder inside of this one its name, and
    /// removes the rest.
    pub(super) fn reveal(&self, finished: &Path) -> Result<(), Error> {
        fs::rename(finished, &self.target)
            .map_err(Error::file(&self.target, "can't be written"))?;
        if let Some(parent) = self.folder.parent() {
            files::sync_folder(parent)?;
        }
        fs::remove_dir_all(&self.folder).map_err(Error::file(&self.folder, "can't be removed"))
    }
}
