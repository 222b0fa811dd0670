//! The interface of a blob store, and what its calls return.
//!
//! The life of a blob: [`BlobStore::stage`] opens a writer, [`Staging::append`]
//! takes the bytes, [`Staging::suspend`] makes a part durable between two
//! requests, [`Staging::finish`] closes the upload and tells its digest, and
//! [`BlobStore::promote`] gives it a location. What is durable when each of
//! them returns is told in [`crate::durability`].

use std::{
    fmt::{self, Debug, Formatter},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use landfall_clock::Timestamp;
use landfall_ids::{StoreId, UploadId};
use landfall_oci::{Algorithm, Digest, Hasher};

use crate::{BlobSource, Error, Location, fence::Turn};

/// A place where bytes are kept. All calls are made inside of a Tokio runtime.
#[async_trait]
pub trait BlobStore: Send + Sync + Debug {
    /// The identifier that the store carries, or `None` for a new store.
    async fn store_id(&self) -> Result<Option<StoreId>, Error>;

    /// Writes `id` into the store, durably. Does nothing if the store carries
    /// it already; [`Error::Claimed`] if it carries another one.
    async fn claim(&self, id: StoreId) -> Result<(), Error>;

    /// The incarnation that the store carries beside its identifier: which of
    /// the databases of one identity it belongs to. `None` until a database was
    /// restored over it.
    async fn incarnation(&self) -> Result<Option<StoreId>, Error>;

    /// Writes `incarnation` into the store `id`, durably, in place of the one
    /// that is there. [`Error::Claimed`] if the store carries another identifier,
    /// [`Error::InUse`] if somebody else does the same at this moment.
    async fn reclaim(&self, id: StoreId, incarnation: StoreId) -> Result<(), Error>;

    /// A writer that goes on with `upload` where `resume` says. Staged bytes
    /// beyond that offset are thrown away; if there are fewer, the answer is
    /// [`Error::Lost`].
    ///
    /// Bytes that were promoted count as staged: an upload goes on whose
    /// location was never committed, because a crash came first. So the caller
    /// stages nothing for an upload that a row says has ended.
    ///
    /// An earlier writer of the same upload is fenced off: what it still
    /// writes harms nobody, and it hears [`Error::Superseded`] if it is one of
    /// this process. Writers of other processes may hear of it only when they
    /// put what they have on record, by their token.
    async fn stage(&self, upload: UploadId, resume: Resume) -> Result<Box<dyn Staging>, Error>;

    /// Gives the bytes that [`Staging::finish`] has closed a location of their
    /// own, durably. `digest` is that of the bytes; the caller has compared it.
    /// A second call with the same arguments returns the same location;
    /// [`Error::Lost`] if there are no staged bytes, [`Error::Superseded`] while
    /// somebody writes them.
    ///
    /// The location counts only if no other request has finished the upload
    /// meanwhile, with other bytes. The store can't know that; the caller
    /// commits the location by the token of its upload session, or not at all.
    /// The request that finishes an upload may throw the objects of earlier
    /// ones away.
    async fn promote(
        &self,
        upload: UploadId,
        digest: &Digest,
        staged: &Staged,
    ) -> Result<Location, Error>;

    /// Throws the staged bytes of `upload` away. Does nothing if there are
    /// none.
    async fn discard(&self, upload: UploadId) -> Result<(), Error>;

    /// Reads the staged bytes again and hashes them with `algorithm`, for the
    /// upload that turns out to be named by another algorithm than the one it
    /// was hashed with. [`Error::Lost`] if there are none.
    async fn digest_staged(
        &self,
        upload: UploadId,
        staged: &Staged,
        algorithm: Algorithm,
    ) -> Result<Digest, Error>;

    /// The bytes at `location`, for reading. They stay readable through the
    /// returned source even if the location is deleted meanwhile.
    async fn open(&self, location: &Location) -> Result<BlobSource, Error>;

    /// A URL that lets whoever has it read the bytes at `location` until
    /// `lifetime` has passed, straight from where they lie, as content of
    /// `media_type`. `None` if this store has nothing of the kind.
    async fn presign(
        &self,
        location: &Location,
        lifetime: Duration,
        media_type: &str,
    ) -> Result<Option<String>, Error>;

    /// Deletes the bytes at `location`. Does nothing if there are none.
    async fn delete(&self, location: &Location) -> Result<(), Error>;

    /// Moves damaged bytes aside, durably, so that a person can look at them.
    /// The location is empty afterwards. Does nothing if they were moved
    /// before; [`Error::NotFound`] if there never were any.
    async fn quarantine(&self, location: &Location) -> Result<(), Error>;

    /// Every stored object, in no order. What is stored or deleted while the
    /// stream runs may be in it or not. Memory does not grow with the store.
    fn list(&self) -> BoxStream<'static, Result<StoredObject, Error>>;

    /// Every staged object, in no order, as [`BlobStore::list`] does it. An
    /// upload may have several.
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

    /// Closes the upload, for [`BlobStore::promote`].
    async fn finish(self: Box<Self>) -> Result<Finished, Error>;
}

/// Where a writer starts.
#[derive(Debug)]
pub struct Resume {
    /// How many bytes of the upload are on record.
    pub offset: u64,
    /// The state of the hash after them.
    pub hasher: Hasher,
    /// The number of this writer. A later writer of the upload has a greater
    /// one, and two never have the same.
    pub token: u64,
    /// What the store said when those bytes were put on record
    /// ([`Suspended::state`]); empty for a new upload.
    pub state: Vec<u8>,
}

impl Resume {
    /// The first writer of a new upload.
    pub fn new(hasher: Hasher) -> Self {
        Self {
            offset: 0,
            hasher,
            token: 1,
            state: Vec::new(),
        }
    }
}

/// What to keep between two requests of an upload.
#[derive(Debug)]
#[must_use]
pub struct Suspended {
    /// How many bytes are durable.
    pub offset: u64,
    /// The state of the hash after them.
    pub hasher: Hasher,
    /// Where the store has them. It counts only if it is put on record by the
    /// token of its writer; nobody but the store looks into it.
    pub state: Vec<u8>,
}

/// What an upload turned out to be.
#[derive(Debug, Clone)]
#[must_use]
pub struct Finished {
    /// The digest of all its bytes.
    pub digest: Digest,
    /// How many bytes they are.
    pub size: u64,
    /// Where the store has them.
    pub staged: Staged,
}

/// The bytes of a closed upload, between [`Staging::finish`] and
/// [`BlobStore::promote`]. What is in it is the store's.
#[derive(Clone, Default)]
pub struct Staged {
    /// As [`Suspended::state`].
    pub(crate) state: Vec<u8>,
    /// Bytes that the store does not have yet: all of a small upload.
    pub(crate) held: Bytes,
    /// Whose bytes they are, for a store that has to remember it.
    pub(crate) turn: Option<Turn>,
}

impl Debug for Staged {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged")
            .field("state", &String::from_utf8_lossy(&self.state))
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
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
