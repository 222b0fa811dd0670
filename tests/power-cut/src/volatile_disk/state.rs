//! The tree as the kernel asks for it: attributes, listings, new files.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use fuser::{Errno, FileAttr, FileType, INodeNo, Request};

use super::{
    content::BLOCK,
    entries::Number,
    node::{Attributes, Body, Node},
    tree::{ROOT, Tree},
};

// Values of linux/falloc.h.
const FALLOC_FL_KEEP_SIZE: i32 = 0x01;
const FALLOC_FL_PUNCH_HOLE: i32 = 0x02;
const FALLOC_FL_ZERO_RANGE: i32 = 0x10;

/// The largest file, in bytes: it is in memory, holes too.
const LARGEST: usize = 1 << 32;

/// The disk and its open directories.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tree: Tree,
    pub(crate) listings: HashMap<u64, Vec<(Number, FileType, OsString)>>,
    pub(crate) next_listing: u64,
}

/// Locks the state; a panic in another request does not hide it.
pub(crate) fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kind(node: &Node) -> FileType {
    match node.body {
        Body::File(_) => FileType::RegularFile,
        Body::Directory { .. } => FileType::Directory,
    }
}

fn described(number: Number, node: &Node) -> FileAttr {
    let size = match &node.body {
        Body::File(content) => content.size() as u64,
        Body::Directory { .. } => BLOCK as u64,
    };
    let links = match node.body {
        Body::File(_) => 1,
        Body::Directory { .. } => 2,
    };
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: node.attributes.accessed,
        mtime: node.attributes.modified,
        ctime: node.attributes.changed,
        crtime: SystemTime::UNIX_EPOCH,
        kind: kind(node),
        perm: node.attributes.mode,
        nlink: if node.linked { links } else { 0 },
        uid: node.attributes.uid,
        gid: node.attributes.gid,
        rdev: 0,
        blksize: BLOCK as u32,
        flags: 0,
    }
}

impl State {
    /// What `stat` says.
    pub(crate) fn attributes(&self, number: Number) -> Result<FileAttr, Errno> {
        Ok(described(number, self.tree.node(number)?))
    }

    /// The attributes of a node that the kernel now holds once more.
    pub(crate) fn entry(&mut self, number: Number) -> Result<FileAttr, Errno> {
        let attributes = self.attributes(number)?;
        self.tree.looked_up(number);
        Ok(attributes)
    }

    /// Creates a file or directory of the user who asks.
    pub(crate) fn create(
        &mut self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        is_directory: bool,
    ) -> Result<FileAttr, Errno> {
        let attributes = Attributes::new(mode, request.uid(), request.gid());
        let number = self.tree.create(parent.0, name, is_directory, attributes)?;
        self.entry(number)
    }

    /// Keeps the entries of a directory as they are now; the handle of them.
    pub(crate) fn listing(&mut self, number: Number) -> Result<u64, Errno> {
        let mut listing = vec![
            (number, FileType::Directory, ".".into()),
            (ROOT, FileType::Directory, "..".into()),
        ];
        for (name, child) in self.tree.list(number)? {
            listing.push((*child, kind(self.tree.node(*child)?), name.clone()));
        }
        self.next_listing += 1;
        self.listings.insert(self.next_listing, listing);
        Ok(self.next_listing)
    }

    /// `fallocate`.
    pub(crate) fn allocate(
        &mut self,
        number: Number,
        offset: u64,
        length: u64,
        mode: i32,
    ) -> Result<(), Errno> {
        let (start, end) = (index(offset)?, index(offset.saturating_add(length))?);
        let content = self.tree.changed_file(number)?;
        if mode & !(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) != 0 {
            content.zero(start, end - start);
        }
        if mode & FALLOC_FL_KEEP_SIZE == 0 && end > content.size() {
            content.resize(end);
        }
        Ok(())
    }
}

/// An offset or size in memory; `EFBIG` beyond [`LARGEST`].
pub(crate) fn index(offset: u64) -> Result<usize, Errno> {
    let offset = usize::try_from(offset).map_err(|_| Errno::EFBIG)?;
    if offset > LARGEST {
        return Err(Errno::EFBIG);
    }
    Ok(offset)
}
