//! The log as this process follows it: who waits for events hears at once.
//!
//! One task looks for new positions ([`Log::follow`]) and keeps the last events
//! in memory. A [`Tail`] takes from there what it can, and reads from the table
//! what lies further back; so it may begin anywhere, lose its connection and
//! come back, and never misses or repeats an event. It is as quick as the
//! sequencer where both run in one process, and one look behind it elsewhere.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use landfall_database::{
    Database,
    outbox::{self, Event, Part},
};
use tokio::sync::{Notify as Bell, watch};
use tokio_util::sync::CancellationToken;

use crate::{Error, Result};

/// How often somebody looks whether there is something new.
pub(crate) const LOOK: Duration = Duration::from_millis(50);
/// The pause after a failure of the database.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
/// Events that are kept in memory.
const KEPT: usize = 1024;
/// Events that are read at once.
const BATCH: usize = 200;

/// The log as this process knows it.
#[derive(Debug)]
pub(crate) struct Log {
    database: Database,
    /// The last position that is known here.
    head: watch::Sender<u64>,
    /// The last events, without gaps, up to `head`. A std lock: held for a copy
    /// of pointers.
    recent: RwLock<VecDeque<Arc<Event>>>,
    /// Rung when the sequencer of this process has numbered something.
    bell: Bell,
}

impl Log {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            head: watch::Sender::new(0),
            recent: RwLock::default(),
            bell: Bell::new(),
        }
    }

    /// Tells the follower that there is something new.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    /// The last position that is known here, and whoever waits for the next.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// Looks for new events until it is told to stop.
    pub(crate) async fn follow(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.catch_up().await {
                Ok(true) => continue,
                Ok(false) => LOOK,
                Err(error) => {
                    tracing::warn!(%error, "the event log can't be read");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.bell.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Takes the next new events, if there are any.
    async fn catch_up(&self) -> Result<bool, landfall_database::Error> {
        let known = *self.head.borrow();
        let found = self
            .database
            .read(move |tx| {
                let head = outbox::head(tx)?;
                let start = known.max(head.saturating_sub(KEPT as u64));
                let events = if head > start {
                    outbox::read_after(tx, Part::Everything, start, BATCH)?
                } else {
                    Vec::new()
                };
                Ok::<_, landfall_database::Error>((head, events))
            })
            .await?;
        let (head, events) = found;
        let Some(last) = events.last().map(|event| event.position) else {
            // Nothing new; or what was new is pruned already, or the log was
            // put back.
            if head != known {
                self.keep(Vec::new(), head);
            }
            return Ok(false);
        };
        self.keep(events, last);
        Ok(last < head)
    }

    fn keep(&self, events: Vec<Event>, head: u64) {
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        let follows = |last: &Arc<Event>, first: &Event| last.position + 1 == first.position;
        let fits = match (recent.back(), events.first()) {
            (Some(last), Some(first)) => follows(last, first),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if !fits {
            recent.clear();
        }
        recent.extend(events.into_iter().map(Arc::new));
        let excess = recent.len().saturating_sub(KEPT);
        recent.drain(..excess);
        drop(recent);
        self.head.send_replace(head);
    }

    /// The events after a position, if they are in memory.
    fn recent_after(&self, position: u64) -> Option<Vec<Arc<Event>>> {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        let first = recent.front()?.position;
        let skipped = usize::try_from((position + 1).checked_sub(first)?).ok()?;
        let after: Vec<_> = recent.iter().skip(skipped).take(BATCH).cloned().collect();
        (!after.is_empty()).then_some(after)
    }

    /// The events after a position: some at least, where there are any.
    async fn after(&self, position: u64) -> Result<Vec<Arc<Event>>> {
        if let Some(events) = self.recent_after(position) {
            return Ok(events);
        }
        let events = self
            .database
            .read(move |tx| outbox::read_after(tx, Part::Everything, position, BATCH))
            .await?;
        match events.first() {
            Some(first) if first.position > position + 1 => Err(Error::EventsGone {
                asked: position,
                oldest: first.position - 1,
            }),
            _ => Ok(events.into_iter().map(Arc::new).collect()),
        }
    }
}

/// A reader of the log that waits at its end.
#[derive(Debug)]
pub struct Tail {
    log: Arc<Log>,
    head: watch::Receiver<u64>,
    position: u64,
    stop: CancellationToken,
}

impl Tail {
    pub(crate) fn new(log: Arc<Log>, position: u64, stop: CancellationToken) -> Self {
        let head = log.watch();
        Self {
            log,
            head,
            position,
            stop,
        }
    }

    /// How far it has read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next events, as soon as there are some; `None` when the server stops.
    /// Nothing is lost if this is cancelled.
    pub async fn next(&mut self) -> Result<Option<Vec<Arc<Event>>>> {
        loop {
            if self.stop.is_cancelled() {
                return Ok(None);
            }
            if *self.head.borrow_and_update() > self.position {
                let events = self.log.after(self.position).await?;
                if let Some(last) = events.last() {
                    self.position = last.position;
                    return Ok(Some(events));
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return Ok(None),
                changed = self.head.changed() => if changed.is_err() {
                    return Ok(None);
                },
            }
        }
    }
}
