//! The bytes of one file: what reads see, what the disk holds, and every
//! change between the two.
//!
//! **Invariant**: the durable bytes with all unsynced changes applied in order
//! are the volatile bytes.

use std::{collections::HashSet, sync::Arc};

use super::power_loss::{Dice, PowerLoss};

/// The unit in which a write survives or is lost, in bytes: a page of the page
/// cache and a sector of a disk with 4 KiB sectors.
pub(crate) const BLOCK: usize = 4096;

/// Unsynced changes are compacted when there are more than this many.
const COMPACT_ABOVE: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Write { offset: usize, bytes: Box<[u8]> },
    Resize(usize),
    Zero { offset: usize, length: usize },
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(to, *offset, bytes),
            Self::Resize(size) => to.resize(*size, 0),
            Self::Zero { offset, length } => {
                let end = offset.saturating_add(*length).min(to.len());
                if let Some(hole) = to.get_mut(*offset..end) {
                    hole.fill(0);
                }
            }
        }
    }

    /// The pieces of a write, each within one block; nothing for other changes.
    fn pieces(&self) -> Vec<(usize, &[u8])> {
        let Self::Write { offset, bytes } = self else {
            return Vec::new();
        };
        let (mut at, mut rest, mut pieces) = (*offset, &bytes[..], Vec::new());
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(rest.len().min(BLOCK - at % BLOCK));
            pieces.push((at, piece));
            at += piece.len();
            rest = tail;
        }
        pieces
    }
}

/// Writes `bytes` at `offset`; a gap before them reads as zeros.
fn put(to: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if offset == to.len() {
        to.extend_from_slice(bytes);
        return;
    }
    if to.len() < end {
        to.resize(end, 0);
    }
    to[offset..end].copy_from_slice(bytes);
}

/// The content of one regular file.
#[derive(Debug)]
pub(crate) struct Content {
    volatile: Vec<u8>,
    durable: Arc<Vec<u8>>,
    unsynced: Vec<Change>,
    compact_above: usize,
}

impl Content {
    /// A file whose bytes are all on the disk.
    pub(crate) fn synced(bytes: Arc<Vec<u8>>) -> Self {
        Self {
            volatile: bytes.to_vec(),
            durable: bytes,
            unsynced: Vec::new(),
            compact_above: COMPACT_ABOVE,
        }
    }

    /// Size in bytes, as `stat` sees it.
    pub(crate) fn size(&self) -> usize {
        self.volatile.len()
    }

    /// Up to `length` bytes from `offset`; fewer or none at the end of the file.
    pub(crate) fn read(&self, offset: usize, length: usize) -> &[u8] {
        let start = offset.min(self.volatile.len());
        let end = start.saturating_add(length).min(self.volatile.len());
        &self.volatile[start..end]
    }

    /// Writes into the volatile bytes only.
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.change(Change::Write {
            offset,
            bytes: bytes.into(),
        });
    }

    /// Cuts the file or fills it with zeros to `size`.
    pub(crate) fn resize(&mut self, size: usize) {
        if size != self.volatile.len() {
            self.change(Change::Resize(size));
        }
    }

    /// Zeroes a range, within the file's size.
    pub(crate) fn zero(&mut self, offset: usize, length: usize) {
        self.change(Change::Zero { offset, length });
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.volatile);
        self.unsynced.push(change);
        if self.unsynced.len() > self.compact_above {
            self.compact();
            self.compact_above = COMPACT_ABOVE.max(2 * self.unsynced.len());
        }
    }

    /// Drops writes whose every block was wholly overwritten later on. It takes
    /// choices from the adversary, but a file that is rewritten for ever and
    /// never synced (a shared-memory index) would grow without bound.
    fn compact(&mut self) {
        let mut covered = HashSet::new();
        let mut barrier = false;
        let mut kept: Vec<Change> = Vec::new();
        for change in std::mem::take(&mut self.unsynced).into_iter().rev() {
            let pieces = change.pieces();
            barrier |= pieces.is_empty();
            if !barrier && pieces.iter().all(|(at, _)| covered.contains(&(at / BLOCK))) {
                continue;
            }
            covered.extend(
                pieces
                    .iter()
                    .filter(|(_, piece)| piece.len() == BLOCK)
                    .map(|(at, _)| at / BLOCK),
            );
            kept.push(change);
        }
        kept.reverse();
        self.unsynced = kept;
    }

    /// Makes every change durable: what `fsync` and `fdatasync` promise.
    pub(crate) fn sync(&mut self) {
        if self.unsynced.is_empty() {
            return;
        }
        let durable = Arc::make_mut(&mut self.durable);
        for change in self.unsynced.drain(..) {
            change.apply(durable);
        }
        self.compact_above = COMPACT_ABOVE;
    }

    /// The bytes that are there after the power was lost now. `stream` tells
    /// the files of one disk apart, so that each has its own fate.
    pub(crate) fn after(&self, loss: PowerLoss, stream: u64) -> Arc<Vec<u8>> {
        match loss {
            PowerLoss::Partial(seed) if !self.unsynced.is_empty() => {
                Arc::new(self.torn(&mut Dice::new(seed, stream)))
            }
            _ => Arc::clone(&self.durable),
        }
    }

    /// One of five fates, so that the extremes are as likely as the mixtures.
    fn torn(&self, dice: &mut Dice) -> Vec<u8> {
        match dice.below(5) {
            0 => self.durable.to_vec(),
            1 => self.volatile.clone(),
            2 => self.first_changes(dice),
            3 => self.scattered_blocks(dice, false),
            _ => self.scattered_blocks(dice, true),
        }
    }

    /// Changes reached the disk in order, and the last one only in part.
    fn first_changes(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.durable.to_vec();
        let whole = dice.below(self.unsynced.len());
        for change in &self.unsynced[..whole] {
            change.apply(&mut bytes);
        }
        let pieces = self.unsynced[whole].pieces();
        let survivors = dice.below(pieces.len() + 1);
        for (at, piece) in &pieces[..survivors] {
            put(&mut bytes, *at, piece);
        }
        bytes
    }

    /// Every block of every write had its own luck. With `sized`, the new size
    /// reached the disk although the blocks did not: they read as zeros.
    fn scattered_blocks(&self, dice: &mut Dice, sized: bool) -> Vec<u8> {
        let mut bytes = self.durable.to_vec();
        for change in &self.unsynced {
            let pieces = change.pieces();
            if pieces.is_empty() && dice.coin() {
                change.apply(&mut bytes);
            }
            for (at, piece) in pieces {
                if dice.coin() {
                    put(&mut bytes, at, piece);
                } else if sized && bytes.len() < at + piece.len() {
                    bytes.resize(at + piece.len(), 0);
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let one = prop_oneof![
            4 => (0..40_000_usize, 0..9_000_usize, any::<u8>()).prop_map(|(offset, length, fill)| {
                Change::Write { offset, bytes: vec![fill; length].into() }
            }),
            1 => (0..40_000_usize).prop_map(Change::Resize),
            1 => (0..40_000_usize, 0..9_000_usize)
                .prop_map(|(offset, length)| Change::Zero { offset, length }),
        ];
        proptest::collection::vec(one, 0..30)
    }

    fn with(changes: &[Change]) -> Content {
        let mut content = Content::synced(Arc::new(Vec::new()));
        for change in changes {
            content.change(change.clone());
        }
        content
    }

    proptest! {
        #[test]
        fn a_sync_makes_the_durable_bytes_equal_to_the_volatile_ones(before in changes(), seed: u64) {
            let mut content = with(&before);
            content.sync();
            prop_assert_eq!(&content.volatile, &*content.durable);
            prop_assert_eq!(&content.volatile, &*content.after(PowerLoss::Partial(seed), 1));
        }

        #[test]
        fn compaction_changes_neither_the_volatile_nor_the_synced_bytes(before in changes()) {
            let mut content = with(&before);
            let expected = content.volatile.clone();
            content.compact();
            prop_assert_eq!(&content.volatile, &expected);
            content.sync();
            prop_assert_eq!(&*content.durable, &expected);
        }

        #[test]
        fn every_block_that_survives_was_written_or_is_zero(length in 1..60_000_usize, seed: u64) {
            let written = Change::Write { offset: 0, bytes: vec![7; length].into() };
            let left = with(&[written]).after(PowerLoss::Partial(seed), 3);
            prop_assert!(left.len() <= length);
            for block in left.chunks(BLOCK) {
                let first = block[0];
                prop_assert!(first == 7 || first == 0);
                prop_assert!(block.iter().all(|byte| *byte == first));
            }
        }
    }

    #[test]
    fn the_same_seed_spares_the_same_bytes() {
        let content = with(&[Change::Write {
            offset: 0,
            bytes: vec![7; 100_000].into(),
        }]);
        for seed in 0..50 {
            let once = content.after(PowerLoss::Partial(seed), 9);
            assert_eq!(once, content.after(PowerLoss::Partial(seed), 9));
        }
    }

    #[test]
    fn rewriting_the_same_block_for_ever_does_not_grow_the_log() {
        let mut content = Content::synced(Arc::new(Vec::new()));
        for round in 0..20_000_u32 {
            content.write(0, &[round as u8; BLOCK]);
        }
        assert!(content.unsynced.len() <= COMPACT_ABOVE + 1);
    }
}
