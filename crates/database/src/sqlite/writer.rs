//! The one writer: closures that wait together commit together.
//!
//! # Overview
//!
//! SQLite has one writer at a time, so Landfall gives it one thread, and a
//! queue before it instead of a lock. The thread takes what waits, opens a
//! transaction, runs each closure in a savepoint, and commits once. With
//! `synchronous=FULL` the commit ends with an `fsync` of the write-ahead log;
//! sixteen pushes that arrive during one `fsync` share the next.
//!
//! Work behind the foreground **rides along**: while somebody waits for
//! answers, a step of the collector is the last closure of a batch that is
//! committed anyway, and pays with no `fsync` of its own. It gets at most a
//! [share](BEHIND_SHARE) of the thread's time. When nobody waits for
//! [`QUIET`], it runs alone, at once and without a limit.
//!
//! # Consistency
//!
//! **No answer leaves before the commit**, not even an error: a closure that
//! refuses a push may have read what another closure of the same batch wrote,
//! and if the commit fails, that reading was of something that never was.
//!
//! # Failure
//!
//! A closure that fails rolls back to its savepoint; the batch goes on. A
//! commit that fails undoes the whole batch, and every closure of it answers
//! with the failure. A closure that panics fails alone, with
//! [`Error::Stopped`]; the thread lives on.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ffi};
use tokio::sync::oneshot;

use super::diagnosis;
use crate::{Error, Result, WriteTransaction};

/// Closures in one transaction, at the most: bounds how long the first waits
/// for the last.
const BATCH: usize = 256;

/// Of the thread's time while the foreground is busy, work behind it gets one
/// part in this many.
const BEHIND_SHARE: u32 = 5;
/// The foreground is quiet when nothing has come for this long: longer than a
/// client needs between two writes, shorter than anybody would notice.
const QUIET: Duration = Duration::from_millis(5);

/// Which queue a closure waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Somebody waits for the answer.
    Foreground,
    /// Rides along with the foreground, or runs alone when that is quiet.
    Behind,
}

/// A closure on its way through the writer.
pub(crate) trait Job: Send {
    /// Does the work; whether to keep what it did.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Answers the caller, after the commit succeeded or failed.
    fn conclude(self: Box<Self>, commit: Result<()>);
}

/// The closure of a caller, its outcome, and where to send it.
pub(crate) struct Closure<F, T, E> {
    pub(crate) work: F,
    pub(crate) outcome: Option<Result<T, E>>,
    pub(crate) answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Closure<F, T, E>
where
    F: FnMut(&WriteTransaction<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let tx = WriteTransaction::sqlite(connection);
        // A panic leaves `outcome` empty, which concludes as `Stopped`.
        self.outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(&tx))).ok();
        self.outcome.as_ref().is_some_and(Result::is_ok)
    }

    fn conclude(self: Box<Self>, commit: Result<()>) {
        let outcome = match commit {
            Ok(()) => self.outcome.unwrap_or_else(|| Err(Error::Stopped.into())),
            Err(error) => Err(error.into()),
        };
        // A caller that has gone away needs no answer.
        let _ = self.answer.send(outcome);
    }
}

#[derive(Default)]
struct Queue {
    foreground: VecDeque<Box<dyn Job>>,
    behind: VecDeque<Box<dyn Job>>,
    closed: bool,
}

/// The queue, and the bell that wakes the thread. A std mutex: it is held for
/// a push or a drain, and never across an await or a statement.
type Shared = Arc<(Mutex<Queue>, Condvar)>;

/// The writer thread. Dropping it lets what is queued finish first.
pub(crate) struct Writer {
    shared: Shared,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection) -> Result<Self> {
        let shared = Shared::default();
        let queue = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("database-writer".to_owned())
            .spawn(move || {
                let mut pace = Pace::new(Instant::now());
                while let Some(batch) = next_batch(&queue, &mut pace) {
                    commit(&connection, batch, &mut pace);
                }
            })
            .map_err(|_| Error::Stopped)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    pub(crate) fn submit(&self, urgency: Urgency, job: Box<dyn Job>) {
        let (queue, bell) = &*self.shared;
        let mut queue = lock(queue);
        match urgency {
            Urgency::Foreground => queue.foreground.push_back(job),
            Urgency::Behind => queue.behind.push_back(job),
        }
        bell.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.shared.0).closed = true;
        self.shared.1.notify_one();
        if let Some(thread) = self.thread.take() {
            // The thread catches panics of closures; nothing is left to report.
            let _ = thread.join();
        }
    }
}

/// A poisoned queue is still a queue: nothing in it can be half done.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The closures of one transaction.
struct Batch {
    jobs: Vec<Box<dyn Job>>,
    /// Whether the last of them is work behind the foreground.
    behind: bool,
}

/// When work behind the foreground may run.
struct Pace {
    /// When the foreground last had something to do.
    busy: Instant,
    /// From when on work behind it may ride along.
    next_ride: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            busy: now.checked_sub(QUIET).unwrap_or(now),
            next_ride: now,
        }
    }

    /// How long the foreground has to stay empty to be quiet; `None` if it is.
    fn until_quiet(&self, now: Instant) -> Option<Duration> {
        QUIET
            .checked_sub(now.saturating_duration_since(self.busy))
            .filter(|left| !left.is_zero())
    }

    /// Takes note of a step that ended just now.
    fn rode(&mut self, now: Instant, took: Duration) {
        self.next_ride = now + took * (BEHIND_SHARE - 1);
    }
}

/// What to do in the next transaction; `None` when closed and empty.
fn next_batch(shared: &Shared, pace: &mut Pace) -> Option<Batch> {
    let (queue, bell) = &**shared;
    let mut queue = lock(queue);
    loop {
        let now = Instant::now();
        if !queue.foreground.is_empty() {
            pace.busy = now;
            let count = queue.foreground.len().min(BATCH);
            let mut jobs: Vec<_> = queue.foreground.drain(..count).collect();
            let rider = (now >= pace.next_ride).then(|| queue.behind.pop_front());
            let rider = rider.flatten();
            let behind = rider.is_some();
            jobs.extend(rider);
            return Some(Batch { jobs, behind });
        }
        let quiet_in = pace.until_quiet(now).filter(|_| !queue.closed);
        match (quiet_in, queue.behind.is_empty()) {
            (_, true) if queue.closed => return None,
            (_, true) => queue = bell.wait(queue).unwrap_or_else(PoisonError::into_inner),
            (None, false) => {
                let jobs = queue.behind.pop_front().into_iter().collect();
                return Some(Batch { jobs, behind: true });
            }
            (Some(left), false) => {
                let waited = bell.wait_timeout(queue, left);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

fn commit(connection: &Connection, batch: Batch, pace: &mut Pace) {
    let Batch { mut jobs, behind } = batch;
    let committed = run_batch(connection, &mut jobs, behind.then_some(pace));
    let committed = committed.inspect_err(|error| {
        tracing::error!(error = %error, closures = jobs.len(), "the metadata database did not commit");
        // After a failed commit the transaction may still be open.
        if !connection.is_autocommit() {
            let _ = statement(connection, "rollback");
        }
    });
    let fault = committed.as_ref().err();
    let fault = fault.and_then(|error| diagnosis::disk_fault(connection, error));
    let failed = |error| fault.map_or_else(|| repeat(error), Error::from);
    for job in jobs {
        job.conclude(committed.as_ref().copied().map_err(failed));
    }
}

/// Runs and commits the closures. `pace` takes note of the last one's time, if
/// that is work behind the foreground.
fn run_batch(
    connection: &Connection,
    jobs: &mut [Box<dyn Job>],
    pace: Option<&mut Pace>,
) -> rusqlite::Result<()> {
    let mut last_began = Instant::now();
    statement(connection, "begin immediate")?;
    let last = jobs.len().saturating_sub(1);
    for (index, job) in jobs.iter_mut().enumerate() {
        statement(connection, "savepoint closure")?;
        if index == last {
            last_began = Instant::now();
        }
        let keep = job.run(connection);
        if connection.is_autocommit() {
            // A disk that failed in the middle of a closure has made SQLite
            // roll back everything, the savepoints too.
            let failure = ffi::Error::new(ffi::SQLITE_IOERR_WRITE);
            return Err(rusqlite::Error::SqliteFailure(failure, None));
        }
        if !keep {
            statement(connection, "rollback to closure")?;
        }
        statement(connection, "release closure")?;
    }
    statement(connection, "commit")?;
    if let Some(pace) = pace {
        // With the commit: a large step makes that one longer, too.
        let now = Instant::now();
        pace.rode(now, now - last_began);
    }
    Ok(())
}

fn statement(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// The same failure once more: every closure of the batch gets its own.
fn repeat(error: &rusqlite::Error) -> Error {
    match error.sqlite_error() {
        Some(code) => rusqlite::Error::SqliteFailure(*code, Some(error.to_string())).into(),
        None => Error::Stopped,
    }
}
