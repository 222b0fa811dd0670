//! The requests of the kernel, answered from the [`State`].
//!
//! **Contract with the kernel**: no write-back cache, so that every `write` is
//! here before it returns; pages that are dirty in a shared mapping come when
//! the kernel writes them back, as on a disk. Names and attributes are never
//! cached, so that after a power loss every path leads to the new tree. File
//! locks are the kernel's own. `sync_file_range` and `sync` reach nobody and
//! make nothing durable.
//!
//! **After a power loss** the numbers of the old life are unknown: every request
//! for one is answered with `EIO`. Directories are listed from the state at
//! their `opendir`, whose handles a power loss forgets as well.

use std::{
    ffi::OsStr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};

use super::{
    content::BLOCK,
    node::Body,
    state::{State, index, locked},
};

/// Nothing about names and attributes is cached.
const UNCACHED: Duration = Duration::ZERO;
/// Numbers are never used twice, so there is one generation.
const GENERATION: Generation = Generation(0);
/// The size that `statfs` reports, in blocks: 1 TiB.
const BLOCKS: u64 = 1 << 28;

// Values of lseek(2).
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;

/// The answering side of a mount.
#[derive(Debug)]
pub(crate) struct Kernel(pub(crate) Arc<Mutex<State>>);

impl Kernel {
    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0)
    }
}

fn moment(time: TimeOrNow) -> SystemTime {
    match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

fn send_entry(result: Result<FileAttr, Errno>, reply: ReplyEntry) {
    match result {
        Ok(attributes) => reply.entry(&UNCACHED, &attributes, GENERATION),
        Err(error) => reply.error(error),
    }
}

fn send_attributes(result: Result<FileAttr, Errno>, reply: ReplyAttr) {
    match result {
        Ok(attributes) => reply.attr(&UNCACHED, &attributes),
        Err(error) => reply.error(error),
    }
}

fn send_done(result: Result<(), Errno>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Kernel {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut state = self.state();
        let found = state.tree.find(parent.0, name);
        send_entry(found.and_then(|number| state.entry(number)), reply);
    }

    fn forget(&self, _: &Request, ino: INodeNo, count: u64) {
        self.state().tree.forgotten(ino.0, count);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        send_attributes(self.state().attributes(ino.0), reply);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut state = self.state();
        let mut change = || {
            if let Some(size) = size {
                state.tree.changed_file(ino.0)?.resize(index(size)?);
            }
            let attributes = state.tree.changed_attributes(ino.0)?;
            attributes.mode = mode.map_or(attributes.mode, |mode| (mode & 0o7777) as u16);
            attributes.uid = uid.unwrap_or(attributes.uid);
            attributes.gid = gid.unwrap_or(attributes.gid);
            attributes.accessed = accessed.map_or(attributes.accessed, moment);
            attributes.modified = modified.map_or(attributes.modified, moment);
            state.attributes(ino.0)
        };
        send_attributes(change(), reply);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let created = self.state().create(request, parent, name, mode, true);
        send_entry(created, reply);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let flags = FopenFlags::FOPEN_KEEP_CACHE;
        match self.state().create(request, parent, name, mode, false) {
            Ok(file) => reply.created(&UNCACHED, &file, GENERATION, FileHandle(0), flags),
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        send_done(self.state().tree.remove(parent.0, name, false), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        send_done(self.state().tree.remove(parent.0, name, true), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let keep_target = flags == RenameFlags::RENAME_NOREPLACE;
        if !flags.is_empty() && !keep_target {
            return reply.error(Errno::EINVAL);
        }
        let (from, to) = ((parent.0, name), (new_parent.0, new_name));
        send_done(self.state().tree.rename(from, to, keep_target), reply);
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.state().tree.node(ino.0) {
            Ok(_) => reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let state = self.state();
        match (state.tree.node(ino.0).map(|node| &node.body), index(offset)) {
            (Ok(Body::File(content)), Ok(offset)) => {
                reply.data(content.read(offset, size as usize));
            }
            (Ok(Body::Directory { .. }), _) => reply.error(Errno::EISDIR),
            (Err(error), _) | (_, Err(error)) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.state();
        let offset = index(offset);
        match offset.and_then(|offset| Ok((state.tree.changed_file(ino.0)?, offset))) {
            Ok((content, offset)) => {
                content.write(offset, data);
                reply.written(data.len() as u32);
            }
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, ino: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        send_done(self.state().tree.node(ino.0).map(drop), reply);
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, data: bool, reply: ReplyEmpty) {
        send_done(self.state().tree.sync(ino.0, data), reply);
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.state().listing(ino.0) {
            Ok(listing) => reply.opened(FileHandle(listing), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let state = self.state();
        let Some(listing) = state.listings.get(&handle.0) else {
            return reply.error(Errno::EIO);
        };
        let entries = listing.iter().enumerate();
        for (position, (number, kind, name)) in entries.skip(offset as usize) {
            if reply.add(INodeNo(*number), position as u64 + 1, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.state().listings.remove(&handle.0);
        reply.ok();
    }

    fn fsyncdir(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        data: bool,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        if state.listings.contains_key(&handle.0) {
            send_done(state.tree.sync(ino.0, data), reply);
        } else {
            reply.error(Errno::EIO);
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let block = BLOCK as u32;
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, block, 255, block);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        send_done(self.state().allocate(ino.0, offset, length, mode), reply);
    }

    fn lseek(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        match self.state().attributes(ino.0).map(|file| file.size as i64) {
            Ok(size) if offset >= size => reply.error(Errno::ENXIO),
            Ok(_) if whence == SEEK_DATA => reply.offset(offset),
            Ok(size) if whence == SEEK_HOLE => reply.offset(size),
            Ok(_) => reply.error(Errno::EINVAL),
            Err(error) => reply.error(error),
        }
    }
}
