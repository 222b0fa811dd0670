//! What is done from time to time: old events go, and gauges are set.

use std::time::Duration;

use landfall_database::{Database, outbox};
use tokio_util::sync::CancellationToken;

use crate::{Notify, store::deliveries};

const WAITING: &str = "landfall_events_waiting";
const PENDING: &str = "landfall_webhook_deliveries_pending";
const AGE: &str = "landfall_webhook_oldest_pending_seconds";

/// How often the gauges are set.
const MEASURE: Duration = Duration::from_secs(5);
/// How often old events are looked for, in measurements.
const PRUNE: u32 = 12;
/// Rows that go in one step.
const ROWS: usize = 500;

pub(crate) fn describe_metrics() {
    metrics::describe_gauge!(WAITING, "Events that wait for their place in the log.");
    metrics::describe_gauge!(PENDING, "Webhook deliveries that are still to be made.");
    metrics::describe_gauge!(AGE, "Since when the first pending webhook delivery waits.");
}

/// Sets gauges and prunes until it is told to stop.
pub(crate) async fn run(notify: &Notify, stop: &CancellationToken) {
    let mut round = 0;
    while !stop.is_cancelled() {
        if let Err(error) = measure(notify).await {
            tracing::warn!(%error, "the backlog of events can't be measured");
        }
        if round % PRUNE == 0
            && let Err(error) = notify.prune(stop).await
        {
            tracing::warn!(%error, "old events can't be deleted");
        }
        round += 1;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(MEASURE) => {}
        }
    }
}

async fn measure(notify: &Notify) -> landfall_database::Result<()> {
    let (waiting, (pending, since)) = notify
        .database
        .read_long(|tx| {
            let waiting = outbox::pending(tx)?.count;
            Ok::<_, landfall_database::Error>((waiting, deliveries::delivery_backlog(tx)?))
        })
        .await?;
    let age = since.map_or(Duration::ZERO, |since| notify.clock.now().since(since));
    metrics::gauge!(WAITING).set(count(waiting));
    metrics::gauge!(PENDING).set(count(pending));
    metrics::gauge!(AGE).set(age.as_secs_f64());
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge of 2^53 rows is far away"
)]
fn count(rows: u64) -> f64 {
    rows as f64
}

impl Notify {
    /// Deletes events that are older than the operator wants to keep them, and
    /// that no cursor and no pending delivery needs; with them go the deliveries
    /// that were made of them.
    pub async fn prune(&self, stop: &CancellationToken) -> landfall_database::Result<()> {
        let before = self.clock.now() - self.settings.retention;
        // Without a webhook the cursor of the fan-out lies behind.
        self.fan_out().consume(0).await?;
        while !stop.is_cancelled() {
            let due = self.database.read(move |tx| {
                let oldest = outbox::oldest(tx)?;
                outbox::event_find(tx, oldest)
            });
            if due.await?.is_none_or(|event| event.created >= before) {
                return Ok(());
            }
            let (events, deliveries) = step(&self.database, before).await?;
            if events + deliveries == 0 {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

async fn step(
    database: &Database,
    before: landfall_clock::Timestamp,
) -> landfall_database::Result<(u64, u64)> {
    database
        .write_behind(move |tx| {
            let held = deliveries::delivery_oldest_position(tx)?.unwrap_or(u64::MAX);
            let events = outbox::prune(tx, before, held, ROWS)?;
            let oldest = outbox::oldest(tx)?;
            let forgotten = deliveries::delivery_forget(tx, oldest, ROWS)?;
            Ok::<_, landfall_database::Error>((events, forgotten))
        })
        .await
}
