//! Files that others have made, and files that have to be whole.
//!
//! What is read is a regular file, not a link, a pipe or a device, and its
//! length has a limit. What is written is durable before it gets its name.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use rustix::fs::OFlags;

use crate::{Error, content::ByteStream};

/// How much is read at a time, in bytes.
const PIECE: usize = 256 << 10;

/// Opens a regular file. A link is not followed, so that a place that somebody
/// else has made leads nowhere else.
pub(super) fn open(path: &Path) -> Result<File, Error> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::Missing(format!("`{}` is not there", path.display())));
        }
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(not_regular(path));
        }
        Err(error) => return Err(Error::file(path, "can't be read")(error)),
    };
    let metadata = file
        .metadata()
        .map_err(Error::file(path, "can't be read"))?;
    if metadata.is_file() {
        Ok(file)
    } else {
        Err(not_regular(path))
    }
}

fn not_regular(path: &Path) -> Error {
    Error::Refused(format!(
        "`{}` is no regular file: links and the like are not followed",
        path.display()
    ))
}

/// Refuses a folder inside of a place that is a link, or no folder.
pub(super) fn check_folder(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(Error::Refused(format!(
            "`{}` is no folder: links are not followed",
            path.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::Missing(format!("`{}` is not there", path.display())))
        }
        Err(error) => Err(Error::file(path, "can't be read")(error)),
    }
}

/// The length of a regular file, if there is one.
pub(super) fn length(path: &Path) -> Option<u64> {
    let metadata = fs::symlink_metadata(path).ok()?;
    metadata.is_file().then_some(metadata.len())
}

/// A part of a file, whole, where it is not longer than `most`.
pub(super) fn read_part(
    path: &Path,
    file: &File,
    offset: u64,
    length: u64,
    most: u64,
) -> Result<Bytes, Error> {
    if length > most {
        return Err(Error::Refused(format!(
            "`{}` has {length} bytes where at most {most} are taken",
            path.display()
        )));
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, offset)
        .map_err(Error::file(path, "can't be read"))?;
    Ok(bytes.into())
}

/// A file, whole, where it is not longer than `most`.
pub(super) fn read(path: &Path, most: u64) -> Result<Bytes, Error> {
    let file = open(path)?;
    let length = file
        .metadata()
        .map_err(Error::file(path, "can't be read"))?
        .len();
    read_part(path, &file, 0, length, most)
}

/// The bytes of a part of a file, piece by piece.
pub(super) fn stream(path: PathBuf, file: Arc<File>, offset: u64, length: u64) -> ByteStream {
    let end = offset.saturating_add(length);
    stream::try_unfold(offset, move |at| {
        let (path, file) = (path.clone(), Arc::clone(&file));
        async move {
            if at >= end {
                return Ok(None);
            }
            let bytes = blocking(move || piece(&path, &file, at, end)).await?;
            let next = at + bytes.len() as u64;
            Ok(Some((bytes, next)))
        }
    })
    .boxed()
}

fn piece(path: &Path, file: &File, at: u64, end: u64) -> Result<Bytes, Error> {
    let mut bytes = BytesMut::zeroed((end - at).min(PIECE as u64) as usize);
    let read = file.read_at(&mut bytes, at);
    let read = read.map_err(Error::file(path, "can't be read"))?;
    if read == 0 {
        return Err(Error::Damaged(format!(
            "`{}` ends {} bytes too early",
            path.display(),
            end - at
        )));
    }
    bytes.truncate(read);
    Ok(bytes.freeze())
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), Error> {
    let failed = "can't be synced";
    let folder = File::open(path).map_err(Error::file(path, failed))?;
    folder.sync_all().map_err(Error::file(path, failed))
}

/// Makes a folder, with those above it, and its name durable.
pub(super) fn make_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::file(path, "can't be made"))?;
    parent_synced(path)
}

/// Makes the name of a folder durable.
fn parent_synced(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => Ok(()),
    }
}

/// Makes a folder that nobody else may look into or write to. One that is
/// there is taken if it is ours: what others put there is not gone on with.
pub(super) fn make_private_folder(path: &Path) -> Result<(), Error> {
    let parent = path.parent();
    if let Some(parent) = parent.filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(Error::file(parent, "can't be made"))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => return parent_synced(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::file(path, "can't be made")(error)),
    }
    check_folder(path)?;
    let metadata = fs::symlink_metadata(path).map_err(Error::file(path, "can't be read"))?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::Refused(format!(
            "`{}` belongs to another user; have it removed, or choose another name",
            path.display()
        )));
    }
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(Error::file(path, "can't be made private"))?;
    }
    Ok(())
}

/// Writes a file under a temporary name, and then gives it its own. What was
/// there under that name is replaced at once or not at all.
pub(super) fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.join(name);
    let temporary = folder.join(format!(".{name}.{:016x}", rand::random::<u64>()));
    let failed = "can't be written";
    let written = File::create_new(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(Error::file(&path, failed)(error));
    }
    sync_folder(folder)
}

/// As [`write_whole`], where nothing of this name is there; what is there
/// stays.
pub(super) fn write_once(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.join(name);
    let temporary = folder.join(format!(".{name}.{:016x}", rand::random::<u64>()));
    let written = File::create_new(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::hard_link(&temporary, &path)
    });
    let _ = fs::remove_file(&temporary);
    match written {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::file(&path, "can't be written")(error))
        }
        _ => sync_folder(folder),
    }
}

/// Runs what would stop the other tasks of this thread elsewhere.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::unavailable("the program ends")),
        },
    }
}
