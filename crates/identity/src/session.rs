//! How a server keeps up with what access depends on.
//!
//! # Overview
//!
//! Everything that decides about access is remembered in a
//! [`Generation`], which belongs to one number of the epoch `access`
//! ([`landfall_database::epoch`]). Each second the number is read; another one
//! begins a new generation, with nothing in it but the keys.
//!
//! # What may be relied on
//!
//! - **Nothing is decided out of a generation whose number was read more than
//!   [`OLDEST`] ago**, by the monotonic clock, from before the question was sent.
//!   So what was committed is seen by every server within that time, also by
//!   one that stalled. Who finds the number older than that reads it first.
//! - Where it can't be read, nothing is decided: [`Error::Unavailable`].
//! - A server sees its own writes at once.
//!
//! # Two at once
//!
//! One reads at a time, and who waits for it takes its answer if that was asked
//! for after they came. So a database that is away is asked once for all that
//! wait, and not by each of them in turn.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use landfall_clock::Clock;
use landfall_database::{Database, epoch};
use landfall_seal::MasterKey;
use tokio::{sync::Mutex, time::MissedTickBehavior};

use crate::{Error, Identity, generation::Generation, keys::KeyRing, store};

/// How old the number may be that something is decided by.
pub(crate) const OLDEST: Duration = Duration::from_secs(2);
/// How often the number is read.
const BETWEEN_READS: Duration = Duration::from_secs(1);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The shortest time between two reads that strangers can cause.
const BETWEEN_FORCED: Duration = Duration::from_secs(1);

/// The present generation, and since when it is known to be that.
pub(crate) struct Freshness {
    /// Guards the exchange of a pointer. Read by each request, written when the
    /// epoch changes.
    current: RwLock<Arc<Generation>>,
    /// When its number was last asked for with success: microseconds of the
    /// monotonic clock. Written after `current`, read before it.
    read: AtomicU64,
    /// The same of the last time without success.
    failed: AtomicU64,
    /// When a stranger's token last made us read.
    forced: AtomicU64,
    /// Whether the last read failed: the log is told once.
    away: AtomicBool,
    /// Held by who reads. Held over the wait for the database, so a lock for
    /// async code.
    reading: Mutex<()>,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Freshness {
    /// Reads the first generation.
    pub(crate) async fn open(
        database: &Database,
        master: &MasterKey,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        let asked = micros(clock.monotonic());
        let first = load(database, master).await?;
        Ok(Self {
            current: RwLock::new(Arc::new(first)),
            read: AtomicU64::new(asked),
            failed: AtomicU64::new(0),
            forced: AtomicU64::new(0),
            away: AtomicBool::new(false),
            reading: Mutex::new(()),
        })
    }

    fn current(&self) -> Arc<Generation> {
        // Nobody panics while holding it.
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    fn replace(&self, next: Generation) {
        let next = Arc::new(next);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = next;
    }
}

/// The present number, and the keys of the same instant.
async fn load(database: &Database, master: &MasterKey) -> Result<Generation, Error> {
    let (number, keys) = database
        .read(|tx| {
            let number = epoch::find(tx, epoch::ACCESS)?;
            let keys = store::keys::signing_key_list(tx)?;
            Ok::<_, landfall_database::Error>((number, keys))
        })
        .await?;
    Ok(Generation::new(number, KeyRing::open(master, keys)?))
}

impl Identity {
    /// What is remembered of the present epoch. It is no older than
    /// [`OLDEST`].
    pub(crate) async fn generation(&self) -> Result<Arc<Generation>, Error> {
        let read = self.freshness.read.load(Ordering::Acquire);
        let age = micros(self.clock.monotonic()).saturating_sub(read);
        if age > micros(OLDEST) {
            self.refresh().await?;
        }
        Ok(self.freshness.current())
    }

    /// Reads the epoch now: what was committed before this call is seen after
    /// it.
    pub async fn refresh(&self) -> Result<(), Error> {
        let freshness = &self.freshness;
        let asked = micros(self.clock.monotonic());
        let _reading = freshness.reading.lock().await;
        // Somebody has asked after we came, and has been answered.
        if freshness.read.load(Ordering::Acquire) > asked {
            return Ok(());
        }
        if freshness.failed.load(Ordering::Acquire) > asked {
            return Err(Error::Unavailable);
        }
        let asking = micros(self.clock.monotonic());
        let answer = tokio::time::timeout(PATIENCE, self.read_epoch()).await;
        let failure = match answer {
            Ok(Ok(())) => {
                freshness.read.store(asking, Ordering::Release);
                if freshness.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("what access depends on can be read again");
                }
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer in {} s", PATIENCE.as_secs()),
        };
        freshness.failed.store(asking, Ordering::Release);
        if !freshness.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = failure,
                "what access depends on can't be read; requests are refused until it can"
            );
        }
        Err(Error::Unavailable)
    }

    async fn read_epoch(&self) -> Result<(), Error> {
        let number = epoch::read(&self.database, epoch::ACCESS).await?;
        // Other than, and not later than: a restored database has an earlier one.
        if number != self.freshness.current().number {
            let next = load(&self.database, &self.master).await?;
            tracing::debug!(epoch = next.number, "access has changed");
            self.freshness.replace(next);
        }
        Ok(())
    }

    /// Sees what this server has just written. What can't be read now is seen
    /// later, within [`OLDEST`].
    pub(crate) async fn own_write_seen(&self) {
        // It is logged where it is read.
        let _ = self.refresh().await;
    }

    /// The present generation, for who has met a key that is not in `seen`. Read
    /// anew, but not more often than each second: strangers can cause this.
    pub(crate) async fn generation_after(
        &self,
        seen: &Arc<Generation>,
    ) -> Result<Arc<Generation>, Error> {
        let current = self.generation().await?;
        if !Arc::ptr_eq(&current, seen) {
            return Ok(current);
        }
        let now = micros(self.clock.monotonic());
        let last = self.freshness.forced.load(Ordering::Relaxed);
        // 0 is never: a clock starts there.
        let due = last == 0 || now.saturating_sub(last) >= micros(BETWEEN_FORCED);
        let (forced, order) = (&self.freshness.forced, Ordering::Relaxed);
        let ours = due
            && forced
                .compare_exchange(last, now.max(1), order, order)
                .is_ok();
        if ours {
            self.refresh().await?;
        } else {
            // Somebody may be reading because of the same key.
            drop(self.freshness.reading.lock().await);
        }
        Ok(self.freshness.current())
    }

    /// Keeps up with what access depends on, until it is dropped.
    pub async fn keep_fresh(&self) {
        let mut ticks = tokio::time::interval(BETWEEN_READS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // What fails is logged there, and is tried again.
            let _ = self.refresh().await;
        }
    }
}
