//! Back-off: who guesses passwords waits longer each time.
//!
//! Failures are counted for a **pair** of source and login name. So whoever
//! guesses a password from one place locks out nobody who logs in with the same
//! name from another place, and nobody with another name in the same place. The
//! first [`FREE`] failures cost nothing; then one waits 1, 2, 4 seconds and so
//! on, [`LONGEST`] at the most. Whoever comes earlier is told to wait, and no
//! password is looked at. A right password clears the count; so do
//! [`FORGOTTEN`] without a failure.
//!
//! Each server counts by itself, and forgets when it ends. Memory is bounded:
//! of more than [`REMEMBERED`] pairs those that were not seen for long go. Each
//! of them has cost a hash of a password, so pushing others out takes longer
//! than waiting.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;

use crate::source::Network;

/// Failures that cost nothing.
pub(crate) const FREE: u32 = 5;
/// The longest time to wait.
const LONGEST: Duration = Duration::from_mins(5);
/// After so long without a failure nothing is held against anybody.
const FORGOTTEN: Duration = Duration::from_hours(1);
/// Pairs that are remembered.
pub(crate) const REMEMBERED: usize = 16_384;

/// A source and a login name, in a form of one length whatever was sent.
pub(crate) type Pair = [u8; 32];

/// What is held against a pair.
#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    /// When the last one was, by the monotonic clock.
    last: Duration,
}

/// The failures of all pairs.
pub(crate) struct Backoff {
    pairs: Cache<Pair, Failures>,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self {
            pairs: Cache::new(REMEMBERED),
        }
    }

    /// The pair of a source and a login name.
    pub(crate) fn pair(source: Network, name: &str) -> Pair {
        let mut text = format!("{:?}\n", source.address()).into_bytes();
        text.extend_from_slice(name.as_bytes());
        let mut pair = [0; 32];
        pair.copy_from_slice(digest(&SHA256, &text).as_ref());
        pair
    }

    /// How long the pair still has to wait, at this time of the monotonic
    /// clock; `None` if not at all.
    pub(crate) fn wait(&self, pair: &Pair, now: Duration) -> Option<Duration> {
        let failures = self.pairs.get(pair)?;
        let until = failures.last + penalty(failures.count);
        until.checked_sub(now).filter(|left| !left.is_zero())
    }

    /// Notes a wrong password.
    pub(crate) fn failed(&self, pair: &Pair, now: Duration) {
        let before = self.pairs.get(pair);
        let before = before.filter(|before| now.saturating_sub(before.last) < FORGOTTEN);
        let count = before.map_or(0, |before| before.count).saturating_add(1);
        self.pairs.insert(*pair, Failures { count, last: now });
    }

    /// Forgets what is held against the pair.
    pub(crate) fn succeeded(&self, pair: &Pair) {
        self.pairs.remove(pair);
    }

    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.pairs.len()
    }
}

/// How long one waits after so many failures.
fn penalty(count: u32) -> Duration {
    let Some(doubled) = count.checked_sub(FREE + 1) else {
        return Duration::ZERO;
    };
    let seconds = 1_u64.checked_shl(doubled).unwrap_or(u64::MAX);
    Duration::from_secs(seconds).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: &str, name: &str) -> Pair {
        Backoff::pair(Network::of(Some(source.parse().expect(source))), name)
    }

    #[test]
    fn five_failures_are_free_and_then_each_costs_twice_as_much() {
        let (backoff, alice) = (Backoff::new(), pair("192.0.2.1", "acme/alice"));
        let mut now = Duration::from_secs(1000);
        for _ in 0..FREE {
            backoff.failed(&alice, now);
            assert_eq!(backoff.wait(&alice, now), None);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            backoff.failed(&alice, now);
            let wait = Duration::from_secs(seconds);
            assert_eq!(backoff.wait(&alice, now), Some(wait));
            now += wait;
            assert_eq!(backoff.wait(&alice, now), None);
        }
    }

    #[test]
    fn nobody_is_held_to_what_another_name_or_another_place_did() {
        let backoff = Backoff::new();
        let now = Duration::from_secs(1);
        for _ in 0..100 {
            backoff.failed(&pair("192.0.2.1", "acme/alice"), now);
        }
        assert!(
            backoff
                .wait(&pair("192.0.2.1", "acme/alice"), now)
                .is_some()
        );
        for (source, name) in [("192.0.2.2", "acme/alice"), ("192.0.2.1", "acme/bob")] {
            assert_eq!(
                backoff.wait(&pair(source, name), now),
                None,
                "{source} {name}"
            );
        }
    }

    #[test]
    fn a_right_password_and_a_quiet_hour_clear_the_count() {
        let (backoff, alice) = (Backoff::new(), pair("192.0.2.1", "acme/alice"));
        let mut now = Duration::from_secs(1);
        for _ in 0..=FREE {
            backoff.failed(&alice, now);
        }
        assert!(backoff.wait(&alice, now).is_some());
        backoff.succeeded(&alice);
        assert_eq!(backoff.wait(&alice, now), None);
        for _ in 0..20 {
            backoff.failed(&alice, now);
        }
        now += FORGOTTEN;
        backoff.failed(&alice, now);
        assert_eq!(backoff.wait(&alice, now), None, "it counts from one again");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let backoff = Backoff::new();
        for number in 0..3 * REMEMBERED {
            let name = format!("acme/{number}");
            backoff.failed(&pair("192.0.2.1", &name), Duration::ZERO);
        }
        assert!(backoff.remembered() <= REMEMBERED);
    }
}
