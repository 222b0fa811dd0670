//! A store that is written only while somebody says that it may be.

use std::{fmt, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use landfall_ids::{StoreId, UploadId};
use landfall_oci::{Algorithm, Digest};

use crate::{
    BlobSource, BlobStore, Error, Location, Resume, Staged, StagedObject, Staging, StoredObject,
};

/// A store whose bytes are not changed while its owner is not sure to be the
/// only one: whatever would do so is [`Error::Away`] then. Reading goes on. What
/// a writer takes that was opened before counts only when it is promoted.
pub struct GatedStore {
    inner: Arc<dyn BlobStore>,
    may_write: Box<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for GatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatedStore")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl GatedStore {
    /// `inner`, written only while `may_write` says so.
    pub fn new(
        inner: Arc<dyn BlobStore>,
        may_write: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner,
            may_write: Box::new(may_write),
        }
    }

    fn writes(&self) -> Result<&dyn BlobStore, Error> {
        if (self.may_write)() {
            Ok(&*self.inner)
        } else {
            let what = "this server is not sure to be the only one that uses the store";
            Err(Error::Away(io::Error::other(what)))
        }
    }
}

#[async_trait]
impl BlobStore for GatedStore {
    async fn store_id(&self) -> Result<Option<StoreId>, Error> {
        self.inner.store_id().await
    }

    async fn claim(&self, id: StoreId) -> Result<(), Error> {
        self.writes()?.claim(id).await
    }

    async fn incarnation(&self) -> Result<Option<StoreId>, Error> {
        self.inner.incarnation().await
    }

    async fn reclaim(&self, id: StoreId, incarnation: StoreId) -> Result<(), Error> {
        self.writes()?.reclaim(id, incarnation).await
    }

    async fn stage(&self, upload: UploadId, resume: Resume) -> Result<Box<dyn Staging>, Error> {
        self.writes()?.stage(upload, resume).await
    }

    async fn promote(
        &self,
        upload: UploadId,
        digest: &Digest,
        staged: &Staged,
    ) -> Result<Location, Error> {
        self.writes()?.promote(upload, digest, staged).await
    }

    async fn discard(&self, upload: UploadId) -> Result<(), Error> {
        self.writes()?.discard(upload).await
    }

    async fn digest_staged(
        &self,
        upload: UploadId,
        staged: &Staged,
        algorithm: Algorithm,
    ) -> Result<Digest, Error> {
        let store = self.writes()?;
        store.digest_staged(upload, staged, algorithm).await
    }

    async fn open(&self, location: &Location) -> Result<BlobSource, Error> {
        self.inner.open(location).await
    }

    async fn presign(
        &self,
        location: &Location,
        lifetime: Duration,
        media_type: &str,
    ) -> Result<Option<String>, Error> {
        self.inner.presign(location, lifetime, media_type).await
    }

    async fn delete(&self, location: &Location) -> Result<(), Error> {
        self.writes()?.delete(location).await
    }

    async fn quarantine(&self, location: &Location) -> Result<(), Error> {
        self.writes()?.quarantine(location).await
    }

    fn list(&self) -> BoxStream<'static, Result<StoredObject, Error>> {
        self.inner.list()
    }

    fn list_staged(&self) -> BoxStream<'static, Result<StagedObject, Error>> {
        self.inner.list_staged()
    }

    async fn probe(&self) -> Result<(), Error> {
        self.writes()?.probe().await
    }
}
