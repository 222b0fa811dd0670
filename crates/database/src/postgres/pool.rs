//! Threads with a connection each, that run closures.
//!
//! A thread and its connection are made when they are first needed. An idle
//! connection is looked at before it is used, so that one that the server has
//! closed meanwhile (it was restarted) costs nobody an error.
//!
//! Where no connection can be made, everything that waits is refused with what
//! waits for that connection: one after the other, each would wait as long.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    connection::{Connection, Connector},
    fault::Rerun,
    transaction::{Commit, Mode, Transaction},
};
use crate::{Error, ReadTransaction, Result, WriteTransaction};

/// How often work runs, at the most, when others are in its way.
const CONFLICTS: u32 = 30;
/// How often it runs when what it refers to goes away meanwhile: the second
/// time it sees that.
const LOOKS: u32 = 3;
/// How often it runs when its connection breaks before the commit.
const BREAKS: u32 = 3;
/// Jobs that wait for a thread, at the most. Who comes then is told to come
/// again.
const WAITING: usize = 4096;

/// Work for a thread with a connection.
pub(super) trait Job: Send {
    fn run(self: Box<Self>, lane: &mut Lane);
    /// Tells the caller that it is not going to run.
    fn refuse(self: Box<Self>, error: Error);
    /// Whether the caller has gone away.
    fn is_abandoned(&self) -> bool;
}

/// The connection of a thread.
pub(super) struct Lane {
    connector: Arc<Connector>,
    idle: Option<Connection>,
    /// Why a connection could not be made.
    failed: Option<Error>,
}

impl Lane {
    fn take(&mut self) -> Result<Connection> {
        if let Some(mut idle) = self.idle.take()
            && idle.is_alive()
        {
            return Ok(idle);
        }
        let connected = self.connector.connect();
        self.failed = connected.as_ref().err().map(Error::repeated);
        connected
    }
}

/// A closure that changes something, and where to send its outcome.
pub(super) struct Write<F, T, E> {
    pub(super) work: F,
    pub(super) answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Write<F, T, E>
where
    F: FnMut(&WriteTransaction<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(mut self: Box<Self>, lane: &mut Lane) {
        let outcome = write(lane, &mut self.work);
        // A caller that has gone away needs no answer.
        let _ = self.answer.send(outcome);
    }

    fn refuse(self: Box<Self>, error: Error) {
        let _ = self.answer.send(Err(error.into()));
    }

    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }
}

/// Runs the closure in a transaction, again and again as long as that helps.
fn write<T, E: From<Error>>(
    lane: &mut Lane,
    work: &mut impl FnMut(&WriteTransaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let (mut conflicts, mut looks, mut breaks) = (0, 0, 0);
    loop {
        let tx = Transaction::new(lane.take()?, Mode::Write);
        // A panic is the closure's bug, and ends nothing but its transaction.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&WriteTransaction::postgres(&tx))));
        let outcome = match outcome {
            Ok(Ok(value)) => match tx.commit() {
                Commit::Kept => {
                    lane.idle = tx.into_connection(true);
                    return Ok(value);
                }
                Commit::Refused(error) => Err(error.into()),
                Commit::Unknown => {
                    drop(tx);
                    return Err(Error::Unknown.into());
                }
            },
            Ok(Err(error)) => Err(error),
            Err(_) => {
                lane.idle = tx.into_connection(false);
                return Err(Error::Stopped.into());
            }
        };
        let again = match tx.rerun() {
            None => false,
            Some(Rerun::Conflict) => {
                conflicts += 1;
                conflicts < CONFLICTS
            }
            Some(Rerun::ForeignKey) => {
                looks += 1;
                looks < LOOKS
            }
            Some(Rerun::Lost | Rerun::Plan) => {
                breaks += 1;
                breaks < BREAKS
            }
        };
        lane.idle = tx.into_connection(false);
        if !again {
            return outcome;
        }
        if conflicts > 0 {
            thread::sleep(pause(conflicts));
        }
    }
}

/// A pause that grows, and is not the same for two that were in each other's
/// way.
fn pause(conflicts: u32) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let most = 1u64 << conflicts.min(6);
    let part = RandomState::new().hash_one(conflicts) % 1000;
    Duration::from_micros(most * part)
}

/// A closure that only reads, and where to send its outcome.
pub(super) struct Read<F, T, E> {
    pub(super) work: F,
    pub(super) answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Read<F, T, E>
where
    F: FnOnce(&ReadTransaction<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(self: Box<Self>, lane: &mut Lane) {
        let Self { work, answer } = *self;
        let connection = match lane.take() {
            Ok(connection) => connection,
            Err(error) => {
                let _ = answer.send(Err(error.into()));
                return;
            }
        };
        let tx = Transaction::new(connection, Mode::Read);
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&ReadTransaction::postgres(&tx))));
        // The end of a reading transaction changes nothing; nobody waits for it.
        let _ = answer.send(outcome.unwrap_or_else(|_| Err(Error::Stopped.into())));
        lane.idle = tx.into_connection(false);
    }

    fn refuse(self: Box<Self>, error: Error) {
        let _ = self.answer.send(Err(error.into()));
    }

    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Box<dyn Job>>,
    /// Threads that wait for a job.
    idle: usize,
    threads: Vec<JoinHandle<()>>,
    closed: bool,
}

/// The queue, and the bell that wakes a thread. A std mutex: it is held for a
/// push or a pop, and never while a statement runs.
type Shared = Arc<(Mutex<Queue>, Condvar)>;

/// Some threads. Dropping it lets what is queued finish first.
pub(super) struct Pool {
    name: &'static str,
    most: usize,
    connector: Arc<Connector>,
    shared: Shared,
}

impl Pool {
    pub(super) fn new(name: &'static str, most: usize, connector: &Arc<Connector>) -> Self {
        Self {
            name,
            most: most.max(1),
            connector: Arc::clone(connector),
            shared: Shared::default(),
        }
    }

    pub(super) fn submit(&self, job: Box<dyn Job>) {
        let (queue, bell) = &*self.shared;
        let mut queue = lock(queue);
        if queue.jobs.len() >= WAITING {
            drop(queue);
            job.refuse(Error::Busy);
            return;
        }
        queue.jobs.push_back(job);
        if queue.jobs.len() > queue.idle && queue.threads.len() < self.most {
            let shared = Arc::clone(&self.shared);
            let mut lane = Lane {
                connector: Arc::clone(&self.connector),
                idle: None,
                failed: None,
            };
            let started = thread::Builder::new()
                .name(self.name.to_owned())
                .spawn(move || {
                    while let Some(job) = next(&shared) {
                        job.run(&mut lane);
                        if let Some(error) = lane.failed.take() {
                            refuse(&shared, &error);
                        }
                    }
                });
            match started {
                Ok(thread) => queue.threads.push(thread),
                Err(error) => tracing::error!(%error, "a thread of the database did not start"),
            }
        }
        if queue.threads.is_empty() {
            // Nobody will come; the callers hear that the database has stopped.
            queue.jobs.clear();
        }
        bell.notify_one();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let (queue, bell) = &*self.shared;
        let threads = {
            let mut queue = lock(queue);
            queue.closed = true;
            std::mem::take(&mut queue.threads)
        };
        bell.notify_all();
        for thread in threads {
            // Panics of closures are caught; nothing is left to report.
            let _ = thread.join();
        }
    }
}

/// A poisoned queue is still a queue: nothing in it can be half done.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Refuses what waits now.
fn refuse(shared: &Shared, error: &Error) {
    let jobs = std::mem::take(&mut lock(&shared.0).jobs);
    for job in jobs {
        job.refuse(error.repeated());
    }
}

/// The next job; `None` when closed and empty.
fn next(shared: &Shared) -> Option<Box<dyn Job>> {
    let (queue, bell) = &**shared;
    let mut queue = lock(queue);
    loop {
        while let Some(job) = queue.jobs.pop_front() {
            if !job.is_abandoned() {
                return Some(job);
            }
        }
        if queue.closed {
            return None;
        }
        queue.idle += 1;
        queue = bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
        queue.idle -= 1;
    }
}
