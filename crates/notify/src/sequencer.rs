//! The sequencer: one at a time gives committed events their positions.
//!
//! Every server runs this task, and the one that holds the lease `sequencer`
//! works. A holder that dies or hangs is replaced when its lease has run out, by
//! the database's clock. It may come back and not know: so each step checks in
//! its own transaction that the lease is still held under its token, and the
//! holder stops by itself after two thirds of the time, by its own monotonic
//! clock.
//!
//! A step is one transaction (`outbox::number`), so a crash anywhere leaves
//! nothing half done, and the successor goes on where the log ends.

use std::time::{Duration, Instant};

use landfall_database::{
    Database,
    lease::{self, Lease},
    outbox,
};
use tokio_util::sync::CancellationToken;

use crate::log::{LOOK, Log, PAUSE};

/// The name of the lease.
const LEASE: &str = "sequencer";
/// Events of one step.
const BATCH: usize = 200;

/// How the sequencer works.
#[derive(Debug)]
pub(crate) struct Sequencer<'a> {
    pub(crate) database: &'a Database,
    pub(crate) log: &'a Log,
    /// Who this process is, among the holders of leases.
    pub(crate) holder: &'a str,
    /// How long the lease is good without being renewed.
    pub(crate) lease: Duration,
}

impl Sequencer<'_> {
    /// Numbers events, whenever it holds the lease, until it is told to stop.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.take().await {
                Ok(Some(held)) => match self.work(held, stop).await {
                    Ok(()) => continue,
                    Err(error) => {
                        tracing::warn!(%error, "events can't be numbered");
                        PAUSE
                    }
                },
                // Somebody else's.
                Ok(None) => self.lease / 4,
                Err(error) => {
                    tracing::warn!(%error, "the sequencer's lease can't be taken");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn take(&self) -> landfall_database::Result<Option<Lease>> {
        let (holder, ttl) = (self.holder.to_owned(), self.lease);
        self.database
            .write(move |tx| lease::lease_take(tx, LEASE, &holder, ttl))
            .await
    }

    /// Works as long as the lease is held.
    async fn work(
        &self,
        mut held: Lease,
        stop: &CancellationToken,
    ) -> landfall_database::Result<()> {
        let mut renewed = Instant::now();
        while !stop.is_cancelled() {
            if !held.is_fresh() {
                return Ok(());
            }
            if renewed.elapsed() > self.lease / 3 {
                renewed = Instant::now();
                let old = held.clone();
                let new = self
                    .database
                    .write(move |tx| lease::lease_renew(tx, &old))
                    .await?;
                let Some(new) = new else {
                    return Ok(());
                };
                held = new;
            }
            if self.database.read(outbox::is_pending).await? {
                let token = held.token();
                let numbered = self
                    .database
                    .write(move |tx| {
                        if lease::lease_is_held(tx, LEASE, token)? {
                            outbox::number(tx, BATCH).map(Some)
                        } else {
                            Ok(None)
                        }
                    })
                    .await?;
                if numbered.is_none() {
                    return Ok(());
                }
                self.log.ring();
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        // The next server need not wait for the end of the lease.
        self.database
            .write(move |tx| lease::lease_release(tx, &held))
            .await?;
        Ok(())
    }
}
