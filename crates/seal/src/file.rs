//! The file of the master key.
//!
//! It is made beside its name and linked there, which fails if the name is
//! taken: of two processes that make one at once, the second reads the first
//! one's. A crash leaves at most a file `master.<random>.partial`.

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write as _},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
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
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
        let bytes = Zeroizing::new(rand::random::<[u8; KEY]>());
        let partial = path.with_extension(format!("{:016x}.partial", rand::random::<u64>()));
        let linked = write(&partial, &bytes).and_then(|()| match fs::hard_link(&partial, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            linked => linked.map(|()| true),
        });
        let removed = fs::remove_file(&partial);
        let linked = linked.map_err(failed)?;
        removed.map_err(failed)?;
        // Also for a key of another process: it may not have come this far.
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(failed)?;
        if linked {
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
