//! A store that fails by rule.
//!
//! [`FaultyStore`] is a real store: it passes every call on to another one, and
//! its uploads, listings and streams are those of that store. Rules make chosen
//! calls fail, before the work or after it is done, or wait on the way. Tests
//! put it where a store is expected, and see what the rest does with a disk
//! that is full at the third write or an answer that is lost after the rename.
//!
//! ```
//! # use std::sync::Arc;
//! # use landfall_blobs::{BlobStore, Calls, DiskStore, Error, Fault, FaultyStore, Moment, Operation};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let store = FaultyStore::new(Arc::new(DiskStore::open(directory.path())?));
//! store.fail(Operation::Probe, Calls::Nth(2), Fault::Full, Moment::Before);
//! assert!(store.probe().await.is_ok());
//! assert!(matches!(store.probe().await, Err(Error::Full(_))));
//! assert!(store.probe().await.is_ok());
//! # Ok(())
//! # }
//! ```

mod rules;

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::{future::BoxFuture, stream::BoxStream};
use futures_util::{StreamExt, stream};
use landfall_ids::{StoreId, UploadId};
use landfall_oci::{Algorithm, Digest};

use crate::{
    BlobSource, BlobStore, Error, Finished, Location, RangeReader, Resume, Staged, StagedObject,
    Staging, StoredObject, Suspended,
};
pub use rules::{Calls, Fault, Moment, Operation};
use rules::{Rules, Subject};

/// Wraps another store and fails by rule. Clones share the rules.
#[derive(Debug, Clone)]
pub struct FaultyStore {
    inner: Arc<dyn BlobStore>,
    rules: Arc<Rules>,
}

impl FaultyStore {
    /// A store that does what `inner` does, until it is told otherwise.
    pub fn new(inner: Arc<dyn BlobStore>) -> Self {
        Self {
            inner,
            rules: Arc::default(),
        }
    }

    /// Makes `calls` of `operation` fail with `fault`. Calls are counted from
    /// 1, and from the making of the store. The first rule that fits wins.
    pub fn fail(&self, operation: Operation, calls: Calls, fault: Fault, moment: Moment) {
        self.rules.add_fault(operation, calls, fault, moment);
    }

    /// Makes `calls` of `operation` wait for the future that `hook` makes,
    /// before anything else happens to them. The hook gets the number of the
    /// call.
    pub fn stall(
        &self,
        operation: Operation,
        calls: Calls,
        hook: impl Fn(u64) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) {
        self.rules.add_stall(operation, calls, Arc::new(hook));
    }

    /// Forgets all rules, but not the counts.
    pub fn heal(&self) {
        self.rules.clear();
    }

    /// How many calls of `operation` there were.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.rules.calls(operation)
    }

    /// A listing whose every entry counts as a call.
    fn faulty_list<T: Send + 'static>(
        &self,
        operation: Operation,
        entries: BoxStream<'static, Result<T, Error>>,
    ) -> BoxStream<'static, Result<T, Error>> {
        let rules = Arc::clone(&self.rules);
        faulty_stream(rules, operation, Subject::Store, entries)
    }
}

/// Yields what `items` yields, each item as a call of `operation`; ends after
/// the first error.
fn faulty_stream<T: Send + 'static>(
    rules: Arc<Rules>,
    operation: Operation,
    subject: Subject,
    items: BoxStream<'static, Result<T, Error>>,
) -> BoxStream<'static, Result<T, Error>> {
    stream::unfold(Some(items), move |items| {
        let (rules, subject) = (Arc::clone(&rules), subject.clone());
        async move {
            let mut items = items?;
            let next = async { items.next().await.transpose() };
            let item = rules.call(operation, &subject, next).await.transpose()?;
            let items = item.is_ok().then_some(items);
            Some((item, items))
        }
    })
    .boxed()
}

#[derive(Debug)]
struct FaultyReader {
    inner: BlobSource,
    location: Location,
    rules: Arc<Rules>,
}

impl RangeReader for FaultyReader {
    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Error>> {
        let chunks = self.inner.read(range).boxed();
        let subject = Subject::Location(self.location.clone());
        faulty_stream(Arc::clone(&self.rules), Operation::Read, subject, chunks)
    }
}

struct FaultyStaging {
    inner: Box<dyn Staging>,
    upload: UploadId,
    rules: Arc<Rules>,
}

#[async_trait]
impl Staging for FaultyStaging {
    async fn append(&mut self, bytes: Bytes) -> Result<(), Error> {
        let subject = Subject::Upload(self.upload);
        self.rules
            .call(Operation::Append, &subject, self.inner.append(bytes))
            .await
    }

    fn offset(&self) -> u64 {
        self.inner.offset()
    }

    async fn suspend(self: Box<Self>) -> Result<Suspended, Error> {
        let subject = Subject::Upload(self.upload);
        self.rules
            .call(Operation::Suspend, &subject, self.inner.suspend())
            .await
    }

    async fn finish(self: Box<Self>) -> Result<Finished, Error> {
        let subject = Subject::Upload(self.upload);
        self.rules
            .call(Operation::Finish, &subject, self.inner.finish())
            .await
    }
}

#[async_trait]
impl BlobStore for FaultyStore {
    async fn store_id(&self) -> Result<Option<StoreId>, Error> {
        self.rules
            .call(Operation::StoreId, &Subject::Store, self.inner.store_id())
            .await
    }

    async fn claim(&self, id: StoreId) -> Result<(), Error> {
        self.rules
            .call(Operation::Claim, &Subject::Store, self.inner.claim(id))
            .await
    }

    async fn incarnation(&self) -> Result<Option<StoreId>, Error> {
        let read = self.inner.incarnation();
        self.rules
            .call(Operation::StoreId, &Subject::Store, read)
            .await
    }

    async fn reclaim(&self, id: StoreId, incarnation: StoreId) -> Result<(), Error> {
        let write = self.inner.reclaim(id, incarnation);
        self.rules
            .call(Operation::Claim, &Subject::Store, write)
            .await
    }

    async fn stage(&self, upload: UploadId, resume: Resume) -> Result<Box<dyn Staging>, Error> {
        let stage = self.inner.stage(upload, resume);
        let subject = Subject::Upload(upload);
        let inner = self.rules.call(Operation::Stage, &subject, stage).await?;
        Ok(Box::new(FaultyStaging {
            inner,
            upload,
            rules: Arc::clone(&self.rules),
        }))
    }

    async fn promote(
        &self,
        upload: UploadId,
        digest: &Digest,
        staged: &Staged,
    ) -> Result<Location, Error> {
        let promote = self.inner.promote(upload, digest, staged);
        self.rules
            .call(Operation::Promote, &Subject::Upload(upload), promote)
            .await
    }

    async fn discard(&self, upload: UploadId) -> Result<(), Error> {
        let discard = self.inner.discard(upload);
        self.rules
            .call(Operation::Discard, &Subject::Upload(upload), discard)
            .await
    }

    async fn digest_staged(
        &self,
        upload: UploadId,
        staged: &Staged,
        algorithm: Algorithm,
    ) -> Result<Digest, Error> {
        let digest = self.inner.digest_staged(upload, staged, algorithm);
        self.rules
            .call(Operation::DigestStaged, &Subject::Upload(upload), digest)
            .await
    }

    async fn open(&self, location: &Location) -> Result<BlobSource, Error> {
        let subject = Subject::Location(location.clone());
        let open = self.inner.open(location);
        let inner = self.rules.call(Operation::Open, &subject, open).await?;
        let size = inner.size();
        let reader = FaultyReader {
            inner,
            location: location.clone(),
            rules: Arc::clone(&self.rules),
        };
        Ok(BlobSource::new(location.clone(), size, Arc::new(reader)))
    }

    /// Does not fail: it asks nobody.
    async fn presign(
        &self,
        location: &Location,
        lifetime: Duration,
        media_type: &str,
    ) -> Result<Option<String>, Error> {
        self.inner.presign(location, lifetime, media_type).await
    }

    async fn delete(&self, location: &Location) -> Result<(), Error> {
        let subject = Subject::Location(location.clone());
        self.rules
            .call(Operation::Delete, &subject, self.inner.delete(location))
            .await
    }

    async fn quarantine(&self, location: &Location) -> Result<(), Error> {
        let subject = Subject::Location(location.clone());
        let quarantine = self.inner.quarantine(location);
        self.rules
            .call(Operation::Quarantine, &subject, quarantine)
            .await
    }

    fn list(&self) -> BoxStream<'static, Result<StoredObject, Error>> {
        self.faulty_list(Operation::List, self.inner.list())
    }

    fn list_staged(&self) -> BoxStream<'static, Result<StagedObject, Error>> {
        self.faulty_list(Operation::ListStaged, self.inner.list_staged())
    }

    async fn probe(&self) -> Result<(), Error> {
        self.rules
            .call(Operation::Probe, &Subject::Store, self.inner.probe())
            .await
    }
}
