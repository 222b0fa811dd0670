//! Changes of directory entries that no `fsync` of a directory has made durable.
//!
//! A change belongs to one directory: the one that gains or loses the name, for
//! a rename the one that gains it. `fsync` of that directory makes it durable.
//! A rename is atomic, as on every journaling file system: both names change
//! together. So `fsync` of the directory that a file *left* promises nothing.
//! (POSIX promises no more, and a program that relies on more is what this tool
//! has to find.)
//!
//! **Invariant**: changes of one name become durable in the order in which they
//! were made. What a change depends on becomes durable with it.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsString,
};

use super::power_loss::{Dice, PowerLoss};

/// The number of a file or directory; never used twice on one disk.
pub(crate) type Number = u64;

/// The entries of one directory.
pub(crate) type Entries = BTreeMap<OsString, Number>;

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    /// The directory's number.
    pub(crate) directory: Number,
    /// The name in it.
    pub(crate) name: OsString,
}

/// One change of directory entries.
#[derive(Debug, Clone)]
pub(crate) enum EntryChange {
    /// A file or directory was created.
    Added { slot: Slot, node: Number },
    /// A file or directory was removed.
    Removed { slot: Slot, node: Number },
    /// A file or directory was renamed; what was at `to` is gone.
    Moved { from: Slot, to: Slot, node: Number },
}

impl EntryChange {
    fn owner(&self) -> Number {
        match self {
            Self::Added { slot, .. } | Self::Removed { slot, .. } => slot.directory,
            Self::Moved { to, .. } => to.directory,
        }
    }

    /// The node that the change is about: it must be kept while the change is.
    pub(crate) fn node(&self) -> Number {
        match self {
            Self::Added { node, .. } | Self::Removed { node, .. } | Self::Moved { node, .. } => {
                *node
            }
        }
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        let (first, second) = match self {
            Self::Added { slot, .. } | Self::Removed { slot, .. } => (slot, None),
            Self::Moved { from, to, .. } => (from, Some(to)),
        };
        std::iter::once(first).chain(second)
    }

    /// Applies the change to entries by directory. A directory that is not
    /// there (it was never durable and is gone) takes nothing.
    pub(crate) fn apply(&self, directories: &mut impl Directories) {
        let mut remove = |slot: &Slot, node: &Number| {
            if let Some(entries) = directories.entries(slot.directory)
                && entries.get(&slot.name) == Some(node)
            {
                entries.remove(&slot.name);
            }
        };
        let (slot, node) = match self {
            Self::Removed { slot, node } => return remove(slot, node),
            Self::Added { slot, node } => (slot, node),
            Self::Moved { from, to, node } => {
                remove(from, node);
                (to, node)
            }
        };
        if let Some(entries) = directories.entries(slot.directory) {
            entries.insert(slot.name.clone(), *node);
        }
    }
}

/// Durable entries by directory.
pub(crate) trait Directories {
    /// The entries of the directory with this number.
    fn entries(&mut self, directory: Number) -> Option<&mut Entries>;
}

impl Directories for BTreeMap<Number, Entries> {
    fn entries(&mut self, directory: Number) -> Option<&mut Entries> {
        self.get_mut(&directory)
    }
}

/// Takes the changes that `fsync` of `directory` makes durable, in order, out
/// of `changes`.
pub(crate) fn take_synced(changes: &mut Vec<EntryChange>, directory: Number) -> Vec<EntryChange> {
    let owned = changes.iter().map(|change| change.owner() == directory);
    let chosen = with_dependencies(changes, owned.collect());
    let (mut synced, mut rest) = (Vec::new(), Vec::new());
    for (change, chosen) in std::mem::take(changes).into_iter().zip(chosen) {
        if chosen { &mut synced } else { &mut rest }.push(change);
    }
    *changes = rest;
    synced
}

/// The unsynced changes that survive a power loss, in order.
///
/// Half of the seeds play a journal: a prefix of all changes survives. The
/// other half play a disk that keeps order within one directory only.
pub(crate) fn surviving(changes: &[EntryChange], loss: PowerLoss) -> Vec<EntryChange> {
    let PowerLoss::Partial(seed) = loss else {
        return Vec::new();
    };
    let mut dice = Dice::new(seed, 0);
    let chosen = if dice.coin() {
        let prefix = dice.below(changes.len() + 1);
        (0..changes.len()).map(|index| index < prefix).collect()
    } else {
        let mut left: BTreeMap<Number, usize> = BTreeMap::new();
        for change in changes {
            *left.entry(change.owner()).or_default() += 1;
        }
        for count in left.values_mut() {
            *count = dice.below(*count + 1);
        }
        let mut spared = |owner| match left.get_mut(&owner) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        };
        changes
            .iter()
            .map(|change| spared(change.owner()))
            .collect()
    };
    let chosen = with_dependencies(changes, chosen);
    let both = changes.iter().zip(chosen);
    both.filter(|(_, chosen)| *chosen)
        .map(|(change, _)| change.clone())
        .collect()
}

/// Adds to `chosen` every earlier change of a name that a chosen change touches.
fn with_dependencies(changes: &[EntryChange], mut chosen: Vec<bool>) -> Vec<bool> {
    let mut touched: HashSet<&Slot> = HashSet::new();
    for (change, chosen) in changes.iter().zip(&mut chosen).rev() {
        *chosen |= change.slots().any(|slot| touched.contains(slot));
        if *chosen {
            touched.extend(change.slots());
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(directory: Number, name: &str) -> Slot {
        Slot {
            directory,
            name: name.into(),
        }
    }

    fn history() -> Vec<EntryChange> {
        vec![
            EntryChange::Added {
                slot: slot(1, "x"),
                node: 10,
            },
            EntryChange::Moved {
                from: slot(1, "x"),
                to: slot(2, "y"),
                node: 10,
            },
            EntryChange::Added {
                slot: slot(1, "x"),
                node: 11,
            },
            EntryChange::Added {
                slot: slot(1, "other"),
                node: 12,
            },
        ]
    }

    fn directories() -> BTreeMap<Number, Entries> {
        BTreeMap::from([(1, Entries::new()), (2, Entries::new())])
    }

    #[test]
    fn a_synced_rename_takes_the_creation_of_its_file_along() {
        let mut changes = history();
        let mut directories = directories();
        for change in take_synced(&mut changes, 2) {
            change.apply(&mut directories);
        }
        assert!(directories[&1].is_empty());
        assert_eq!(directories[&2], Entries::from([("y".into(), 10)]));
        assert_eq!(changes.len(), 2);
    }

    #[test]
    fn a_name_that_is_used_again_makes_the_rename_before_it_durable() {
        let mut changes = history();
        let mut directories = directories();
        for change in take_synced(&mut changes, 1) {
            change.apply(&mut directories);
        }
        assert!(changes.is_empty());
        assert_eq!(directories[&2], Entries::from([("y".into(), 10)]));
        assert_eq!(
            directories[&1],
            Entries::from([("other".into(), 12), ("x".into(), 11)])
        );
    }

    #[test]
    fn no_seed_loses_a_file_that_only_changed_its_name() {
        let changes = vec![EntryChange::Moved {
            from: slot(1, "x"),
            to: slot(2, "y"),
            node: 10,
        }];
        let mut seen = HashSet::new();
        for seed in 0..100 {
            let mut directories = directories();
            directories.insert(1, Entries::from([("x".into(), 10)]));
            for change in surviving(&changes, PowerLoss::Partial(seed)) {
                change.apply(&mut directories);
            }
            let places = (directories[&1].len(), directories[&2].len());
            assert!(places == (1, 0) || places == (0, 1), "seed {seed}");
            seen.insert(places);
        }
        assert_eq!(seen.len(), 2, "both outcomes have to happen");
    }
}
