//! A tag that moves, and what may be said about it at any time.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::plan::{self, Plan};
use crate::{
    Result,
    content::fresh_seed,
    images::{Image, Manifest, put_manifest},
    wire::Connection,
};

/// The manifests that the tag will point at, one after the other.
#[derive(Debug)]
pub(super) struct Moves {
    manifests: Vec<Manifest>,
    history: Arc<History>,
    connection: Connection,
    repository: String,
    tag: String,
}

/// How far the tag has moved. It is shared by who moves it and who asks.
#[derive(Debug)]
pub(super) struct History {
    /// The number of each manifest, from 1.
    numbers: HashMap<String, u64>,
    /// The last move whose 201 was read.
    acknowledged: AtomicU64,
}

impl History {
    /// The last move whose 201 was read.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Whether an answer with this digest is older than the move `floor`,
    /// which was acknowledged before the request was sent. A digest that no
    /// move of this run made is from before the first.
    pub(super) fn is_stale(&self, digest: &str, floor: u64) -> bool {
        self.numbers.get(digest).copied().unwrap_or(0) < floor
    }
}

impl Moves {
    /// Makes the manifests, and the first move.
    pub(super) fn begin(plan: &Plan, count: usize, connection: Connection) -> Result<Self> {
        let image = Image::new(plan::SEED);
        let run = fresh_seed();
        let manifests: Vec<Manifest> = (1..=count.max(1))
            .map(|number| image.manifest(&format!("move {number} of run {run}")))
            .collect();
        let numbers = manifests.iter().map(|manifest| manifest.digest.clone());
        let history = Arc::new(History {
            numbers: numbers.zip(1..).collect(),
            acknowledged: AtomicU64::new(0),
        });
        let mut moves = Self {
            manifests,
            history,
            connection,
            repository: plan.repository().to_owned(),
            tag: plan.tag(0),
        };
        moves.step(0)?;
        Ok(moves)
    }

    pub(super) fn history(&self) -> Arc<History> {
        Arc::clone(&self.history)
    }

    fn step(&mut self, index: usize) -> Result<()> {
        put_manifest(
            &mut self.connection,
            &self.repository,
            &self.tag,
            &self.manifests[index],
        )?;
        self.history
            .acknowledged
            .store(index as u64 + 1, Ordering::SeqCst);
        Ok(())
    }

    /// Moves the tag every so often until it is told to stop.
    pub(super) fn run(mut self, every: Duration, stop: &AtomicBool) -> Result<()> {
        let started = Instant::now();
        for index in 1..self.manifests.len() {
            let due = every * u32::try_from(index).unwrap_or(u32::MAX);
            thread::sleep(due.saturating_sub(started.elapsed()));
            if stop.load(Ordering::Relaxed) {
                break;
            }
            self.step(index)?;
        }
        Ok(())
    }
}
