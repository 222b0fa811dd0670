//! Whose password is hashed next.
//!
//! A hash is slow on purpose and only a few are computed at once, so there is
//! a queue. Nobody may fill it for the others:
//!
//! - Of one pair of source and login name only one is in the queue; the others
//!   of the pair wait for its end, which may answer them too.
//! - Of one network at most [`OF_A_NETWORK`] wait, and of all
//!   [`OF_ALL`]. Who comes then is told to come again.
//!
//! A place is free again when its caller goes away.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::{Error, backoff::Pair, source::Network};

/// Hashes that are computed at once: a flood of wrong passwords takes two
/// cores and 38 MiB, and no more.
static HASHING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));
/// Those of one network that wait.
const OF_A_NETWORK: usize = 4;
/// Those that wait in all: the last of them has its turn in about a second.
const OF_ALL: usize = 64;
/// When to come again who finds no place.
const AGAIN: Duration = Duration::from_secs(1);

/// The queue.
pub(crate) struct Turns {
    hashing: Arc<Semaphore>,
    // A std mutex: held for a look into a map.
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    pairs: HashMap<Pair, Arc<tokio::sync::Mutex<()>>>,
    networks: HashMap<Network, usize>,
    all: usize,
}

impl Turns {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(Arc::clone(&HASHING))
    }

    pub(crate) fn of(hashing: Arc<Semaphore>) -> Arc<Self> {
        Arc::new(Self {
            hashing,
            waiting: Mutex::default(),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other of this pair is in the queue, or being hashed.
    pub(crate) async fn of_pair(self: &Arc<Self>, pair: Pair) -> OfPair {
        let lock = Arc::clone(self.waiting().pairs.entry(pair).or_default());
        let mut turn = OfPair {
            turns: Arc::clone(self),
            pair,
            lock,
            held: None,
        };
        turn.held = Some(Arc::clone(&turn.lock).lock_owned().await);
        turn
    }

    /// Waits until there is room for one more hash.
    /// [`Error::TooManyFailures`] if too many wait before.
    pub(crate) async fn take(
        self: &Arc<Self>,
        network: Network,
    ) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(permit) = Arc::clone(&self.hashing).try_acquire_owned() {
            return Ok(permit);
        }
        let _place = self
            .place(network)
            .ok_or(Error::TooManyFailures { retry_after: AGAIN })?;
        acquire(&self.hashing).await
    }

    fn place(self: &Arc<Self>, network: Network) -> Option<Place> {
        let mut waiting = self.waiting();
        let of_network = waiting.networks.get(&network).copied().unwrap_or_default();
        if of_network >= OF_A_NETWORK || waiting.all >= OF_ALL {
            return None;
        }
        waiting.networks.insert(network, of_network + 1);
        waiting.all += 1;
        Some(Place {
            turns: Arc::clone(self),
            network,
        })
    }
}

/// Waits until there is room for a hash of the program itself.
pub(crate) async fn own() -> Result<OwnedSemaphorePermit, Error> {
    acquire(&HASHING).await
}

async fn acquire(hashing: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
    let turn = Arc::clone(hashing).acquire_owned().await;
    turn.map_err(|_| Error::Password("hashing is closed".to_owned()))
}

/// The turn of a pair, until it is dropped.
pub(crate) struct OfPair {
    turns: Arc<Turns>,
    pair: Pair,
    lock: Arc<tokio::sync::Mutex<()>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Drop for OfPair {
    fn drop(&mut self) {
        self.held = None;
        let mut waiting = self.turns.waiting();
        // The map's and this one's: nobody else waits.
        if Arc::strong_count(&self.lock) == 2 {
            waiting.pairs.remove(&self.pair);
        }
    }
}

/// A place in the queue, until it is dropped.
struct Place {
    turns: Arc<Turns>,
    network: Network,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.turns.waiting();
        waiting.all -= 1;
        if let Some(count) = waiting.networks.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                waiting.networks.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin, task::Poll};

    use super::*;

    type Turn = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, Error>>>>;

    /// A queue that shares no hashes with other tests.
    fn queue() -> Arc<Turns> {
        Turns::of(Arc::new(Semaphore::new(2)))
    }

    fn network(source: &str) -> Network {
        Network::of(Some(source.parse().expect(source)))
    }

    /// A turn that is asked for; whether it was refused at once.
    async fn ask(turns: &Arc<Turns>, source: &str) -> Result<Turn, Duration> {
        let (turns, network) = (Arc::clone(turns), network(source));
        let mut turn: Turn = Box::pin(async move { turns.take(network).await });
        match std::future::poll_fn(|cx| Poll::Ready(turn.as_mut().poll(cx))).await {
            Poll::Pending => Ok(turn),
            Poll::Ready(Err(Error::TooManyFailures { retry_after })) => Err(retry_after),
            Poll::Ready(other) => panic!("{:?}", other.map(drop)),
        }
    }

    async fn is_ready<F: Future>(turn: &mut Pin<Box<F>>) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(turn.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn a_network_has_few_places_and_takes_none_from_another() {
        let turns = queue();
        let here = network("192.0.2.1");
        let first = turns.take(here).await.expect("room");
        let second = turns.take(here).await.expect("room");
        let mut waiting = Vec::new();
        for number in 0..OF_A_NETWORK {
            let source = format!("2001:db8::{number}");
            waiting.push(ask(&turns, &source).await.expect("a place"));
        }
        assert_eq!(ask(&turns, "2001:db8::ffff").await.err(), Some(AGAIN));
        let mut owner = ask(&turns, "198.51.100.1").await.expect("a place");
        // Who goes away makes room.
        waiting.pop();
        waiting.push(ask(&turns, "2001:db8::ffff").await.expect("a place"));
        assert!(ask(&turns, "2001:db8::1").await.is_err());
        drop((first, second));
        let mut gone = waiting.split_off(2);
        for turn in &mut waiting {
            drop(turn.as_mut().await.expect("its turn"));
        }
        gone.clear();
        drop(owner.as_mut().await.expect("its turn"));
        drop((waiting, owner));
        assert_eq!(turns.waiting().all, 0);
        assert!(turns.waiting().networks.is_empty());
    }

    #[tokio::test]
    async fn the_queue_is_bounded_however_many_networks_there_are() {
        let turns = queue();
        let here = network("192.0.2.1");
        let _first = turns.take(here).await.expect("room");
        let _second = turns.take(here).await.expect("room");
        let mut waiting = Vec::new();
        for number in 0..OF_ALL {
            let source = format!("10.0.0.{number}");
            waiting.push(ask(&turns, &source).await.expect("a place"));
        }
        assert_eq!(ask(&turns, "10.1.0.0").await.err(), Some(AGAIN));
    }

    #[tokio::test]
    async fn of_a_pair_one_is_in_the_queue_and_nothing_is_left_of_it() {
        let turns = queue();
        let first = turns.of_pair([1; 32]).await;
        let mut second = Box::pin(turns.of_pair([1; 32]));
        let mut given_up = Box::pin(turns.of_pair([1; 32]));
        assert!(!is_ready(&mut second).await);
        assert!(!is_ready(&mut given_up).await);
        drop(turns.of_pair([2; 32]).await);
        drop(given_up);
        drop(first);
        drop(second.await);
        assert!(turns.waiting().pairs.is_empty());
    }
}
