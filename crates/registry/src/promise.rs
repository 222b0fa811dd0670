//! The promise: what the registry has said is there, stays there for a while.
//!
//! A client that is told "I have this layer" skips its upload, and names the
//! layer in a manifest some time later. So every positive answer (an upload
//! that finished, a HEAD, a mount, `layers:check`) promises that the link
//! stays for [`Settings::promise`](crate::Settings) at least, and each end of
//! a reference starts the same time anew.
//!
//! Writing a row for each HEAD would make reading cost a commit. A promise is
//! therefore given for half as long again, and renewed only when less than its
//! full length is left: one write in half a promise, whoever asks how often.

use std::time::Duration;

use landfall_clock::Timestamp;

/// The rule of the promise, made from its length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Promise(pub(crate) Duration);

impl Promise {
    /// What a link's `keep_until` becomes when a promise is given.
    pub(crate) fn given(self, now: Timestamp) -> Timestamp {
        now + self.0 + self.0 / 2
    }

    /// Whether a promise of now is covered by what the link says already.
    pub(crate) fn is_covered(self, keep_until: Timestamp, now: Timestamp) -> bool {
        keep_until >= now + self.0
    }

    /// The `keep_until` up to which a link has expired for a collector that
    /// grants `grace` instead of the whole promise. An answer that the link
    /// covered without a write was given a promise before its `keep_until`, at
    /// the latest. No grace at all is granted to nobody.
    pub(crate) fn expired(self, now: Timestamp, grace: Option<Duration>) -> Timestamp {
        match grace {
            Some(Duration::ZERO) => self.given(now),
            Some(grace) => now + self.0.saturating_sub(grace),
            None => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Promise = Promise(Duration::from_hours(1));
    const NOW: Timestamp = Timestamp::from_unix_micros(1_800_000_000_000_000);

    #[test]
    fn a_given_promise_covers_the_same_promise_for_half_its_length() {
        let keep_until = HOUR.given(NOW);
        assert!(HOUR.is_covered(keep_until, NOW));
        assert!(HOUR.is_covered(keep_until, NOW + Duration::from_mins(30)));
        assert!(!HOUR.is_covered(keep_until, NOW + Duration::from_mins(31)));
    }

    #[test]
    fn a_grace_counts_from_the_last_answer_that_was_covered() {
        let half = Duration::from_mins(30);
        let keep_until = HOUR.given(NOW);
        let last_covered = NOW + half;
        assert!(HOUR.is_covered(keep_until, last_covered));
        let due = last_covered + half;
        assert!(keep_until > HOUR.expired(due - Duration::from_micros(1), Some(half)));
        assert!(keep_until <= HOUR.expired(due, Some(half)));
    }

    #[test]
    fn without_grace_a_promise_of_now_has_expired() {
        assert!(HOUR.given(NOW) > HOUR.expired(NOW, None));
        assert!(HOUR.given(NOW) <= HOUR.expired(NOW, Some(Duration::ZERO)));
        assert_eq!(HOUR.expired(NOW, Some(Duration::from_hours(2))), NOW);
    }
}
