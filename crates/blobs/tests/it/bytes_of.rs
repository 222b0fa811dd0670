//! Content to store, and short ways to store and to read it.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::TryStreamExt;
use landfall_blobs::{BlobStore, Error, Finished, Location, Resume, Suspended};
use landfall_ids::UploadId;
use landfall_oci::{Algorithm, Digest, Hasher};

/// An upload that no other test has.
pub(crate) fn new_upload() -> UploadId {
    UploadId::new_at(1_795_530_000_000_000)
}

/// A hasher that has seen nothing.
pub(crate) fn sha256() -> Hasher {
    Hasher::new(Algorithm::Sha256)
}

/// `length` bytes that do not repeat with any power of two. Other seeds make
/// other bytes.
pub(crate) fn content(length: usize, seed: u8) -> Bytes {
    let mut bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
    if let Some(first) = bytes.first_mut() {
        *first = seed;
    }
    bytes.into()
}

/// The digest that every test names content by.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

/// A writer that starts over. Later ones have greater tokens, whatever the upload.
pub(crate) fn start() -> Resume {
    resume(0, sha256(), &[])
}

/// A writer that goes on.
pub(crate) fn resume(offset: u64, hasher: Hasher, state: &[u8]) -> Resume {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Resume {
        offset,
        hasher,
        token: NEXT.fetch_add(1, Ordering::Relaxed),
        state: state.to_vec(),
    }
}

/// A writer that goes on where another was suspended.
pub(crate) fn after(suspended: &Suspended) -> Resume {
    resume(suspended.offset, suspended.hasher.clone(), &suspended.state)
}

/// Stages `bytes` whole and closes the upload.
pub(crate) async fn stage_whole(
    store: &dyn BlobStore,
    upload: UploadId,
    bytes: &Bytes,
) -> Result<Finished, Error> {
    let mut staging = store.stage(upload, start()).await?;
    staging.append(bytes.clone()).await?;
    let finished = staging.finish().await?;
    assert_eq!(finished.size, bytes.len() as u64);
    assert_eq!(finished.digest, digest(bytes));
    Ok(finished)
}

/// Stages `bytes` and puts the writer aside.
pub(crate) async fn suspend_whole(
    store: &dyn BlobStore,
    upload: UploadId,
    bytes: &Bytes,
) -> Result<Suspended, Error> {
    let mut staging = store.stage(upload, start()).await?;
    staging.append(bytes.clone()).await?;
    staging.suspend().await
}

/// Gives a closed upload its location.
pub(crate) async fn promote(
    store: &dyn BlobStore,
    upload: UploadId,
    finished: &Finished,
) -> Result<Location, Error> {
    let Finished { digest, staged, .. } = finished;
    store.promote(upload, digest, staged).await
}

/// Stores `bytes` by an upload of its own.
pub(crate) async fn put(store: &dyn BlobStore, bytes: &Bytes) -> Result<Location, Error> {
    let upload = new_upload();
    let finished = stage_whole(store, upload, bytes).await?;
    promote(store, upload, &finished).await
}

/// All bytes at `location`.
pub(crate) async fn get(store: &dyn BlobStore, location: &Location) -> Result<Vec<u8>, Error> {
    let source = store.open(location).await?;
    let chunks: Vec<Bytes> = source.read(0..source.size()).try_collect().await?;
    Ok(chunks.concat())
}
