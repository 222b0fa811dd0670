//! The file of the master key.
//!
//! It is made beside its name and renamed to it, which fails if the name is
//! taken: of two processes that make one at once, the second reads the first
//! one's. A crash leaves at most a file `master.<random>.partial`. The file, its
//! name and the name of its directory are synced before anybody gets the key:
//! what is sealed under a key is lost with it.

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write as _},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};
use zeroize::Zeroizing;

use crate::{Error, MasterKey, key::KEY};

/// No more is read of a file: a key with some space around it.
const LONGEST: u64 = 256;
/// What others may not do.
const OTHERS: u32 = 0o077;

impl MasterKey {
    /// The key in the file; `None` if there is no file.
    pub fn load(path: &Path) -> Result<Option<Self>, Error> {
        let failed = |source| io_error(path, source);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        if metadata.mode() & OTHERS != 0 {
            return Err(Error::Exposed {
                path: path.to_owned(),
            });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(LONGEST as usize));
        file.take(LONGEST).read_to_end(&mut text).map_err(failed)?;
        let text = Zeroizing::new(String::from_utf8_lossy(&text).into_owned());
        Self::parse(&text, &format!("`{}`", path.display())).map(Some)
    }

    /// Makes a key and its file. If a file is there by then, its key is the one.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let failed = |source| io_error(path, source);
        let directory = parent(path);
        create_directory(directory).map_err(failed)?;
        let bytes = Zeroizing::new(rand::random::<[u8; KEY]>());
        let partial = path.with_extension(format!("{:016x}.partial", rand::random::<u64>()));
        let named = write(&partial, &bytes).and_then(|()| rename_new(&partial, path));
        // There is nothing left to remove after a rename. What is wrong with
        // the write or the name is told before what is wrong with this.
        let removed = match fs::remove_file(&partial) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        let is_ours = named.map_err(failed)?;
        removed.map_err(failed)?;
        // Also for a key of another process: it may not have come this far.
        sync_directory(directory).map_err(failed)?;
        if is_ours {
            return Ok(Self::new(&bytes));
        }
        Self::load(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
    }

    /// The key in the file, which is made if it is not there.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        match Self::load(path)? {
            Some(key) => Ok(key),
            None => Self::create(path),
        }
    }
}

/// The directory that `path` is in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a directory that nobody else reads, and what is missing above it, and
/// syncs the name of each that was missing. The name of `directory` is synced in
/// any case: who has made it may not have come so far.
fn create_directory(directory: &Path) -> io::Result<()> {
    let above = parent(directory);
    if !directory.is_dir() {
        if !above.is_dir() {
            create_directory(above)?;
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory)?;
    }
    match sync_directory(above) {
        // Made by somebody else, above whom we may not look.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory).and_then(|directory| directory.sync_all())
}

/// Gives the file `from` the name `to`; `false` if a file has it already.
fn rename_new(from: &Path, to: &Path) -> io::Result<bool> {
    let named = match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system does not know the flag.
        Err(Errno::INVAL | Errno::NOSYS) => fs::hard_link(from, to),
        named => named.map_err(io::Error::from),
    };
    match named {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        named => named.map(|()| true),
    }
}

fn write(path: &Path, key: &[u8; KEY]) -> io::Result<()> {
    let mut text = Zeroizing::new(String::with_capacity(2 * KEY + 1));
    for byte in key {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn io_error(path: &Path, source: io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        source,
    }
}
