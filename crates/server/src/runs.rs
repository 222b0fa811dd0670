//! Runs of the collector and of the check: started by a request, watched by
//! others, on any server.
//!
//! The server that does a run notes in the database how far it is; whoever asks
//! another server gets that. The last runs are remembered there, also over a
//! restart. A run that a crash cut off is shown as lost, and can simply be
//! started again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use landfall_clock::{Clock, Timestamp};
use landfall_ids::RunId;
use landfall_registry::{
    Error, FsckOptions, FsckProgress, FsckReport, GarbageOptions, GarbageProgress, GarbageReport,
    Registry, RunKind, RunLease,
};
use tokio::time::MissedTickBehavior;

use crate::api::{FsckRunBody, GarbageRunBody, RunBody};

const RUNS: &str = "landfall_gc_runs_total";
const BLOBS: &str = "landfall_gc_blobs_total";
const FREED: &str = "landfall_gc_freed_bytes_total";

/// How often regular runs walk over the whole store to look for orphans.
const BETWEEN_SWEEPS: Duration = Duration::from_hours(24);

/// How often a server notes how far its run is.
const BETWEEN_NOTES: Duration = Duration::from_secs(1);

/// One run, under way or over.
#[derive(Debug)]
pub(crate) struct Run<O, P, R> {
    pub(crate) id: RunId,
    pub(crate) started: Timestamp,
    pub(crate) options: O,
    pub(crate) progress: P,
    /// Set once, at the end. A std mutex: held for a copy.
    outcome: Mutex<Option<Outcome<R>>>,
    /// Held until others may begin. An async lock: the next run waits for it.
    closing: tokio::sync::Mutex<()>,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub(crate) struct Outcome<R> {
    pub(crate) ended: Timestamp,
    /// What it did, or one sentence that tells why it failed.
    pub(crate) result: Result<R, String>,
}

pub(crate) type GarbageRun = Run<GarbageOptions, GarbageProgress, GarbageReport>;
pub(crate) type FsckRun = Run<FsckOptions, FsckProgress, FsckReport>;

impl<O, P: Default, R: Clone> Run<O, P, R> {
    fn new(options: O, now: Timestamp) -> Self {
        Self {
            id: RunId::new_at(now.unix_micros()),
            started: now,
            options,
            progress: P::default(),
            outcome: Mutex::new(None),
            closing: tokio::sync::Mutex::default(),
        }
    }

    /// How it ended; `None` while it goes on.
    pub(crate) fn outcome(&self) -> Option<Outcome<R>> {
        lock(&self.outcome).clone()
    }

    /// Whoever holds this does the run; however that ends, it ends.
    fn begun<'a>(&'a self, clock: &'a dyn Clock) -> Begun<'a, O, P, R> {
        Begun { run: self, clock }
    }

    fn end(&self, result: Result<R, String>, now: Timestamp) {
        if let Err(error) = &result {
            tracing::error!(error, "a run failed");
        }
        *lock(&self.outcome) = Some(Outcome { ended: now, result });
    }
}

/// A run that is being done.
struct Begun<'a, O, P, R> {
    run: &'a Run<O, P, R>,
    clock: &'a dyn Clock,
}

impl<O, P, R> Drop for Begun<'_, O, P, R> {
    fn drop(&mut self) {
        let broke_off = || Outcome {
            ended: self.clock.now(),
            result: Err("the run broke off; the server's log tells more".to_owned()),
        };
        lock(&self.run.outcome).get_or_insert_with(broke_off);
    }
}

/// The run of a kind that this server does, or did last. A std mutex: held for a
/// look or a change.
type Slot<O, P, R> = Mutex<Option<Arc<Run<O, P, R>>>>;

/// The runs of this server and of the others.
pub(crate) struct Runs {
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    garbage: Slot<GarbageOptions, GarbageProgress, GarbageReport>,
    fsck: Slot<FsckOptions, FsckProgress, FsckReport>,
}

impl Runs {
    pub(crate) fn new(registry: Arc<Registry>, clock: Arc<dyn Clock>) -> Self {
        metrics::describe_counter!(RUNS, "Runs of the garbage collector.");
        metrics::describe_counter!(BLOBS, "Blobs that nobody needed.");
        metrics::describe_counter!(FREED, "Bytes that the collector has freed.");
        Self {
            registry,
            clock,
            garbage: Mutex::default(),
            fsck: Mutex::default(),
        }
    }

    /// Starts the collector. [`Error::RunGoingOn`] while one runs, here or on
    /// another server.
    pub(crate) async fn start_garbage(
        self: &Arc<Self>,
        options: GarbageOptions,
    ) -> Result<Arc<GarbageRun>, Error> {
        let new = Run::new(options, self.clock.now());
        let (run, lease) = self
            .begin::<_, _, _, GarbageRunBody>(RunKind::Garbage, &self.garbage, new)
            .await?;
        let (runs, running) = (Arc::clone(self), Arc::clone(&run));
        tokio::spawn(async move { runs.collect(&running, lease).await });
        Ok(run)
    }

    /// Runs the collector at each interval, from one interval after the start
    /// on. Does not end.
    pub(crate) async fn collect_regularly(self: &Arc<Self>, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once; a start is no time to work.
        ticks.tick().await;
        let mut swept = None;
        loop {
            ticks.tick().await;
            let now = self.clock.now();
            let due = swept.is_none_or(|at| now.since(at) >= BETWEEN_SWEEPS);
            let options = GarbageOptions {
                skip_orphans: !due,
                ..GarbageOptions::default()
            };
            let new = Run::new(options, now);
            let begun = self
                .begin::<_, _, _, GarbageRunBody>(RunKind::Garbage, &self.garbage, new)
                .await;
            match begun {
                Ok((run, lease)) => {
                    // As a task, so that a bug in one run is not the end of all.
                    let runs = Arc::clone(self);
                    let _ = tokio::spawn(async move { runs.collect(&run, lease).await }).await;
                    swept = if due { Some(now) } else { swept };
                }
                // Where a run goes on already, this one is not needed.
                Err(Error::RunGoingOn) => {}
                Err(error) => {
                    let error = crate::registry_api::chain(&error);
                    tracing::warn!(error, "a regular collection can't begin");
                }
            }
        }
    }

    async fn collect(&self, run: &GarbageRun, lease: RunLease) {
        let work = self.registry.collect_garbage(run.options, &run.progress);
        self.finish::<_, _, _, GarbageRunBody>(run, lease, work)
            .await;
        if !run.options.dry_run {
            let report = run.progress.report();
            metrics::counter!(RUNS).increment(1);
            metrics::counter!(BLOBS).increment(report.blobs);
            metrics::counter!(FREED).increment(report.freed_bytes);
        }
    }

    /// Starts the check. [`Error::RunGoingOn`] while one runs, here or on
    /// another server.
    pub(crate) async fn start_fsck(
        self: &Arc<Self>,
        options: FsckOptions,
    ) -> Result<Arc<FsckRun>, Error> {
        let new = Run::new(options, self.clock.now());
        let (run, lease) = self
            .begin::<_, _, _, FsckRunBody>(RunKind::Check, &self.fsck, new)
            .await?;
        let (runs, running) = (Arc::clone(self), Arc::clone(&run));
        tokio::spawn(async move {
            let work = runs.registry.fsck(options, &running.progress);
            runs.finish::<_, _, _, FsckRunBody>(&running, lease, work)
                .await;
        });
        Ok(run)
    }

    /// Takes the slot and the lease of a kind.
    async fn begin<O, P: Default, R: Clone, B>(
        &self,
        kind: RunKind,
        slot: &Slot<O, P, R>,
        new: Run<O, P, R>,
    ) -> Result<(Arc<Run<O, P, R>>, RunLease), Error>
    where
        B: RunBody + for<'a> From<&'a Run<O, P, R>>,
    {
        let new = Arc::new(new);
        let last = lock(slot).clone();
        if let Some(last) = last.filter(|last| last.outcome().is_some()) {
            // It has ended, but may not have given its lease back yet.
            let _closed = last.closing.lock().await;
        }
        {
            let mut slot = lock(slot);
            if slot.as_ref().is_some_and(|last| last.outcome().is_none()) {
                return Err(Error::RunGoingOn);
            }
            *slot = Some(Arc::clone(&new));
        }
        // Ends the run unless it begins, also if whoever asked has gone.
        let begun = new.begun(&*self.clock);
        let lease = self
            .registry
            .run_begin(kind, new.id, B::from(&new).document())
            .await?;
        std::mem::forget(begun);
        Ok((new, lease))
    }

    /// Does the work of a run, tells others how far it is, and how it ended.
    async fn finish<O, P: Default, R: Clone, B>(
        &self,
        run: &Run<O, P, R>,
        mut lease: RunLease,
        work: impl Future<Output = Result<R, Error>>,
    ) where
        B: RunBody + for<'a> From<&'a Run<O, P, R>>,
    {
        let _closing = run.closing.lock().await;
        let _begun = run.begun(&*self.clock);
        let document = || B::from(run).document();
        let result = tokio::select! {
            done = work => done.map_err(|error| {
                tracing::debug!(error = %crate::registry_api::chain(&error), "why a run failed");
                error.to_string()
            }),
            () = self.note(&mut lease, document) => {
                Err("the metadata database was out of reach for too long".to_owned())
            }
        };
        run.end(result, self.clock.now());
        if let Err(error) = self.registry.run_end(lease, document()).await {
            let error = crate::registry_api::chain(&error);
            tracing::warn!(error, "the end of a run can't be written down");
        }
    }

    /// Notes how far a run is, until others may take it for lost.
    async fn note(&self, lease: &mut RunLease, document: impl Fn() -> String) {
        while lease.is_fresh() {
            tokio::time::sleep(BETWEEN_NOTES).await;
            match self.registry.run_note(lease, document()).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let error = crate::registry_api::chain(&error);
                    tracing::debug!(error, "how far a run is can't be written down");
                }
            }
        }
    }

    /// Runs of the collector on all servers, newest first.
    pub(crate) async fn garbage(&self) -> Result<Vec<GarbageRunBody>, Error> {
        self.list(RunKind::Garbage, &self.garbage).await
    }

    /// Runs of the check on all servers, newest first.
    pub(crate) async fn fsck(&self) -> Result<Vec<FsckRunBody>, Error> {
        self.list(RunKind::Check, &self.fsck).await
    }

    async fn list<O, P: Default, R: Clone, B>(
        &self,
        kind: RunKind,
        slot: &Slot<O, P, R>,
    ) -> Result<Vec<B>, Error>
    where
        B: RunBody + for<'a> From<&'a Run<O, P, R>>,
    {
        let ours = lock(slot).clone();
        let records = self.registry.run_list(kind).await?;
        let bodies = records.into_iter().filter_map(|record| {
            let ours = ours.as_ref().filter(|ours| ours.id == record.id);
            if let Some(ours) = ours {
                return Some(B::from(ours));
            }
            let body = B::read(&record.document)?;
            Some(match record.lost {
                None => body,
                Some(at) => body.lost(at.to_string()),
            })
        });
        Ok(bodies.collect())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
