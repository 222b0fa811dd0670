//! One image: blobs first, then manifests from the leaves up, the name last.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{StreamExt, future::BoxFuture, stream};
use landfall_oci::{Descriptor, Digest, Manifest};
use tokio::sync::OnceCell;

use super::{Event, Outcome, Tally, WantedPlatform, blob::Blobs};
use crate::{
    Destination, Document, Error, Limits, Source, Stored, Wanted, error::shorten,
    registry::fallback_tag,
};

/// How many manifests of one image are looked at, at once.
const WIDTH: usize = 8;

/// What cosign puts behind the tag under which it keeps something about an
/// image.
const COSIGN: [&str; 3] = ["sig", "att", "sbom"];

/// A manifest that is begun, and stored when the cell is filled, unless the
/// copy has failed.
type Flight = Arc<OnceCell<()>>;

/// One image on its way.
pub(super) struct ImageCopy<'a> {
    pub(super) blobs: &'a Blobs,
    pub(super) source: &'a Arc<dyn Source>,
    pub(super) destination: &'a Arc<dyn Destination>,
    pub(super) limits: &'a Limits,
    progress: Mutex<Progress>,
    has_failed: AtomicBool,
}

/// The first error, if there is one.
fn all_of(done: Vec<Result<(), Error>>) -> Result<(), Error> {
    done.into_iter().collect()
}

/// What was done so far. Held for single changes.
#[derive(Default)]
struct Progress {
    tally: Tally,
    /// The manifests that were begun, and those that may have referrers.
    seen: HashSet<Digest>,
    subjects: Vec<Digest>,
    flights: HashMap<Digest, Flight>,
}

/// How an image is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    /// Under its digest.
    Plain,
    /// By whoever gives it its name.
    Later,
}

impl<'a> ImageCopy<'a> {
    pub(super) fn new(
        blobs: &'a Blobs,
        source: &'a Arc<dyn Source>,
        destination: &'a Arc<dyn Destination>,
        limits: &'a Limits,
    ) -> Self {
        Self {
            blobs,
            source,
            destination,
            limits,
            progress: Mutex::default(),
            has_failed: AtomicBool::new(false),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done, in the end or up to a failure.
    pub(super) fn tally(&self) -> Tally {
        self.progress().tally
    }

    /// Copies the image that is wanted, and names it.
    pub(super) async fn run(
        &self,
        wanted: &Wanted,
        name: Option<&str>,
        platform: Option<&WantedPlatform>,
        referrers: bool,
    ) -> Result<(Digest, Outcome), Error> {
        let mut document = self.source.find(wanted).await?;
        if let Some(platform) = platform {
            document = platform.choose(self.source, document, self.limits).await?;
        }
        let digest = document.digest;
        let held = self.tree(document.clone(), 0, Store::Later).await?;
        let named = self.destination.name(&document, name).await?;
        self.count_manifest(&document, held || !named);
        self.mark_stored(digest);
        if referrers {
            self.referrers().await?;
        }
        let tally = self.tally();
        let is_new = named || tally.copied.count + tally.mounted.count + tally.manifests.count > 0;
        let outcome = if is_new {
            Outcome::Copied
        } else {
            Outcome::Unchanged
        };
        Ok((digest, outcome))
    }

    /// Copies what a manifest leads to, and the manifest. Tells whether the
    /// manifest was there.
    fn tree(
        &self,
        document: Document,
        depth: usize,
        store: Store,
    ) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async move {
            self.enter(&document, depth)?;
            let held = self.destination.holds_image(&document).await?;
            let manifest = &document.manifest;
            // The manifests below are looked at even if this one is there:
            // whoever made an index need not have copied all of it.
            let below = stream::iter(manifest.required_manifests().cloned().collect::<Vec<_>>());
            let below = below
                .map(|entry| self.unless_failed(self.branch(entry, depth + 1)))
                .buffer_unordered(WIDTH);
            all_of(below.collect().await)?;
            self.content(manifest, held).await?;
            if self.has_failed.load(Ordering::Relaxed) {
                // Something below may have been left out. Whoever failed says
                // why.
                return Ok(held);
            }
            if store == Store::Plain {
                let is_new = !held && self.destination.store_manifest(&document).await?;
                self.count_manifest(&document, !is_new);
            }
            Ok(held)
        })
    }

    /// Copies a manifest once, and ends when it is stored, whoever stores it.
    async fn branch(&self, entry: Descriptor, depth: usize) -> Result<(), Error> {
        let flight = self.flight(entry.digest);
        flight.get_or_try_init(|| self.carry(entry, depth)).await?;
        Ok(())
    }

    fn flight(&self, digest: Digest) -> Flight {
        Arc::clone(self.progress().flights.entry(digest).or_default())
    }

    /// Has nobody copy a manifest again that is stored.
    fn mark_stored(&self, digest: Digest) {
        // A cell that is filled already says the same.
        let _ = self.flight(digest).set(());
    }

    async fn carry(&self, entry: Descriptor, depth: usize) -> Result<(), Error> {
        if self.has_failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let document = match self.source.manifest(&entry).await {
            Err(Error::Missing(why)) => {
                return Err(Error::Missing(format!(
                    "{why}; an index lists it, so copy a platform that is there with `--platform`"
                )));
            }
            other => other?,
        };
        self.tree(document, depth, Store::Plain).await.map(|_| ())
    }

    /// Counts a manifest that is begun, under limits.
    fn enter(&self, document: &Document, depth: usize) -> Result<(), Error> {
        if depth > self.limits.depth {
            return Err(Error::Refused(format!(
                "{} has indexes more than {} levels deep",
                self.source.place(),
                self.limits.depth
            )));
        }
        let mut progress = self.progress();
        if progress.seen.insert(document.digest) {
            progress.subjects.push(document.digest);
        }
        if progress.seen.len() > self.limits.manifests {
            return Err(Error::Refused(format!(
                "{} has an image of more than {} manifests",
                self.source.place(),
                self.limits.manifests
            )));
        }
        Ok(())
    }

    fn count_manifest(&self, document: &Document, held: bool) {
        let tally = &mut self.progress().tally;
        let counted = if held {
            &mut tally.manifests_skipped
        } else {
            &mut tally.manifests
        };
        counted.add(document.bytes.len() as u64);
    }

    /// Copies the blobs of a manifest; `held` says that they are there.
    async fn content(&self, manifest: &Manifest, held: bool) -> Result<(), Error> {
        let layers = manifest.layers.iter();
        for foreign in layers.filter(|layer| layer.media_type.is_nondistributable()) {
            self.progress().tally.foreign.add(foreign.size);
        }
        let all = manifest.required_blobs().chain(manifest.other_content());
        let mut blobs: Vec<Descriptor> = Vec::new();
        let mut known = HashSet::new();
        for blob in all {
            if known.insert(blob.digest) {
                blobs.push(blob.clone());
            }
        }
        if held {
            for blob in blobs {
                self.progress().tally.skipped.add(blob.size);
            }
            return Ok(());
        }
        let copied = stream::iter(blobs)
            .map(|blob| self.unless_failed(self.blob(blob)))
            .buffer_unordered(self.blobs.jobs);
        all_of(copied.collect().await)
    }

    /// Begins nothing new once something has failed; what is under way comes
    /// to its end, so that less is left to do for the next attempt.
    async fn unless_failed(
        &self,
        work: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        if self.has_failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let done = work.await;
        if done.is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        done
    }

    async fn blob(&self, blob: Descriptor) -> Result<(), Error> {
        let done = self
            .blobs
            .place(self.source, self.destination, &blob)
            .await?;
        let tally = &mut self.progress().tally;
        match done.stored {
            Stored::Held => tally.skipped.add(blob.size),
            Stored::Mounted => tally.mounted.add(blob.size),
            Stored::Copied => {
                // What broke off may have been read twice.
                let moved = done.moved.min(blob.size);
                tally.copied.add(moved);
                tally.skipped.bytes += blob.size - moved;
            }
        }
        Ok(())
    }

    /// Copies what refers to the manifests that were copied, and what refers
    /// to that.
    async fn referrers(&self) -> Result<(), Error> {
        let mut next = 0;
        loop {
            let subject = self.progress().subjects.get(next).copied();
            let Some(subject) = subject else {
                return Ok(());
            };
            next += 1;
            self.referrers_of(&subject).await?;
            self.signatures_of(&subject).await?;
        }
    }

    async fn referrers_of(&self, subject: &Digest) -> Result<(), Error> {
        let mut kept: Vec<Descriptor> = Vec::new();
        for listed in self.source.referrers(subject).await? {
            if kept.iter().any(|each| each.digest == listed.digest) {
                continue;
            }
            let document = match self.source.manifest(&listed).await {
                Ok(document) => document,
                Err(Error::Missing(why)) => {
                    let why = format!("a referrer is listed and not there: {why}");
                    self.blobs.watch.event(Event::Note(&why));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let named = document.manifest.subject.as_ref();
            if named.is_none_or(|named| named.digest != *subject) {
                let why = format!(
                    "{} lists `{}` as a referrer of `{subject}`, and it is none",
                    self.source.place(),
                    listed.digest
                );
                self.blobs.watch.event(Event::Note(&why));
                continue;
            }
            let is_new = !self.progress().seen.contains(&document.digest);
            if is_new {
                self.tree(document.clone(), 0, Store::Plain).await?;
                self.mark_stored(document.digest);
            }
            kept.push(Descriptor {
                artifact_type: document.manifest.referrer_type().cloned(),
                annotations: document.manifest.annotations.clone(),
                ..document.descriptor()
            });
        }
        if kept.is_empty() {
            return Ok(());
        }
        self.destination.refer(subject, &kept).await
    }

    /// Copies what cosign keeps about an image under tags of its own.
    async fn signatures_of(&self, subject: &Digest) -> Result<(), Error> {
        for suffix in COSIGN {
            let tag = format!("{}.{suffix}", fallback_tag(subject));
            let document = match self.source.find(&Wanted::Name(tag.clone())).await {
                Ok(document) => document,
                Err(Error::Missing(_)) => continue,
                Err(error) => {
                    return Err(Error::Refused(format!(
                        "`{}` can't be read: {}",
                        shorten(&tag),
                        error
                    )));
                }
            };
            if self.progress().seen.contains(&document.digest) {
                continue;
            }
            let held = self.tree(document.clone(), 0, Store::Later).await?;
            let named = self.destination.name(&document, Some(&tag)).await?;
            self.count_manifest(&document, held || !named);
            self.mark_stored(document.digest);
        }
        Ok(())
    }
}
