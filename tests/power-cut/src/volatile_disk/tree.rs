//! The files and directories of a disk, as programs see them and as they would
//! be found after a power loss.
//!
//! **Invariant**: the durable entries with all unsynced changes applied in
//! order are the volatile entries.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    time::SystemTime,
};

use fuser::Errno;

use super::{
    content::Content,
    entries::{self, Directories, Entries, EntryChange, Number, Slot},
    node::{Attributes, Body, Node},
    power_loss::PowerLoss,
    survivors::{Survivor, SurvivorBody},
};

/// The number of the root directory, for ever.
pub(crate) const ROOT: Number = 1;

/// Unreachable nodes are dropped once per so many removals and syncs.
const SWEEP_EVERY: u32 = 64;

/// All nodes of a disk.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<Number, Node>,
    unsynced: Vec<EntryChange>,
    next: Number,
    until_sweep: u32,
}

impl Directories for BTreeMap<Number, Node> {
    fn entries(&mut self, directory: Number) -> Option<&mut Entries> {
        match &mut self.get_mut(&directory)?.body {
            Body::Directory { durable, .. } => Some(durable),
            Body::File(_) => None,
        }
    }
}

impl Tree {
    /// A disk that holds what survived, all of it durable. Numbers start at
    /// `next`, so that no number of an earlier life of the disk comes back.
    pub(crate) fn new(root: Survivor, next: Number) -> Self {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            unsynced: Vec::new(),
            next: next.max(ROOT + 1),
            until_sweep: SWEEP_EVERY,
        };
        tree.plant(ROOT, root);
        tree
    }

    fn plant(&mut self, number: Number, survivor: Survivor) {
        let body = match survivor.body {
            SurvivorBody::File(bytes) => Body::File(Content::synced(bytes)),
            SurvivorBody::Directory(children) => {
                let mut entries = Entries::new();
                for (name, child) in children {
                    let number = self.number();
                    entries.insert(name, number);
                    self.plant(number, child);
                }
                Body::Directory {
                    volatile: entries.clone(),
                    durable: entries,
                }
            }
        };
        self.nodes
            .insert(number, Node::new(body, survivor.attributes));
    }

    fn number(&mut self) -> Number {
        self.next += 1;
        self.next - 1
    }

    /// The first number that was never used.
    pub(crate) fn next(&self) -> Number {
        self.next
    }

    /// The numbers of all nodes that the kernel may know.
    pub(crate) fn numbers(&self) -> Vec<Number> {
        self.nodes.keys().copied().collect()
    }

    /// A node; `EIO` when it is of a life before the power loss.
    pub(crate) fn node(&self, number: Number) -> Result<&Node, Errno> {
        self.nodes.get(&number).ok_or(Errno::EIO)
    }

    fn node_mut(&mut self, number: Number) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&number).ok_or(Errno::EIO)
    }

    /// The content of a file that is about to be changed.
    pub(crate) fn changed_file(&mut self, number: Number) -> Result<&mut Content, Errno> {
        let node = self.node_mut(number)?;
        node.attributes.touch();
        match &mut node.body {
            Body::File(content) => Ok(content),
            Body::Directory { .. } => Err(Errno::EISDIR),
        }
    }

    /// The attributes of a node that are about to be changed.
    pub(crate) fn changed_attributes(&mut self, number: Number) -> Result<&mut Attributes, Errno> {
        let node = self.node_mut(number)?;
        node.attributes.changed = SystemTime::now();
        Ok(&mut node.attributes)
    }

    /// The entries of a directory, as programs see them.
    pub(crate) fn list(&self, directory: Number) -> Result<&Entries, Errno> {
        match &self.node(directory)?.body {
            Body::Directory { volatile, .. } => Ok(volatile),
            Body::File(_) => Err(Errno::ENOTDIR),
        }
    }

    fn list_mut(&mut self, directory: Number) -> Result<&mut Entries, Errno> {
        let node = self.node_mut(directory)?;
        node.attributes.touch();
        match &mut node.body {
            Body::Directory { volatile, .. } => Ok(volatile),
            Body::File(_) => Err(Errno::ENOTDIR),
        }
    }

    /// The node behind a name.
    pub(crate) fn find(&self, directory: Number, name: &OsStr) -> Result<Number, Errno> {
        self.list(directory)?
            .get(name)
            .copied()
            .ok_or(Errno::ENOENT)
    }

    /// Counts one more reference that the kernel holds.
    pub(crate) fn looked_up(&mut self, number: Number) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.lookups += 1;
        }
    }

    /// Takes back `count` references.
    pub(crate) fn forgotten(&mut self, number: Number, count: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.lookups = node.lookups.saturating_sub(count);
        }
    }

    /// Creates an empty file or directory.
    pub(crate) fn create(
        &mut self,
        directory: Number,
        name: &OsStr,
        is_directory: bool,
        attributes: Attributes,
    ) -> Result<Number, Errno> {
        if self.list(directory)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let body = if is_directory {
            Body::Directory {
                volatile: Entries::new(),
                durable: Entries::new(),
            }
        } else {
            Body::File(Content::synced(std::sync::Arc::default()))
        };
        let node = self.number();
        self.nodes.insert(node, Node::new(body, attributes));
        self.list_mut(directory)?.insert(name.to_owned(), node);
        let slot = slot(directory, name);
        self.unsynced.push(EntryChange::Added { slot, node });
        Ok(node)
    }

    /// `unlink` or, with `is_directory`, `rmdir`.
    pub(crate) fn remove(
        &mut self,
        directory: Number,
        name: &OsStr,
        is_directory: bool,
    ) -> Result<(), Errno> {
        let node = self.find(directory, name)?;
        match (&self.node(node)?.body, is_directory) {
            (Body::Directory { .. }, false) => return Err(Errno::EISDIR),
            (Body::File(_), true) => return Err(Errno::ENOTDIR),
            (Body::Directory { volatile, .. }, true) if !volatile.is_empty() => {
                return Err(Errno::ENOTEMPTY);
            }
            _ => {}
        }
        self.list_mut(directory)?.remove(name);
        self.unlinked(node);
        let slot = slot(directory, name);
        self.unsynced.push(EntryChange::Removed { slot, node });
        self.sweep_sometimes();
        Ok(())
    }

    /// `rename`; with `keep_target`, a target that exists is `EEXIST`.
    pub(crate) fn rename(
        &mut self,
        from: (Number, &OsStr),
        to: (Number, &OsStr),
        keep_target: bool,
    ) -> Result<(), Errno> {
        let node = self.find(from.0, from.1)?;
        let target = self.list(to.0)?.get(to.1).copied();
        if let Some(target) = target {
            if keep_target {
                return Err(Errno::EEXIST);
            }
            if target == node {
                return Ok(());
            }
            match (&self.node(node)?.body, &self.node(target)?.body) {
                (Body::File(_), Body::Directory { .. }) => return Err(Errno::EISDIR),
                (Body::Directory { .. }, Body::File(_)) => return Err(Errno::ENOTDIR),
                (_, Body::Directory { volatile, .. }) if !volatile.is_empty() => {
                    return Err(Errno::ENOTEMPTY);
                }
                _ => self.unlinked(target),
            }
        }
        self.list_mut(from.0)?.remove(from.1);
        self.list_mut(to.0)?.insert(to.1.to_owned(), node);
        self.unsynced.push(EntryChange::Moved {
            from: slot(from.0, from.1),
            to: slot(to.0, to.1),
            node,
        });
        self.sweep_sometimes();
        Ok(())
    }

    fn unlinked(&mut self, number: Number) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.linked = false;
            node.attributes.changed = SystemTime::now();
        }
    }

    /// `fsync` and, with `data_only`, `fdatasync` of a file or a directory.
    pub(crate) fn sync(&mut self, number: Number, data_only: bool) -> Result<(), Errno> {
        let node = self.node_mut(number)?;
        if !data_only {
            node.durable_attributes = node.attributes;
        }
        if let Body::File(content) = &mut node.body {
            content.sync();
            return Ok(());
        }
        for change in entries::take_synced(&mut self.unsynced, number) {
            change.apply(&mut self.nodes);
        }
        self.sweep_sometimes();
        Ok(())
    }

    /// What a restart finds if the power goes now.
    pub(crate) fn after(&self, loss: PowerLoss) -> Survivor {
        let mut directories: BTreeMap<Number, Entries> = BTreeMap::new();
        for (number, node) in &self.nodes {
            if let Body::Directory { durable, .. } = &node.body {
                directories.insert(*number, durable.clone());
            }
        }
        for change in entries::surviving(&self.unsynced, loss) {
            change.apply(&mut directories);
        }
        let nothing = || Survivor::directory(Attributes::new(0o755, 0, 0), BTreeMap::new());
        self.survivor(ROOT, &mut directories, loss)
            .unwrap_or_else(nothing)
    }

    /// Takes the entries of each directory it visits, so that it visits none
    /// twice, whatever the adversary has made of the tree.
    fn survivor(
        &self,
        number: Number,
        directories: &mut BTreeMap<Number, Entries>,
        loss: PowerLoss,
    ) -> Option<Survivor> {
        let node = self.nodes.get(&number)?;
        if let Body::File(content) = &node.body {
            let bytes = content.after(loss, number);
            return Some(Survivor::file(node.durable_attributes, bytes));
        }
        let mut children: BTreeMap<OsString, Survivor> = BTreeMap::new();
        for (name, child) in directories.remove(&number)? {
            if let Some(child) = self.survivor(child, directories, loss) {
                children.insert(name, child);
            }
        }
        Some(Survivor::directory(node.durable_attributes, children))
    }

    fn sweep_sometimes(&mut self) {
        self.until_sweep = self.until_sweep.saturating_sub(1);
        if self.until_sweep == 0 {
            self.until_sweep = SWEEP_EVERY;
            self.sweep();
        }
    }

    /// Drops nodes that no program and no power loss can reach any more.
    fn sweep(&mut self) {
        let held = self.nodes.iter().filter(|(_, node)| node.lookups > 0);
        let mut pending: Vec<Number> = held.map(|(number, _)| *number).collect();
        pending.extend(self.unsynced.iter().map(EntryChange::node));
        pending.push(ROOT);
        let mut reachable = BTreeSet::new();
        while let Some(number) = pending.pop() {
            if !reachable.insert(number) {
                continue;
            }
            if let Some(Node {
                body: Body::Directory { volatile, durable },
                ..
            }) = self.nodes.get(&number)
            {
                pending.extend(volatile.values().chain(durable.values()));
            }
        }
        self.nodes.retain(|number, _| reachable.contains(number));
    }
}

fn slot(directory: Number, name: &OsStr) -> Slot {
    Slot {
        directory,
        name: name.to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
