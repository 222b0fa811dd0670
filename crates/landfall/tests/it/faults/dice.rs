//! Choices that a seed makes: the same seed makes the same choices.

use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

/// Runs one seed alone, as the message of a failed round says.
const SEED: &str = "LANDFALL_TEST_SEED";

/// The seed to run alone, if somebody asks for one.
pub(crate) fn seed_alone() -> Option<u64> {
    let text = std::env::var(SEED).ok()?;
    if text == "random" {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        return Some(now.unwrap_or_default().as_millis() as u64);
    }
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("`{SEED}` is a number or `random`, not `{text}`")),
    )
}

/// Says how to run a seed alone when the test fails while this lives.
#[derive(Debug)]
pub(crate) struct Blame {
    /// The module of the test.
    pub(crate) test: &'static str,
    /// The seed of the round.
    pub(crate) seed: u64,
}

impl Drop for Blame {
    #[expect(clippy::print_stderr, reason = "a failed test tells how to repeat it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { test, seed } = self;
            eprintln!("failed with seed {seed}; alone:");
            eprintln!("  {SEED}={seed} cargo test -p landfall --test it {test}");
        }
    }
}

/// A small random generator (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self(seed);
        dice.roll();
        dice
    }

    /// Dice of their own for one of several who share a seed.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new(self.roll())
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number of the range, which is not empty.
    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.roll() % (range.end - range.start).max(1)
    }

    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.within(0..100) < share
    }

    /// One of them, or `None` if there are none.
    pub(crate) fn pick<T>(&mut self, from: impl IntoIterator<Item = T>) -> Option<T> {
        let mut from: Vec<T> = from.into_iter().collect();
        let count = from.len() as u64;
        (count > 0).then(|| from.swap_remove(self.within(0..count) as usize))
    }
}
