//! One blob from here to there, once for each destination.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use landfall_oci::{Descriptor, Digest};
use tokio::sync::{OnceCell, Semaphore};

use super::{Event, Watch};
use crate::{
    Destination, Error, Limits, Opener, Source, Stored,
    content::{ByteStream, Origin},
};

/// A blob that is begun, and done when the cell is filled.
type Flight = Arc<OnceCell<()>>;

/// The blobs of all images of a copy.
pub(super) struct Blobs {
    /// How many may be on their way.
    pub(super) jobs: usize,
    slots: Semaphore,
    /// The blobs that were begun, by their destination. Held for look-ups.
    flights: Mutex<HashMap<(usize, Digest), Flight>>,
    /// A repository of the destination that has the blob. Held for look-ups.
    placed: Mutex<HashMap<Digest, Origin>>,
    pub(super) watch: Arc<dyn Watch>,
    limits: Limits,
}

/// What became of a blob, for the one who asked first.
pub(super) struct Done {
    pub(super) stored: Stored,
    /// The bytes that were read for it.
    pub(super) moved: u64,
}

impl Blobs {
    pub(super) fn new(jobs: usize, watch: Arc<dyn Watch>, limits: Limits) -> Self {
        Self {
            jobs: jobs.max(1),
            slots: Semaphore::new(jobs.max(1)),
            flights: Mutex::default(),
            placed: Mutex::default(),
            watch,
            limits,
        }
    }

    /// Sees to it that the destination has the blob.
    pub(super) async fn place(
        &self,
        source: &Arc<dyn Source>,
        destination: &Arc<dyn Destination>,
        blob: &Descriptor,
    ) -> Result<Done, Error> {
        if blob.size > self.limits.blob {
            return Err(Error::Refused(format!(
                "the blob `{}` has {} bytes, more than are taken",
                blob.digest, blob.size
            )));
        }
        let address = Arc::as_ptr(destination).cast::<()>() as usize;
        let flight = Arc::clone(
            lock(&self.flights)
                .entry((address, blob.digest))
                .or_default(),
        );
        let mut done = Done {
            stored: Stored::Held,
            moved: 0,
        };
        flight
            .get_or_try_init(|| async {
                let _slot = self.slots.acquire().await;
                done = self.carry(source, destination, blob).await?;
                Ok::<_, Error>(())
            })
            .await?;
        Ok(done)
    }

    async fn carry(
        &self,
        source: &Arc<dyn Source>,
        destination: &Arc<dyn Destination>,
        blob: &Descriptor,
    ) -> Result<Done, Error> {
        let home = destination.origin();
        let mut done = Done {
            stored: Stored::Held,
            moved: 0,
        };
        if !destination.holds_blob(blob).await? {
            let mount = home
                .as_ref()
                .and_then(|home| self.mountable(source, home, blob));
            let mount = mount.map(|origin| origin.repository);
            let carrier = Carrier {
                source: Arc::clone(source),
                descriptor: blob.clone(),
                watch: Arc::clone(&self.watch),
                moved: Arc::default(),
            };
            let digest = &blob.digest;
            self.watch.event(Event::BlobBegins {
                digest,
                size: blob.size,
            });
            let stored = destination.store_blob(&carrier, mount.as_ref()).await;
            let stored_as = stored.as_ref().ok().copied();
            self.watch.event(Event::BlobEnds {
                digest,
                stored: stored_as,
            });
            done = Done {
                stored: stored?,
                moved: carrier.moved.load(Ordering::Relaxed),
            };
        }
        if let Some(home) = home {
            lock(&self.placed).insert(blob.digest, home);
        }
        Ok(done)
    }

    /// A repository of the same registry that has the blob.
    fn mountable(
        &self,
        source: &Arc<dyn Source>,
        home: &Origin,
        blob: &Descriptor,
    ) -> Option<Origin> {
        let known = lock(&self.placed).get(&blob.digest).cloned();
        let candidates = [known, source.origin()];
        candidates
            .into_iter()
            .flatten()
            .find(|other| other.registry == home.registry && other.repository != home.repository)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A blob of a source, watched while it is read.
struct Carrier {
    source: Arc<dyn Source>,
    descriptor: Descriptor,
    watch: Arc<dyn Watch>,
    moved: Arc<AtomicU64>,
}

#[async_trait]
impl Opener for Carrier {
    fn place(&self) -> String {
        self.source.place()
    }

    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    async fn open(&self, from: u64) -> Result<ByteStream, Error> {
        let stream = self.source.blob(&self.descriptor, from).await?;
        let (watch, moved) = (Arc::clone(&self.watch), Arc::clone(&self.moved));
        let digest = self.descriptor.digest;
        Ok(Box::pin(stream.inspect_ok(move |chunk| {
            let bytes = chunk.len() as u64;
            moved.fetch_add(bytes, Ordering::Relaxed);
            watch.event(Event::BlobMoves {
                digest: &digest,
                bytes,
            });
        })))
    }

    fn resumed(&self, from: u64) {
        self.watch.event(Event::BlobAt {
            digest: &self.descriptor.digest,
            at: from,
        });
    }
}
