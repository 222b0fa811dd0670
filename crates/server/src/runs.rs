//! Runs of the collector and of the check: started by a request, watched by
//! others. The last ones are remembered until the server stops; a run that a
//! restart cut off can simply be started again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use landfall_clock::{Clock, Timestamp};
use landfall_ids::RunId;
use landfall_registry::{
    Error, FsckOptions, FsckProgress, FsckReport, GarbageOptions, GarbageProgress, GarbageReport,
    Registry,
};
use tokio::time::MissedTickBehavior;

const RUNS: &str = "landfall_gc_runs_total";
const BLOBS: &str = "landfall_gc_blobs_total";
const FREED: &str = "landfall_gc_freed_bytes_total";

/// How often regular runs walk over the whole store to look for orphans.
const BETWEEN_SWEEPS: Duration = Duration::from_hours(24);

/// Runs of each kind that are remembered.
const REMEMBERED: usize = 20;

/// One run, under way or over.
#[derive(Debug)]
pub(crate) struct Run<O, P, R> {
    pub(crate) id: RunId,
    pub(crate) started: Timestamp,
    pub(crate) options: O,
    pub(crate) progress: P,
    /// Set once, at the end. A std mutex: held for a copy.
    outcome: Mutex<Option<Outcome<R>>>,
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

    fn end(&self, result: Result<R, Error>, now: Timestamp) {
        let result = result.map_err(|error| {
            tracing::error!(error = %crate::registry_api::chain(&error), "a run failed");
            error.to_string()
        });
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

/// The runs of this server since it started.
pub(crate) struct Runs {
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    garbage: Mutex<VecDeque<Arc<GarbageRun>>>,
    fsck: Mutex<VecDeque<Arc<FsckRun>>>,
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

    /// Starts the collector. [`Error::RunGoingOn`] while one runs.
    pub(crate) fn start_garbage(
        self: &Arc<Self>,
        options: GarbageOptions,
    ) -> Result<Arc<GarbageRun>, Error> {
        let run = begin(&self.garbage, Run::new(options, self.clock.now()))?;
        let (runs, running) = (Arc::clone(self), Arc::clone(&run));
        tokio::spawn(async move { runs.collect(&running).await });
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
            // Where a run goes on that a person has started, this one is not
            // needed.
            let now = self.clock.now();
            let due = swept.is_none_or(|at| now.since(at) >= BETWEEN_SWEEPS);
            let options = GarbageOptions {
                skip_orphans: !due,
                ..GarbageOptions::default()
            };
            if let Ok(run) = begin(&self.garbage, Run::new(options, now)) {
                // As a task, so that a bug in one run is not the end of all.
                let runs = Arc::clone(self);
                let _ = tokio::spawn(async move { runs.collect(&run).await }).await;
                swept = if due { Some(now) } else { swept };
            }
        }
    }

    async fn collect(&self, run: &GarbageRun) {
        let _begun = run.begun(&*self.clock);
        let collected = self
            .registry
            .collect_garbage(run.options, &run.progress)
            .await;
        if !run.options.dry_run {
            let report = run.progress.report();
            metrics::counter!(RUNS).increment(1);
            metrics::counter!(BLOBS).increment(report.blobs);
            metrics::counter!(FREED).increment(report.freed_bytes);
        }
        run.end(collected, self.clock.now());
    }

    /// Starts the check. [`Error::RunGoingOn`] while one runs.
    pub(crate) fn start_fsck(
        self: &Arc<Self>,
        options: FsckOptions,
    ) -> Result<Arc<FsckRun>, Error> {
        let run = begin(&self.fsck, Run::new(options, self.clock.now()))?;
        let (runs, running) = (Arc::clone(self), Arc::clone(&run));
        tokio::spawn(async move {
            let _begun = running.begun(&*runs.clock);
            let result = runs.registry.fsck(options, &running.progress).await;
            running.end(result, runs.clock.now());
        });
        Ok(run)
    }

    /// Runs of the collector, newest first.
    pub(crate) fn garbage(&self) -> Vec<Arc<GarbageRun>> {
        lock(&self.garbage).iter().cloned().collect()
    }

    /// Runs of the check, newest first.
    pub(crate) fn fsck(&self) -> Vec<Arc<FsckRun>> {
        lock(&self.fsck).iter().cloned().collect()
    }
}

/// Newest first. A std mutex: held for a look or a push.
type Remembered<O, P, R> = Mutex<VecDeque<Arc<Run<O, P, R>>>>;

fn begin<O, P: Default, R: Clone>(
    runs: &Remembered<O, P, R>,
    new: Run<O, P, R>,
) -> Result<Arc<Run<O, P, R>>, Error> {
    let mut runs = lock(runs);
    if runs.front().is_some_and(|last| last.outcome().is_none()) {
        return Err(Error::RunGoingOn);
    }
    let new = Arc::new(new);
    runs.push_front(Arc::clone(&new));
    runs.truncate(REMEMBERED);
    Ok(new)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
