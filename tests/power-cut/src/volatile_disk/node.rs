//! One file or directory: its attributes and what it holds.

use std::time::SystemTime;

use super::{content::Content, entries::Entries};

/// What `chmod`, `chown` and `utimes` change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Permission bits.
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) accessed: SystemTime,
    pub(crate) modified: SystemTime,
    pub(crate) changed: SystemTime,
}

impl Attributes {
    /// Attributes of something that comes into being now.
    pub(crate) fn new(mode: u32, uid: u32, gid: u32) -> Self {
        let now = SystemTime::now();
        Self {
            mode: (mode & 0o7777) as u16,
            uid,
            gid,
            accessed: now,
            modified: now,
            changed: now,
        }
    }

    /// Says that the content was changed now.
    pub(crate) fn touch(&mut self) {
        self.modified = SystemTime::now();
        self.changed = self.modified;
    }
}

/// What a node holds.
#[derive(Debug)]
pub(crate) enum Body {
    File(Content),
    Directory { volatile: Entries, durable: Entries },
}

/// A file or a directory.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) body: Body,
    pub(crate) attributes: Attributes,
    /// What the last `fsync` made durable.
    pub(crate) durable_attributes: Attributes,
    /// How often the kernel has looked the node up and not forgotten it; it
    /// holds every open file and every mapping of it.
    pub(crate) lookups: u64,
    /// Whether a name leads to the node.
    pub(crate) linked: bool,
}

impl Node {
    /// A node that a name leads to; its attributes are durable with that name.
    pub(crate) fn new(body: Body, attributes: Attributes) -> Self {
        Self {
            body,
            attributes,
            durable_attributes: attributes,
            lookups: 0,
            linked: true,
        }
    }
}
