//! Usage: what was pulled from each repository.
//!
//! Requests add to counters in memory, and every few seconds the sums go to the
//! database, behind everything else ([`Registry::usage_flush`]); so does a
//! server that is told to stop. A pull of a manifest adds to three numbers that
//! lie beside the manifest in memory: no look-up, no lock, no write.
//!
//! - **What is counted**: a pull is a GET of a manifest that is answered with
//!   the manifest; bytes are those of manifests and blobs that were sent.
//! - **Several servers** add to the same rows, and none overwrites another's.
//! - **A crash** loses what was counted since the last flush: a few seconds. A
//!   commit whose outcome is not known is taken for made, so nothing is counted
//!   twice.
//! - **Memory** is bounded: a repository from which nothing was pulled since
//!   the last flush is forgotten, and beyond [`MOST`] repositories in one
//!   interval the further ones are not counted.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use landfall_clock::Timestamp;
use landfall_oci::RepositoryName;

use crate::{Error, Registry, Result, Usage, store::usage::usage_add};

/// Repositories that are counted at once, at the most.
const MOST: usize = 65_536;
const SHARDS: usize = 16;
/// Repositories of one transaction.
const BATCH: usize = 100;
/// How exactly the last pull is told: within it, the time is not written again.
const EXACT: Duration = Duration::from_secs(1);

/// The counters of one repository in this process. On a cache line of its own:
/// every core writes it.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct RepositoryUsage {
    pulls: AtomicU64,
    bytes: AtomicU64,
    /// In microseconds; 0 before the first.
    last_pull: AtomicI64,
}

impl RepositoryUsage {
    /// Counts an answer that gives a manifest of `bytes` bytes.
    pub fn pulled(&self, bytes: u64, now: Timestamp) {
        self.pulls.fetch_add(1, Ordering::Relaxed);
        self.sent(bytes);
        let now = now.unix_micros();
        let last = self.last_pull.load(Ordering::Relaxed);
        if now.saturating_sub(last) >= EXACT.as_micros() as i64 {
            self.last_pull.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Counts bytes that were sent.
    pub fn sent(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that were counted and are not in the database yet.
    pub fn sent_so_far(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What was counted since this was asked last.
    fn take(&self) -> Usage {
        let pulls = self.pulls.swap(0, Ordering::Relaxed);
        let last = self.last_pull.load(Ordering::Relaxed);
        Usage {
            pulls,
            bytes: self.bytes.swap(0, Ordering::Relaxed),
            last_pull: (pulls > 0).then(|| Timestamp::from_unix_micros(last)),
        }
    }

    fn give_back(&self, usage: Usage) {
        self.pulls.fetch_add(usage.pulls, Ordering::Relaxed);
        self.bytes.fetch_add(usage.bytes, Ordering::Relaxed);
    }
}

type Shard = HashMap<RepositoryName, Arc<RepositoryUsage>>;

/// The counters of all repositories that something was pulled from.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    // Read-write locks: read to find a counter, which happens once for a
    // manifest in memory and once for each blob; written for a new one.
    shards: [RwLock<Shard>; SHARDS],
    hasher: RandomState,
    /// For repositories that are too many; nobody reads it.
    beyond: Arc<RepositoryUsage>,
}

impl Counts {
    /// The counters of a repository.
    pub(crate) fn of(&self, name: &RepositoryName) -> Arc<RepositoryUsage> {
        let shard = &self.shards[self.hasher.hash_one(name) as usize % SHARDS];
        let read = shard.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = read.get(name) {
            return Arc::clone(found);
        }
        drop(read);
        let mut write = shard.write().unwrap_or_else(PoisonError::into_inner);
        if write.len() >= MOST / SHARDS && !write.contains_key(name) {
            return Arc::clone(&self.beyond);
        }
        Arc::clone(write.entry(name.clone()).or_default())
    }

    /// What was counted since the last time. Counters that were not used, and
    /// that nobody holds, are forgotten.
    fn take(&self) -> Vec<(RepositoryName, Usage)> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|name, counters| {
                let usage = counters.take();
                let used = usage.pulls > 0 || usage.bytes > 0;
                if used {
                    taken.push((name.clone(), usage));
                }
                used || Arc::strong_count(counters) > 1
            });
        }
        // In one order, so that two servers don't wait for each other in a ring.
        taken.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        taken
    }
}

impl Registry {
    /// The counters of a repository, to be kept for as long as an answer takes.
    pub fn usage_of(&self, name: &RepositoryName) -> Arc<RepositoryUsage> {
        self.usage.of(name)
    }

    /// Adds what was counted in this process to the database.
    pub async fn usage_flush(&self) -> Result<()> {
        let mut taken = self.usage.take();
        while !taken.is_empty() {
            let batch = taken.split_off(taken.len().saturating_sub(BATCH));
            let adding = batch.clone();
            let added = self
                .database
                .write_behind(move |tx| {
                    for (name, usage) in &adding {
                        usage_add(tx, name, *usage)?;
                    }
                    Ok::<_, Error>(())
                })
                .await;
            if let Err(error) = added {
                let unsure = matches!(error, Error::Database(landfall_database::Error::Unknown));
                taken.extend(batch.into_iter().filter(|_| !unsure));
                for (name, usage) in taken {
                    self.usage.of(&name).give_back(usage);
                }
                return Err(error);
            }
        }
        Ok(())
    }
}
