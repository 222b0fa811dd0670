//! When a delivery that failed is tried again.
//!
//! The pause doubles from [`FIRST`] to [`LONGEST`], each stretched or shrunk by
//! up to a fifth, so that what failed together does not come back together.
//! From the first try to the last lies the operator's span (a day, if nothing
//! else is said); the last try is made at its end. After that the delivery is a
//! dead letter.
//!
//! The stretch is a function of the delivery and the number of the try: the
//! schedule of a delivery is the same on every server and after every restart.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use landfall_clock::Timestamp;
use landfall_ids::DeliveryId;

/// The pause after the first failure.
const FIRST: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST: Duration = Duration::from_hours(2);
/// The longest pause that a receiver can ask for.
const LONGEST_ASKED: Duration = Duration::from_hours(24);

/// A delivery that has just failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    /// Which one.
    pub(crate) delivery: DeliveryId,
    /// How often it has been tried, this one counted.
    pub(crate) tries: u64,
    /// When it was tried for the first time.
    pub(crate) first: Timestamp,
    /// What the receiver asks for.
    pub(crate) retry_after: Option<Duration>,
}

/// When to try again; `None` if it was the last try.
pub(crate) fn next(failure: &Failure, now: Timestamp, span: Duration) -> Option<Timestamp> {
    let end = failure.first + span;
    if now >= end {
        return None;
    }
    let asked = failure.retry_after.unwrap_or_default().min(LONGEST_ASKED);
    Some(end.min(now + pause(failure.delivery, failure.tries).max(asked)))
}

fn pause(delivery: DeliveryId, tries: u64) -> Duration {
    let doublings = tries.saturating_sub(1).min(31) as u32;
    let pause = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let mut hasher = DefaultHasher::new();
    (delivery.as_bytes(), tries).hash(&mut hasher);
    // From four to six fifths.
    let thousandths = 800 + (hasher.finish() % 401) as u32;
    pause * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    /// Every instant at which the delivery is tried, from 0, if all fail at
    /// once.
    fn tries(delivery: DeliveryId, span: Duration) -> Vec<Timestamp> {
        let first = Timestamp::default();
        let mut all = vec![first];
        let mut failure = Failure {
            delivery,
            tries: 1,
            first,
            retry_after: None,
        };
        let mut now = first;
        while let Some(at) = next(&failure, now, span) {
            assert!(at > now, "a try that never comes");
            all.push(at);
            now = at;
            failure.tries += 1;
        }
        all
    }

    #[test]
    fn a_day_of_tries_begins_quickly_and_ends_with_the_day() {
        for made in 1..50 {
            let all = tries(DeliveryId::new_at(made), DAY);
            assert!((18..30).contains(&all.len()), "{} tries", all.len());
            assert_eq!(all.last(), Some(&(Timestamp::default() + DAY)));
            for (index, pair) in all.windows(2).enumerate() {
                let usual = FIRST * (1 << index.min(12));
                let pause = pair[1].since(pair[0]);
                assert!(pause <= usual.min(LONGEST).mul_f64(1.2), "pause {index}");
            }
            assert!(all[1].since(all[0]) >= FIRST.mul_f64(0.8));
        }
    }

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        let at = |made| tries(DeliveryId::new_at(made), DAY)[5];
        let different: std::collections::BTreeSet<_> = (1..50).map(at).collect();
        assert!(different.len() > 25, "{} instants", different.len());
    }

    #[test]
    fn the_schedule_is_the_same_everywhere() {
        let delivery = DeliveryId::new_at(7);
        assert_eq!(tries(delivery, DAY), tries(delivery, DAY));
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_but_not_for_more_than_the_span() {
        let mut failure = Failure {
            delivery: DeliveryId::new_at(1),
            tries: 1,
            first: Timestamp::default(),
            retry_after: Some(Duration::from_mins(10)),
        };
        let now = Timestamp::default() + Duration::from_secs(1);
        let asked = now + Duration::from_mins(10);
        assert_eq!(next(&failure, now, DAY), Some(asked));
        failure.retry_after = Some(Duration::from_secs(u64::MAX));
        assert_eq!(next(&failure, now, DAY), Some(Timestamp::default() + DAY));
        let last = Timestamp::default() + DAY;
        assert_eq!(next(&failure, last, DAY), None);
    }
}
