//! Time as Landfall stores it, and a clock that tests can hold.
//!
//! A [`Timestamp`] is UTC in microseconds since the Unix epoch: one `BIGINT`
//! column, and the same on every database. Code that needs to know what time
//! it is takes a [`Clock`]; tests give it a [`ManualClock`] and move it, so
//! nothing ever sleeps to see a deadline pass.
//!
//! **Invariant**: only [`SystemClock`] reads the machine's clock.

#![forbid(unsafe_code)]

use std::{
    fmt,
    ops::{Add, Sub},
    str::FromStr,
    sync::{
        LazyLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Serialize, Serializer};

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant that lies `micros` microseconds after the Unix epoch.
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch, as they are stored.
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, as tokens carry them.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_micros(micros.unsigned_abs())
    }
}

/// A text that is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTimestamp;

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as `2026-11-24T14:30:00Z` is expected")
    }
}

impl std::error::Error for InvalidTimestamp {}

/// From RFC 3339, with any offset.
impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        Ok(Self(instant.as_microsecond()))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    /// Saturates: "keep for ever" plus an hour is still for ever.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

/// RFC 3339 with microseconds: `2026-11-24T14:18:56.000000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Tells what time it is.
pub trait Clock: Send + Sync + 'static {
    /// The present instant. Somebody may set it, forward or back.
    fn now(&self) -> Timestamp;

    /// The time since some instant in the past that stays the same: for what
    /// has an age. Nobody sets it, and it never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_microsecond())
    }

    fn monotonic(&self) -> Duration {
        /// When it was first asked for.
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    /// Microseconds that have passed.
    passed: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self {
            now: AtomicI64::new(start.0),
            passed: AtomicU64::new(0),
        }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let by = micros(by);
        self.now.fetch_add(by, Ordering::SeqCst);
        self.passed.fetch_add(by.unsigned_abs(), Ordering::SeqCst);
    }

    /// Sets the clock, forward or back, as an operator does. No time passes.
    pub fn set(&self, to: Timestamp) {
        self.now.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.passed.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_rfc_3339_in_utc() {
        let time = Timestamp::from_unix_micros(1_795_530_000_000_001);
        assert_eq!(time.to_string(), "2026-11-24T14:20:00.000001Z");
    }

    #[test]
    fn arithmetic_saturates_at_the_ends_of_time() {
        let forever = Timestamp::from_unix_micros(i64::MAX);
        assert_eq!(forever + Duration::from_secs(1), forever);
        assert_eq!(Timestamp::default().since(forever), Duration::ZERO);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(Timestamp::from_unix_micros(5));
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_micros(2));
        assert_eq!(clock.now().unix_micros(), 7);
    }

    #[test]
    fn setting_a_clock_lets_no_time_pass() {
        let clock = ManualClock::new(Timestamp::from_unix_micros(5));
        clock.advance(Duration::from_micros(2));
        clock.set(Timestamp::from_unix_micros(1));
        assert_eq!(clock.now().unix_micros(), 1);
        assert_eq!(clock.monotonic(), Duration::from_micros(2));
    }
}
