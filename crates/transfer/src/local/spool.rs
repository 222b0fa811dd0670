//! A folder of blobs that grows: `<folder>/<algorithm>/<hex>`.
//!
//! A blob is written to a partial file beside them, hashed as it comes,
//! synced, and renamed when it is what it should be. A partial file that an
//! interrupted copy has left is hashed again and continued; if the result is
//! wrong, it is fetched once more from the start. What lies under a digest is
//! therefore whole and durable.
//!
//! What was there before is trusted no more than what comes: manifests are
//! compared, and blobs are hashed once by each copy.
//!
//! Two copies of one blob at once wait for each other on the lock of its
//! partial file. A crash leaves partial files only.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::TryStreamExt;
use landfall_oci::{Descriptor, Digest};
use rustix::fs::OFlags;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::files;
use crate::{Error, Opener, Stored, content::Verifier};

/// How often a partial file of another copy is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Where blobs go.
#[derive(Debug, Clone)]
pub(super) struct Spool {
    blobs: PathBuf,
    partial: PathBuf,
    /// The blobs that were hashed. Held for look-ups.
    verified: Arc<Mutex<HashSet<Digest>>>,
}

impl Spool {
    /// Blobs in `blobs`, partial files in `partial`, on the same disk.
    pub(super) fn new(blobs: PathBuf, partial: PathBuf) -> Self {
        Self {
            blobs,
            partial,
            verified: Arc::default(),
        }
    }

    /// Where a blob lies or will lie.
    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs
            .join(digest.algorithm().as_str())
            .join(digest.hex())
    }

    /// Whether a blob is there, and is what it should be. What is not is
    /// written anew.
    pub(super) async fn holds(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        let path = self.path(&descriptor.digest);
        if files::length(&path) != Some(descriptor.size) {
            return Ok(false);
        }
        if self.verified().contains(&descriptor.digest) {
            return Ok(true);
        }
        let verifier = Verifier::new(format!("`{}`", path.display()), descriptor);
        let is_whole = files::blocking(move || {
            let hashed = files::open(&path).and_then(|file| hash(&path, file, verifier));
            Ok(hashed.and_then(Verifier::finish).is_ok())
        })
        .await?;
        if is_whole {
            self.verified().insert(descriptor.digest);
        }
        Ok(is_whole)
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, HashSet<Digest>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores bytes whose digest was computed from them. Tells whether they are
    /// new.
    pub(super) fn store_bytes(&self, digest: &Digest, bytes: &[u8]) -> Result<bool, Error> {
        let path = self.path(digest);
        let found = files::read(&path, bytes.len() as u64);
        if found.is_ok_and(|found| found == bytes) {
            return Ok(false);
        }
        let folder = self.folder(digest)?;
        files::write_whole(&folder, &digest.hex(), bytes)?;
        Ok(true)
    }

    fn folder(&self, digest: &Digest) -> Result<PathBuf, Error> {
        let folder = self.blobs.join(digest.algorithm().as_str());
        if fs::symlink_metadata(&folder).is_err() {
            files::make_folder(&folder)?;
        }
        files::check_folder(&folder)?;
        Ok(folder)
    }

    /// Stores a blob, or what is missing of it.
    pub(super) async fn store(&self, blob: &dyn Opener) -> Result<Stored, Error> {
        let descriptor = blob.descriptor();
        let Some((path, file)) = self.partial(descriptor).await? else {
            return Ok(Stored::Held);
        };
        let begun = file.metadata().map_or(0, |metadata| metadata.len());
        let mut filled = self.fill(blob, &path, &file, begun).await;
        if begun > 0 && matches!(filled, Err(Error::Damaged(_))) {
            // What an earlier copy has left may have gone bad.
            filled = self.fill(blob, &path, &file, 0).await;
        }
        if let Err(error) = filled {
            if matches!(error, Error::Damaged(_)) {
                let _ = fs::remove_file(&path);
            }
            return Err(error);
        }
        let (spool, digest) = (self.clone(), descriptor.digest);
        files::blocking(move || {
            if let Err(error) = file.sync_all() {
                // What a failed sync leaves is not to be relied on.
                let _ = fs::remove_file(&path);
                return Err(Error::file(&path, "can't be synced")(error));
            }
            let folder = spool.folder(&digest)?;
            let target = folder.join(digest.hex());
            fs::rename(&path, &target).map_err(Error::file(&target, "can't be written"))?;
            files::sync_folder(&folder)
        })
        .await?;
        self.verified().insert(digest);
        Ok(Stored::Copied)
    }

    /// The partial file of a blob, locked; nothing if the blob got there while
    /// another copy had the lock.
    async fn partial(&self, descriptor: &Descriptor) -> Result<Option<(PathBuf, File)>, Error> {
        files::make_private_folder(&self.partial)?;
        let digest = descriptor.digest;
        let name = format!("{}-{}", digest.algorithm(), digest.hex());
        let path = self.partial.join(name);
        let failed = "can't be written";
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .custom_flags(OFlags::NOFOLLOW.bits() as i32)
                .open(&path)
                .map_err(Error::file(&path, failed))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
                Err(TryLockError::Error(error)) => return Err(Error::file(&path, failed)(error)),
            }
            if self.holds(descriptor).await? {
                // If it was made just now, it stands for the finished blob.
                if is_at(&path, &file) {
                    let _ = fs::remove_file(&path);
                }
                return Ok(None);
            }
            if is_at(&path, &file) {
                return Ok(Some((path, file)));
            }
        }
    }

    /// Hashes what is there of a partial file, and adds the rest.
    async fn fill(
        &self,
        blob: &dyn Opener,
        path: &Path,
        file: &File,
        begun: u64,
    ) -> Result<(), Error> {
        let descriptor = blob.descriptor();
        let failed = "can't be written";
        let begun = if begun > descriptor.size { 0 } else { begun };
        file.set_len(begun).map_err(Error::file(path, failed))?;
        let mut verifier = Verifier::new(blob.place(), descriptor);
        if begun > 0 {
            let file = file.try_clone().map_err(Error::file(path, failed))?;
            let path = path.to_owned();
            verifier = files::blocking(move || hash(&path, file, verifier)).await?;
            blob.resumed(begun);
        }
        let file = file.try_clone().map_err(Error::file(path, failed))?;
        let mut file = tokio::fs::File::from_std(file);
        file.seek(io::SeekFrom::Start(begun))
            .await
            .map_err(Error::file(path, failed))?;
        let mut at = verifier.taken();
        if at < descriptor.size {
            let mut stream = blob.open(at).await?;
            while let Some(chunk) = stream.try_next().await? {
                verifier.take(at, &chunk)?;
                at += chunk.len() as u64;
                let written = file.write_all(&chunk).await;
                written.map_err(Error::file(path, failed))?;
            }
        }
        file.flush().await.map_err(Error::file(path, failed))?;
        verifier.finish()
    }
}

/// Whether `file` is the one that has this name now.
fn is_at(path: &Path, file: &File) -> bool {
    let named = fs::symlink_metadata(path);
    let open = file.metadata();
    matches!((named, open), (Ok(named), Ok(open))
        if (named.dev(), named.ino()) == (open.dev(), open.ino()))
}

/// Takes a file into the hash from its start.
fn hash(path: &Path, mut file: File, mut verifier: Verifier) -> Result<Verifier, Error> {
    use std::io::Seek;
    let failed = "can't be read";
    file.rewind().map_err(Error::file(path, failed))?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer).map_err(Error::file(path, failed))?;
        if read == 0 {
            return Ok(verifier);
        }
        verifier.take(verifier.taken(), &buffer[..read])?;
    }
}
