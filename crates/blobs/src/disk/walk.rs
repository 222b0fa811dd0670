//! Lists what lies in the store.
//!
//! One thread of the blocking pool walks one directory after the other and
//! sends what it finds through a channel of bounded length. So the memory of a
//! listing does not grow with the store, and a listing whose reader stops is
//! stopped by its next send.

use std::{
    fs::{self, DirEntry, ReadDir},
    io,
    path::Path,
    sync::Arc,
    time::UNIX_EPOCH,
};

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use landfall_clock::Timestamp;
use landfall_ids::UploadId;
use landfall_oci::Algorithm;
use tokio::{
    sync::mpsc::{Sender, channel},
    task::spawn_blocking,
};

use super::layout::Layout;
use crate::{Error, Location, StagedObject, StoredObject};

/// How many entries wait for their reader.
const AHEAD: usize = 256;

const LISTING: &str = "listing the blob store";

/// Says that the reader has gone.
struct Stopped;

type Out<T> = Sender<Result<T, Error>>;

/// The stream of what `walk` sends, started by its first poll.
fn on_the_pool<T, F>(walk: F) -> BoxStream<'static, Result<T, Error>>
where
    T: Send + 'static,
    F: FnOnce(&Out<T>) -> Result<(), Stopped> + Send + 'static,
{
    let received = async move {
        let (sender, receiver) = channel(AHEAD);
        spawn_blocking(move || walk(&sender));
        stream::unfold(receiver, |mut receiver| async {
            Some((receiver.recv().await?, receiver))
        })
    };
    stream::once(received).flatten().boxed()
}

fn send<T>(out: &Out<T>, item: Result<T, Error>) -> Result<(), Stopped> {
    out.blocking_send(item).map_err(|_| Stopped)
}

/// Opens a directory. One that is not there is empty.
fn read_directory<T>(out: &Out<T>, path: &Path) -> Result<Option<ReadDir>, Stopped> {
    match fs::read_dir(path) {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            send(out, Err(Error::io(LISTING, error)))?;
            Ok(None)
        }
    }
}

/// Size and time of a regular file. `None` if it is none, or has gone.
fn facts(entry: &DirEntry) -> Result<Option<(u64, Timestamp)>, Error> {
    let metadata = match entry.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(LISTING, error)),
    };
    let modified = metadata
        .modified()
        .map_err(|error| Error::io(LISTING, error))?
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        });
    let modified = Timestamp::from_unix_micros(modified);
    Ok(metadata.is_file().then_some((metadata.len(), modified)))
}

/// Sends every file of a directory whose name means something to `read_name`.
fn walk_directory<T, N>(
    out: &Out<T>,
    path: &Path,
    read_name: impl Fn(&str) -> Option<N>,
    make: impl Fn(N, u64, Timestamp) -> T,
) -> Result<(), Stopped> {
    let Some(entries) = read_directory(out, path)? else {
        return Ok(());
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                send(out, Err(Error::io(LISTING, error)))?;
                return Ok(());
            }
        };
        let Some(name) = entry.file_name().to_str().and_then(&read_name) else {
            tracing::warn!(path = %entry.path().display(), "a file in the blob store is not of Landfall");
            continue;
        };
        match facts(&entry) {
            Ok(Some((size, modified))) => send(out, Ok(make(name, size, modified)))?,
            Ok(None) => {}
            Err(error) => send(out, Err(error))?,
        }
    }
    Ok(())
}

/// Every object below `blobs`.
pub(super) fn stored(layout: Arc<Layout>) -> BoxStream<'static, Result<StoredObject, Error>> {
    on_the_pool(move |out| {
        for algorithm in Algorithm::ALL {
            for first in 0..=u8::MAX {
                let prefix = format!("{first:02x}");
                let read_name = |name: &str| -> Option<Location> {
                    let location = format!("{algorithm}/{prefix}/{name}").parse().ok()?;
                    layout.blob(&location).ok().map(|_| location)
                };
                let path = layout.algorithm(algorithm).join(&prefix);
                walk_directory(out, &path, read_name, |location, size, modified| {
                    StoredObject {
                        location,
                        size,
                        modified,
                    }
                })?;
            }
        }
        Ok(())
    })
}

/// Every file below `staging`.
pub(super) fn staged(layout: Arc<Layout>) -> BoxStream<'static, Result<StagedObject, Error>> {
    on_the_pool(move |out| {
        let read_name = |name: &str| -> Option<UploadId> {
            let upload: UploadId = name.parse().ok()?;
            (upload.to_string() == name).then_some(upload)
        };
        walk_directory(
            out,
            &layout.staging(),
            read_name,
            |upload, size, modified| StagedObject {
                upload,
                size,
                modified,
            },
        )
    })
}
