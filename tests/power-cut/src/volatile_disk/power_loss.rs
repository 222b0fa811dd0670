//! The adversary: which of the unsynced changes a power loss spares.

/// What happens to the changes that were not synced when the power goes.
///
/// What was synced always survives. A disk and its kernel may also have written
/// any part of the rest, in any order, so a correct program must bear every
/// [`PowerLoss::Partial`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerLoss {
    /// Every unsynced change is lost: a file that was never synced is empty.
    Total,
    /// The seed decides which unsynced changes survive. The same seed spares
    /// the same changes of the same history.
    Partial(u64),
}

impl From<u64> for PowerLoss {
    fn from(seed: u64) -> Self {
        Self::Partial(seed)
    }
}

/// A small random generator (`SplitMix64`): the same numbers for the same seed
/// in every version of this crate, so a failing seed can be kept.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of one subject (`stream`, for example a file number) under `seed`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut dice = Self(seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        dice.roll();
        dice
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % (bound.max(1) as u64)).unwrap_or(0)
    }

    /// True half of the time.
    pub(crate) fn coin(&mut self) -> bool {
        self.roll() & 1 == 1
    }
}
