//! Latencies, kept one by one, and what is said about them.

use std::time::Duration;

use serde::Serialize;

/// Latencies of a run, in nanoseconds. Every one is kept, so a percentile is
/// exact.
#[derive(Debug, Default)]
pub struct Latencies(Vec<u64>);

/// What is told about latencies, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of the requests were quicker.
    pub p50_us: f64,
    /// Nine of ten.
    pub p90_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// 999 of 1,000.
    pub p999_us: f64,
    /// The slowest.
    pub max_us: f64,
}

impl Latencies {
    /// Adds one.
    pub fn record(&mut self, latency: Duration) {
        self.0
            .push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The latency that `share` of the requests did not exceed (nearest rank),
    /// for each share; zero where there is none.
    pub fn percentiles(mut self) -> Percentiles {
        self.0.sort_unstable();
        let at = |share: f64| {
            let rank = (share * self.0.len() as f64).ceil() as usize;
            let index = rank.clamp(1, self.0.len().max(1)) - 1;
            self.0.get(index).copied().unwrap_or(0) as f64 / 1000.0
        };
        Percentiles {
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: at(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_ranks_whatever_the_order() {
        let mut latencies = Latencies::default();
        for micros in (1..=1000).rev() {
            latencies.record(Duration::from_micros(micros));
        }
        let told = latencies.percentiles();
        assert_eq!(
            told,
            Percentiles {
                p50_us: 500.0,
                p90_us: 900.0,
                p99_us: 990.0,
                p999_us: 999.0,
                max_us: 1000.0,
            }
        );
    }

    #[test]
    fn one_slow_request_of_two_hundred_is_in_p999_and_not_in_p99() {
        let mut latencies = Latencies::default();
        for _ in 0..199 {
            latencies.record(Duration::from_micros(10));
        }
        latencies.record(Duration::from_millis(5));
        let told = latencies.percentiles();
        assert_eq!((told.p99_us, told.p999_us), (10.0, 5000.0));
    }

    #[test]
    fn nothing_gives_zeros() {
        assert_eq!(Latencies::default().percentiles(), Percentiles::default());
    }
}
