//! The store in a local directory.
//!
//! | file | subject |
//! |---|---|
//! | `layout` | where things lie; the only maker of paths |
//! | `staging`, `batch` | the async half of a writer: collects frames into batches |
//! | `writer`, `direct`, `writeback` | its blocking half: write, sync |
//! | `promote` | durable renames: to a location, to the quarantine |
//! | `reader`, `pool` | ranges as streams, out of the page cache where possible |
//! | `walk` | listings |
//! | `marker` | which database the store belongs to |
//!
//! # How bytes come in
//!
//! The frames of a request are slices of what the socket was read into; they
//! are hashed where they arrive, and collected into batches of 1 MiB. One
//! worker for each upload, on the blocking pool, writes a batch while the next
//! is collected, and a third is not taken: the client waits. So an upload holds
//! some 3 MiB, and a client that sends nothing holds no thread. What comes
//! after the first 4 MiB is written past the page cache (`direct`). Where that
//! can't be, the kernel is told to begin writing each 8 MiB, so the fsync at the
//! end finds little to do.
//!
//! Measured with 2 processors for server and client, 256 MiB, over loopback,
//! in seconds of the server's processors for 10⁹ bytes: 1.0 with one upload and
//! with eight; docker-registry 2.8, which does not sync, takes 2.5. Of the
//! 1.0, SHA-256 is 0.5, receiving is 0.3, and writing is 0.1. Through the page
//! cache it is 1.15, since its new pages cost more than the copy into them.
//!
//! - Hashing on a thread beside the writing one costs more in waking it than it
//!   gains, on two processors.
//! - Batches of 512 KiB are no quicker than those of 1 MiB.
//! - A handler in the connection's own task (`server`) saved a tenth: as a task
//!   of its own, each frame of 64 KiB woke another thread.
//!
//! # How bytes go out
//!
//! Most of what is read was written or read a moment ago. So a chunk is first
//! asked for with `RWF_NOWAIT`, on the thread that wants it, and only what the
//! page cache has not goes to the blocking pool. Whoever can have the kernel
//! send a file gets the part of the file instead of its bytes, if it is cached
//! ([`Piece`](crate::Piece)). What that saves is told in the server's `listen`.
//!
//! What is synced when, and what a crash leaves, is told in
//! [`crate::durability`].

mod batch;
mod direct;
mod layout;
mod marker;
mod pool;
mod promote;
mod reader;
mod staging;
mod walk;
mod writeback;
mod writer;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use landfall_ids::{StoreId, UploadId};
use landfall_oci::{Algorithm, Digest, Hasher};
use rustix::{
    fs::{CWD, FlockOperation, Mode, OFlags, ResolveFlags},
    io::Errno,
};
use tokio::task::{JoinError, spawn_blocking};

use crate::{
    BlobSource, BlobStore, Error, Location, Resume, Staged, StagedObject, Staging, StoredObject,
    durability, fence::Fences,
};
use layout::Layout;
use pool::Pool;
use promote::Directories;
use reader::FileReader;
use staging::DiskStaging;
use writer::Writer;

/// A re-hash reads so many bytes in one go, before others get their turn.
const REHASH_STEP: u64 = 8 << 20;

/// A store in a local directory, which it has for itself: a second process
/// that opens it gets [`Error::InUse`].
#[derive(Debug)]
pub struct DiskStore {
    layout: Arc<Layout>,
    fences: Arc<Fences>,
    directories: Arc<Directories>,
    pool: Arc<Pool>,
    direct_writes: bool,
    /// The root directory, locked as long as it is open.
    _lock: File,
}

impl DiskStore {
    /// Opens the store in the directory `root`, and makes what is missing of
    /// it, durably. Blocks, for the start of a program.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, Error> {
        let opening = |error| Error::io("opening the blob store", error);
        let root = std::path::absolute(root).map_err(opening)?;
        durability::create_directories(&root)?;
        let lock = File::open(&root).map_err(opening)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(Error::InUse),
            // A file system without locks has nobody to keep out.
            Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK) => {}
            Err(error) => return Err(opening(error.into())),
        }
        let layout = Layout::new(root);
        for directory in [layout.staging(), layout.blobs(), layout.quarantine()] {
            durability::create_directory(&directory)?;
        }
        Ok(Self {
            layout: Arc::new(layout),
            fences: Arc::default(),
            directories: Arc::default(),
            pool: Arc::default(),
            direct_writes: true,
            _lock: lock,
        })
    }

    /// Whether large uploads are written past the page cache, as they are if
    /// this is not called. Without it the next pull of a large blob finds it in
    /// memory, an upload costs more of the processor, and what others pull may
    /// be pushed out.
    #[must_use]
    pub fn direct_writes(mut self, direct: bool) -> Self {
        self.direct_writes = direct;
        self
    }
}

/// What a task of the blocking pool returned.
fn outcome<T>(
    doing: &'static str,
    joined: Result<Result<T, Error>, JoinError>,
) -> Result<T, Error> {
    joined.unwrap_or_else(|error| Err(Error::io(doing, io::Error::other(error))))
}

/// Runs `work` on the blocking pool.
async fn blocking<T, F>(doing: &'static str, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    outcome(doing, spawn_blocking(work).await)
}

/// Opens a file for reading if that needs no disk. Whatever goes wrong, a
/// plain open tells why.
fn open_cached(path: &Path) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED)
        .ok()
        .map(File::from)
}

/// Adds up to [`REHASH_STEP`] bytes to the hash; `None` at the end of the file.
fn rehash_step(file: &File, hasher: &mut Hasher, from: u64) -> io::Result<Option<u64>> {
    let mut buffer = vec![0; pool::BUFFER];
    let mut at = from;
    while at < from + REHASH_STEP {
        match file.read_at(&mut buffer, at) {
            Ok(0) => return Ok(None),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(at))
}

#[async_trait]
impl BlobStore for DiskStore {
    async fn store_id(&self) -> Result<Option<StoreId>, Error> {
        let layout = Arc::clone(&self.layout);
        blocking("reading the marker", move || marker::read(&layout)).await
    }

    async fn claim(&self, id: StoreId) -> Result<(), Error> {
        let layout = Arc::clone(&self.layout);
        blocking("writing the marker", move || marker::claim(&layout, id)).await
    }

    async fn incarnation(&self) -> Result<Option<StoreId>, Error> {
        let layout = Arc::clone(&self.layout);
        let read = move || marker::read_whole(&layout);
        let found = blocking("reading the marker", read).await?;
        Ok(found.and_then(|marker| marker.incarnation))
    }

    async fn reclaim(&self, id: StoreId, incarnation: StoreId) -> Result<(), Error> {
        let layout = Arc::clone(&self.layout);
        let write = move || marker::reclaim(&layout, id, incarnation);
        blocking("writing the marker", write).await
    }

    /// The token is not looked at: nobody else has the directory, and the
    /// caller lets the writers of one process in by their order.
    async fn stage(&self, upload: UploadId, resume: Resume) -> Result<Box<dyn Staging>, Error> {
        let Resume { offset, hasher, .. } = resume;
        if hasher.hashed() != offset {
            return Err(Error::Lost { upload });
        }
        let turn = self.fences.take_over(upload);
        let mut writer = Writer::start(Arc::clone(&self.layout), upload, turn, self.direct_writes);
        if offset > 0 {
            writer = blocking("opening an upload", move || writer.resume(offset)).await?;
        }
        Ok(Box::new(DiskStaging::new(writer, hasher, offset)))
    }

    async fn promote(
        &self,
        upload: UploadId,
        digest: &Digest,
        _: &Staged,
    ) -> Result<Location, Error> {
        let turn = self.fences.settled(upload);
        let layout = Arc::clone(&self.layout);
        let directories = Arc::clone(&self.directories);
        let digest = *digest;
        blocking("giving an upload its location", move || {
            promote::promote(&layout, &directories, &turn, upload, &digest)
        })
        .await
    }

    async fn discard(&self, upload: UploadId) -> Result<(), Error> {
        const DISCARDING: &str = "discarding an upload";
        let turn = self.fences.take_over(upload);
        let staged = self.layout.staged(upload);
        blocking(DISCARDING, move || {
            let alone = turn.enter_regardless();
            promote::remove(&staged, DISCARDING)?;
            alone.settle();
            Ok(())
        })
        .await
    }

    async fn digest_staged(
        &self,
        upload: UploadId,
        _: &Staged,
        algorithm: Algorithm,
    ) -> Result<Digest, Error> {
        const REHASHING: &str = "hashing an upload again";
        let staged = self.layout.staged(upload);
        let open = move || match File::open(&staged) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Lost { upload }),
            opened => opened.map_err(|error| Error::io(REHASHING, error)),
        };
        let mut file = blocking(REHASHING, open).await?;
        let mut hasher = Hasher::new(algorithm);
        let mut next = Some(0);
        // In steps, so that a dropped call stops, and others get the thread.
        while let Some(at) = next {
            (file, hasher, next) = blocking(REHASHING, move || {
                let next = rehash_step(&file, &mut hasher, at)
                    .map_err(|error| Error::io(REHASHING, error))?;
                Ok((file, hasher, next))
            })
            .await?;
        }
        Ok(hasher.finish())
    }

    async fn open(&self, location: &Location) -> Result<BlobSource, Error> {
        const OPENING: &str = "opening a blob";
        let path = self.layout.blob(location)?;
        let file = if let Some(file) = open_cached(&path) {
            file
        } else {
            let location = location.clone();
            let open = move || match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(Error::NotFound { location })
                }
                opened => opened.map_err(|error| Error::io(OPENING, error)),
            };
            blocking(OPENING, open).await?
        };
        let metadata = file.metadata().map_err(|error| Error::io(OPENING, error))?;
        let reader = FileReader {
            file: Arc::new(file),
            pool: Arc::clone(&self.pool),
        };
        Ok(BlobSource::new(
            location.clone(),
            metadata.len(),
            Arc::new(reader),
        ))
    }

    async fn presign(&self, _: &Location, _: Duration, _: &str) -> Result<Option<String>, Error> {
        Ok(None)
    }

    async fn delete(&self, location: &Location) -> Result<(), Error> {
        const DELETING: &str = "deleting a blob";
        let path = self.layout.blob(location)?;
        blocking(DELETING, move || promote::remove(&path, DELETING)).await
    }

    async fn quarantine(&self, location: &Location) -> Result<(), Error> {
        let (layout, location) = (Arc::clone(&self.layout), location.clone());
        blocking("moving a damaged blob aside", move || {
            promote::quarantine(&layout, &location)
        })
        .await
    }

    fn list(&self) -> BoxStream<'static, Result<StoredObject, Error>> {
        walk::stored(Arc::clone(&self.layout))
    }

    fn list_staged(&self) -> BoxStream<'static, Result<StagedObject, Error>> {
        walk::staged(Arc::clone(&self.layout))
    }

    async fn probe(&self) -> Result<(), Error> {
        const PROBING: &str = "testing whether the blob store takes writes";
        let path = self.layout.probe();
        blocking(PROBING, move || {
            let written = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&path)
                .and_then(|mut file| {
                    // A whole block: a full disk still makes empty files.
                    file.write_all(&[0; 4096])?;
                    durability::sync_file(&file)
                });
            let removed = promote::remove(&path, PROBING);
            written.map_err(|error| Error::io(PROBING, error))?;
            removed
        })
        .await
    }
}
