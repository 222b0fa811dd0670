//! The interface of a blob store, and what its calls return.
//!
//! The life of a blob: [`BlobStore::stage`] opens a writer, [`Staging::append`]
//! takes the bytes, [`Staging::suspend`] makes a part durable between two
//! requests, [`Staging::finish`] makes the whole durable and tells its digest,
//! and [`BlobStore::promote`] gives it a location. What each of them has on
//! the disk when it returns is told in [`crate::durability`].

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use landfall_clock::Timestamp;
use landfall_ids::{StoreId, UploadId};
use landfall_oci::{Algorithm, Digest, Hasher};

use crate::{BlobSource, Error, Location};

/// A place where bytes are kept. All calls are made inside of a Tokio runtime.
#[async_trait]
pub trait BlobStore: Send + Sync + Debug {
    /// The identifier that the store carries, or `None` for a new store.
    async fn store_id(&self) -> Result<Option<StoreId>, Error>;

    /// Writes `id` into the store, durably. Does nothing if the store carries
    /// it already; [`Error::Claimed`] if it carries another one.
    async fn claim(&self, id: StoreId) -> Result<(), Error>;

    /// A writer for the bytes of `upload` from `offset` on. `hasher` has seen
    /// the first `offset` bytes. Staged bytes beyond `offset` are thrown away;
    /// if there are fewer than `offset`, the answer is [`Error::Lost`].
    ///
    /// Bytes that were promoted count as staged: an upload goes on whose
    /// location was never committed, because a crash came first. So the caller
    /// stages nothing for an upload that a row says has ended.
    ///
    /// An earlier writer of the same upload is fenced off: what it still
    /// writes is refused with [`Error::Superseded`] and touches nothing.
    async fn stage(
        &self,
        upload: UploadId,
        offset: u64,
        hasher: Hasher,
    ) -> Result<Box<dyn Staging>, Error>;

    /// Moves the staged bytes, which [`Staging::finish`] or
    /// [`Staging::suspend`] made durable, to a location of their own. `digest`
    /// is that of the bytes; the caller has compared it. A second call with the
    /// same arguments returns the same location; [`Error::Lost`] if there are
    /// no staged bytes, [`Error::Superseded`] while somebody writes them.
    ///
    /// The location counts only if no other request has finished the upload
    /// meanwhile, with other bytes. The store can't know that; the caller
    /// commits the location by the token of its upload session, or not at all.
    async fn promote(&self, upload: UploadId, digest: &Digest) -> Result<Location, Error>;

    /// Throws the staged bytes of `upload` away. Does nothing if there are
    /// none.
    async fn discard(&self, upload: UploadId) -> Result<(), Error>;

    /// Reads the staged bytes again and hashes them with `algorithm`, for the
    /// upload that turns out to be named by another algorithm than the one it
    /// was hashed with. [`Error::Lost`] if there are none.
    async fn digest_staged(&self, upload: UploadId, algorithm: Algorithm) -> Result<Digest, Error>;

    /// The bytes at `location`, for reading. They stay readable through the
    /// returned source even if the location is deleted meanwhile.
    async fn open(&self, location: &Location) -> Result<BlobSource, Error>;

    /// Deletes the bytes at `location`. Does nothing if there are none.
    async fn delete(&self, location: &Location) -> Result<(), Error>;

    /// Moves damaged bytes aside, durably, so that a person can look at them.
    /// The location is empty afterwards. Does nothing if they were moved
    /// before; [`Error::NotFound`] if there never were any.
    async fn quarantine(&self, location: &Location) -> Result<(), Error>;

    /// Every stored object, in no order. What is stored or deleted while the
    /// stream runs may be in it or not. Memory does not grow with the store.
    fn list(&self) -> BoxStream<'static, Result<StoredObject, Error>>;

    /// Every staged object, in no order, as [`BlobStore::list`] does it.
    fn list_staged(&self) -> BoxStream<'static, Result<StagedObject, Error>>;

    /// Whether the store takes writes at this moment: writes a little, makes
    /// it durable, and removes it.
    async fn probe(&self) -> Result<(), Error>;
}

/// A writer of one upload. Dropping it loses the bytes since the last
/// [`Staging::suspend`], and nothing else.
#[async_trait]
pub trait Staging: Send {
    /// Takes the next bytes. Waits while too many are still unwritten, so the
    /// memory of an upload is bounded whatever the speed of the disk. A
    /// failure may belong to bytes taken earlier, and ends the writer.
    ///
    /// If the call is cancelled, [`Staging::offset`] tells whether the bytes
    /// were taken.
    async fn append(&mut self, bytes: Bytes) -> Result<(), Error>;

    /// How many bytes of the upload were taken so far, from its start.
    fn offset(&self) -> u64;

    /// Writes everything that was taken and makes it durable, for a later
    /// [`BlobStore::stage`].
    async fn suspend(self: Box<Self>) -> Result<Suspended, Error>;

    /// Writes everything that was taken and makes it durable, for
    /// [`BlobStore::promote`].
    async fn finish(self: Box<Self>) -> Result<Finished, Error>;
}

/// What to keep between two requests of an upload.
#[derive(Debug)]
#[must_use]
pub struct Suspended {
    /// How many bytes are durable.
    pub offset: u64,
    /// The state of the hash after them.
    pub hasher: Hasher,
}

/// What an upload turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Finished {
    /// The digest of all its bytes.
    pub digest: Digest,
    /// How many bytes they are.
    pub size: u64,
}

/// An object with a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Where it lies.
    pub location: Location,
    /// How many bytes it has.
    pub size: u64,
    /// When it was last written.
    pub modified: Timestamp,
}

/// An object of a running or abandoned upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StagedObject {
    /// The upload it belongs to.
    pub upload: UploadId,
    /// How many bytes were written, durable or not.
    pub size: u64,
    /// When it was last written.
    pub modified: Timestamp,
}
