//! From the log to the lines of webhooks: a consumer with a durable cursor.
//!
//! A step is one transaction: it locks the cursor `webhooks`, reads the next
//! events, puts each in line for the webhooks that want it, and moves the
//! cursor. Every server tries; the lock lets one at a time, and each event is
//! put in line once.

use landfall_clock::Clock;
use landfall_database::{
    Database, WriteTransaction,
    outbox::{self, Part},
};
use tokio::sync::Notify as Bell;
use tokio_util::sync::CancellationToken;

use crate::{
    log::{Log, PAUSE},
    store::{deliveries, webhooks},
};

/// The name of the cursor.
const CONSUMER: &str = "webhooks";
/// Events that are read in one step.
const BATCH: usize = 200;
/// Deliveries of one step, about: a step that has made as many ends.
const ENOUGH: usize = 500;
/// How far the cursor may stay behind while nobody wants events: moving it
/// costs a commit.
const SLACK: u64 = 1000;

/// What the fan-out works with.
pub(crate) struct FanOut<'a> {
    pub(crate) database: &'a Database,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) log: &'a Log,
    /// Rung when there is something to deliver.
    pub(crate) bell: &'a Bell,
}

impl FanOut<'_> {
    /// Consumes new events until it is told to stop.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let mut head = self.log.watch();
        while !stop.is_cancelled() {
            head.borrow_and_update();
            match self.consume(SLACK).await {
                Ok(()) => tokio::select! {
                    () = stop.cancelled() => {}
                    _ = head.changed() => {}
                },
                Err(error) => {
                    tracing::warn!(%error, "events can't be put in line for webhooks");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
            }
        }
    }

    /// Consumes all there is. Without any webhook the cursor may stay behind by
    /// `slack`.
    pub(crate) async fn consume(&self, slack: u64) -> landfall_database::Result<()> {
        loop {
            let (behind, wanted) = self
                .database
                .read(|tx| {
                    let cursor = outbox::cursor_find(tx, CONSUMER)?.unwrap_or_default();
                    let behind = outbox::head(tx)?.saturating_sub(cursor);
                    Ok::<_, landfall_database::Error>((behind, webhooks::any_enabled(tx)?))
                })
                .await?;
            if behind == 0 || (!wanted && behind <= slack) {
                return Ok(());
            }
            let now = self.clock.now();
            let made = self.database.write(move |tx| step(tx, now)).await?;
            if made > 0 {
                self.bell.notify_one();
            }
        }
    }
}

/// Puts the next events in line; answers how many deliveries there are to make.
fn step(
    tx: &WriteTransaction<'_>,
    now: landfall_clock::Timestamp,
) -> landfall_database::Result<usize> {
    let cursor = outbox::cursor_lock(tx, CONSUMER, 0)?;
    let subscriptions = webhooks::subscriptions(tx)?;
    let Some(earliest) = subscriptions.iter().map(|each| each.since).min() else {
        let head = outbox::head(tx)?.max(cursor);
        outbox::cursor_move(tx, CONSUMER, cursor, head)?;
        return Ok(0);
    };
    // What nobody was there for need not be read.
    let start = cursor.max(earliest);
    let mut end = start;
    let mut made = 0;
    for event in outbox::read_after(tx, Part::Everything, start, BATCH)? {
        for subscription in subscriptions.iter().filter(|each| each.wants(&event)) {
            deliveries::delivery_insert(tx, subscription.id, &event, now)?;
            made += 1;
        }
        end = event.position;
        if made >= ENOUGH {
            break;
        }
    }
    outbox::cursor_move(tx, CONSUMER, cursor, end)?;
    Ok(made)
}
