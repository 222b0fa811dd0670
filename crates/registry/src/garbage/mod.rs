//! Garbage collection: online, in small steps, with pushes going on.
//!
//! # Overview
//!
//! A run goes through phases, each made of steps that can be cut off anywhere
//! and repeated:
//!
//! 1. **uploads** that lay still too long are given up;
//! 2. **untagged** manifests without any root are hidden, where the operator
//!    wants that;
//! 3. **purge**: hidden manifests and repositories whose time has come let go
//!    of their references, and write candidates;
//! 4. **collect**: due candidates are looked at; links that nobody needs go,
//!    then blobs without link, and their locations become trash;
//! 5. **sweep**: the bytes of due trash are deleted, then its rows;
//! 6. **history**: what happened to tags long ago is forgotten;
//! 7. **orphans**: bytes that no row names, and that are older than any upload
//!    may be, become trash too; a crash left them.
//!
//! # How it stays out of the way
//!
//! Every step is one short transaction behind the foreground
//! (`Database::write_behind`). A step that takes longer than [`STEP_TIME`] is
//! followed by smaller ones. Nothing is ever read-only.
//!
//! # Safety
//!
//! The collector decides nothing that the database does not check: a blob goes
//! only if no link names it, a link only if no reference does. See
//! `store::candidates` for the order of locks, and the crate's README for what
//! is promised to whom.

mod forecast;
mod orphans;
mod sweep;

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use landfall_clock::Timestamp;
use landfall_database::WriteTransaction;
use landfall_ids::{DeletionId, ManifestId};

use crate::{
    Error, Registry, Result,
    act::{Act, Hiding},
    store::{candidates, history, manifests, pins, purges, repositories, trash, uploads},
};

/// What a step should take of the database's writer, at the most.
const STEP_TIME: Duration = Duration::from_millis(5);
/// Rows of a step, at the most and at the least.
const STEP_ROWS: std::ops::RangeInclusive<usize> = 10..=200;

/// How often a run comes back for what somebody holds, and after what time.
const IN_VAIN: u32 = 5;
const HELD: Duration = Duration::from_millis(10);

/// How to run the collector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GarbageOptions {
    /// Only tell what would go. Exact while nothing else happens, but for an
    /// undo window of zero: then a run also purges what it has just hidden for
    /// want of a tag.
    pub dry_run: bool,
    /// Instead of the promise and the trash delay of the settings, if shorter.
    /// With less than the promise, a push that is under way may have to send a
    /// layer again.
    pub grace: Option<Duration>,
    /// Leave the orphans for another time. Finding them takes a walk over the
    /// whole store, and only a crash makes any.
    pub skip_orphans: bool,
}

/// How far a run is; it may be read while the run goes on.
#[derive(Debug, Default)]
pub struct GarbageProgress {
    phase: AtomicUsize,
    candidates: AtomicU64,
    report: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    uploads: AtomicU64,
    manifests: AtomicU64,
    blobs: AtomicU64,
    bytes: AtomicU64,
    orphans: AtomicU64,
    deleted: AtomicU64,
    freed: AtomicU64,
}

/// What a run did, or would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GarbageReport {
    /// Uploads that were given up.
    pub uploads: u64,
    /// Deleted manifests that let go of their blobs.
    pub manifests: u64,
    /// Blobs that nobody needed.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that no row named.
    pub orphans: u64,
    /// Objects whose bytes were deleted.
    pub deleted: u64,
    /// The bytes that are free now.
    pub freed_bytes: u64,
    /// Objects whose bytes wait for the end of the trash delay.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
}

/// The phases, in the order of [`GarbageProgress::phase`].
const PHASES: [&str; 8] = [
    "starting", "uploads", "untagged", "purge", "collect", "sweep", "history", "orphans",
];

impl GarbageProgress {
    /// What the run does now.
    pub fn phase(&self) -> &'static str {
        PHASES
            .get(self.phase.load(Ordering::Relaxed))
            .copied()
            .unwrap_or("starting")
    }

    /// Candidates that were looked at.
    pub fn candidates(&self) -> u64 {
        self.candidates.load(Ordering::Relaxed)
    }

    /// What was done so far.
    pub fn report(&self) -> GarbageReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        GarbageReport {
            uploads: read(&self.report.uploads),
            manifests: read(&self.report.manifests),
            blobs: read(&self.report.blobs),
            bytes: read(&self.report.bytes),
            orphans: read(&self.report.orphans),
            deleted: read(&self.report.deleted),
            freed_bytes: read(&self.report.freed),
            ..GarbageReport::default()
        }
    }

    fn enter(&self, phase: &str) {
        let index = PHASES.iter().position(|each| *each == phase).unwrap_or(0);
        self.phase.store(index, Ordering::Relaxed);
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// The instants that a run goes by, fixed at its start.
#[derive(Debug, Clone, Copy)]
struct Times {
    now: Timestamp,
    expired: Timestamp,
    not_before: Timestamp,
    trash_due: Timestamp,
}

impl Registry {
    /// Runs the collector once. Only one run goes on at a time.
    pub async fn collect_garbage(
        &self,
        options: GarbageOptions,
        progress: &GarbageProgress,
    ) -> Result<GarbageReport> {
        let _running = self.collecting.try_lock().map_err(|_| Error::RunGoingOn)?;
        let times = self.times(options);
        if options.dry_run {
            return self.forecast(options, times).await;
        }
        progress.enter("uploads");
        self.expire_uploads(times, progress).await?;
        progress.enter("untagged");
        self.hide_untagged(times).await?;
        progress.enter("purge");
        self.purge(times, progress).await?;
        progress.enter("collect");
        self.collect(times, progress).await?;
        progress.enter("sweep");
        self.sweep_trash(times, progress).await?;
        progress.enter("history");
        self.prune_history(times).await?;
        if !options.skip_orphans {
            progress.enter("orphans");
            self.sweep_orphans(times, progress).await?;
        }
        let (waiting, waiting_bytes) = self.database.read_long(trash::trash_totals).await?;
        let report = GarbageReport {
            waiting,
            waiting_bytes,
            ..progress.report()
        };
        tracing::info!(
            blobs = report.blobs,
            manifests = report.manifests,
            freed_bytes = report.freed_bytes,
            "garbage was collected"
        );
        Ok(report)
    }

    fn times(&self, options: GarbageOptions) -> Times {
        let now = self.now();
        let delay = self.settings.trash_delay;
        let cut = options
            .grace
            .map_or(Duration::ZERO, |grace| delay.saturating_sub(grace));
        Times {
            now,
            expired: self.promise().expired(now, options.grace),
            not_before: now + delay,
            trash_due: now + cut,
        }
    }

    async fn expire_uploads(&self, times: Times, progress: &GarbageProgress) -> Result<()> {
        let before = times.now - self.settings.upload_lifetime;
        loop {
            let ended = self
                .database
                .write_behind(move |tx| uploads::upload_expire(tx, before, *STEP_ROWS.end()))
                .await?;
            if ended.is_empty() {
                return Ok(());
            }
            add(&progress.report.uploads, ended.len() as u64);
            for id in ended {
                self.discard(id).await;
            }
        }
    }

    async fn hide_untagged(&self, times: Times) -> Result<()> {
        self.database
            .write_behind(move |tx| pins::pins_expire(tx, times.now))
            .await?;
        let Some(after) = self.settings.untagged_after else {
            return Ok(());
        };
        let (before, purge_due) = (times.now - after, times.now + self.settings.undo_window);
        let untagged = purges::UntaggedTimes {
            before,
            now: times.now,
            untagged: before.min(times.now - self.settings.undo_window),
        };
        // Looked for by reads, which go through all manifests and hold nobody
        // up; a step only looks once more at what was found.
        let (mut rows, mut last) = (*STEP_ROWS.end(), None);
        loop {
            let found = self
                .database
                .read_long(move |tx| purges::untagged_page(tx, untagged, last, rows))
                .await?;
            if found.is_empty() {
                return Ok(());
            }
            last = found.last().copied();
            let took = self
                .database
                .write_behind(move |tx| {
                    let start = Instant::now();
                    for id in &found {
                        hide_untagged(tx, *id, untagged, purge_due)?;
                    }
                    Ok::<_, Error>(start.elapsed())
                })
                .await?;
            rows = next_rows(rows, took);
        }
    }

    /// Forgets what happened to tags long ago.
    async fn prune_history(&self, times: Times) -> Result<()> {
        let kept = self.settings.tag_history.max(self.settings.undo_window);
        let kept = kept.max(self.settings.untagged_after.unwrap_or_default());
        let before = times.now - kept;
        self.in_steps(move |tx, limit| Ok(history::history_prune(tx, before, limit)?))
            .await
            .map(drop)
    }

    async fn purge(&self, times: Times, progress: &GarbageProgress) -> Result<()> {
        let promise = self.promise();
        let purged = self
            .in_steps(move |tx, limit| {
                let purged = purges::purge_manifests(tx, times.now, times.now, promise, limit)?;
                Ok(purged)
            })
            .await?;
        add(&progress.report.manifests, purged);
        self.in_steps(move |tx, limit| {
            let Some(hidden) = repositories::repository_due(tx, times.now)? else {
                return Ok(0);
            };
            purges::purge_repository(tx, hidden, times.now, limit)?;
            Ok(1)
        })
        .await?;
        Ok(())
    }

    async fn collect(&self, times: Times, progress: &GarbageProgress) -> Result<()> {
        let step = candidates::StepTimes {
            expired: times.expired,
            not_before: times.not_before,
        };
        let (mut rows, mut in_vain) = (*STEP_ROWS.end(), 0);
        loop {
            let (done, took) = self
                .database
                .write_behind(move |tx| {
                    let start = Instant::now();
                    let done = candidates::candidate_step(tx, step, rows)?;
                    Ok::<_, Error>((done, start.elapsed()))
                })
                .await?;
            if done.claimed == 0 {
                return Ok(());
            }
            if done.dropped == 0 {
                // Somebody holds all of these; the next run comes back for them.
                in_vain += 1;
                if in_vain == IN_VAIN {
                    return Ok(());
                }
                tokio::time::sleep(HELD).await;
            }
            add(&progress.candidates, done.claimed);
            add(&progress.report.blobs, done.blobs);
            add(&progress.report.bytes, done.bytes);
            rows = next_rows(rows, took);
        }
    }

    /// Repeats a step until it finds nothing more to do; what it did in all.
    async fn in_steps(
        &self,
        step: impl Fn(&WriteTransaction<'_>, usize) -> Result<u64> + Clone + Send + 'static,
    ) -> Result<u64> {
        let (mut rows, mut done) = (*STEP_ROWS.end(), 0);
        loop {
            let step = step.clone();
            let (count, took) = self
                .database
                .write_behind(move |tx| {
                    let start = Instant::now();
                    let count = step(tx, rows)?;
                    Ok::<_, Error>((count, start.elapsed()))
                })
                .await?;
            if count == 0 {
                return Ok(done);
            }
            done += count;
            rows = next_rows(rows, took);
        }
    }
}

/// Smaller steps after a slow one, larger after a quick one.
fn next_rows(rows: usize, took: Duration) -> usize {
    let next = if took > STEP_TIME {
        rows / 2
    } else {
        rows + rows / 4
    };
    next.clamp(*STEP_ROWS.start(), *STEP_ROWS.end())
}

/// Hides a manifest if no root holds it.
fn hide_untagged(
    tx: &WriteTransaction<'_>,
    id: ManifestId,
    times: purges::UntaggedTimes,
    purge_due: Timestamp,
) -> Result<bool> {
    if !purges::untagged_lock(tx, id, times)? {
        return Ok(false);
    }
    let Some(of) = manifests::manifest_repository(tx, id)? else {
        return Ok(false);
    };
    let Some(repository) = repositories::repository_by_id(tx, of)? else {
        return Ok(false);
    };
    let act = Act {
        tx,
        repository: &repository,
        actor: None,
        now: times.now,
    };
    let hiding = Hiding {
        deletion: DeletionId::new_at(times.now.unix_micros()),
        purge_due,
    };
    act.manifest_hide(id, hiding)
}
