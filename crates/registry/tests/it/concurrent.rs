//! Clients and the collector at once, on several threads.
//!
//! What the threads do is chosen by the number of the round; how they meet is
//! up to the machine. So each round asserts only what is true of every
//! interleaving.

mod deleters;

mod protocol;
mod pushers;
mod twins;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use landfall_registry::{GarbageOptions, GarbageProgress, Registry};
use tokio::sync::{Notify, RwLock};

/// Runs a round on a runtime of several threads, all of its own, and says
/// which one it was if it fails.
fn on_threads<F: Future>(round: u32, work: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime");
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)));
    assert!(ended.is_ok(), "round {round} failed");
}

/// Chooses by a seed; the same choices for the same seed.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn new(round: u32, player: usize) -> Self {
        Self(u64::from(round) * 1_000_003 + player as u64 * 7919 + 1)
    }

    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
}

/// The clock of a round. It does not move while a request of a client runs: a
/// real request is short beside every time that is promised.
#[derive(Debug)]
struct Time {
    clock: Arc<landfall_clock::ManualClock>,
    // A tokio lock, because requests hold it for their whole length.
    requests: RwLock<()>,
}

impl Time {
    /// Does a request.
    async fn still<T>(&self, request: impl Future<Output = T>) -> T {
        let _running = self.requests.read().await;
        request.await
    }

    async fn advance(&self, by: Duration) {
        let _alone = self.requests.write().await;
        self.clock.advance(by);
    }

    fn now(&self) -> landfall_clock::Timestamp {
        landfall_clock::Clock::now(&*self.clock)
    }
}

/// Runs the collector again and again until it is told to stop; how often.
async fn collect_until(registry: Arc<Registry>, stop: Arc<Notify>) -> usize {
    let mut runs = 0;
    let stopped = stop.notified();
    tokio::pin!(stopped);
    loop {
        let progress = GarbageProgress::default();
        let run = registry.collect_garbage(GarbageOptions::default(), &progress);
        run.await.expect("the run ends well");
        runs += 1;
        let ended = futures_util::FutureExt::now_or_never(&mut stopped);
        if ended.is_some() {
            return runs;
        }
    }
}
