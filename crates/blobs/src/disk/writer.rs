//! The half of a staging writer that runs on the blocking pool: writes and
//! syncs.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IoSlice},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use landfall_ids::UploadId;
use landfall_oci::Hasher;

use super::{
    direct::{self, DirectFile},
    layout::Layout,
    promote, writeback,
};
use crate::{
    Error, Finished, Staged, Suspended, durability,
    fence::{Alone, Turn},
};

/// The writing of dirty pages is started each time so many bytes were written.
const WRITEBACK: u64 = 8 << 20;

/// The most pieces of one write, the limit of Linux (`IOV_MAX`).
const MOST_PIECES: usize = 1024;

/// Writes the staged file of one upload.
#[derive(Debug)]
pub(super) struct Writer {
    layout: Arc<Layout>,
    upload: UploadId,
    turn: Turn,
    /// Opened by the first write if the upload starts at 0, so that a small
    /// blob costs one hop to the blocking pool.
    file: Option<File>,
    /// Whether large uploads go past the page cache, on a file system that can.
    may_go_direct: bool,
    /// Takes all bytes, once there is one.
    direct: Option<DirectFile>,
    /// How many bytes the file has, without what waits in `direct`.
    written: u64,
    /// Up to where the writing of dirty pages was started.
    started: u64,
    /// Whether the name of the file is not yet durable.
    is_new: bool,
    /// [`durability::sync_file`]; a test puts a failure here.
    sync: fn(&File) -> io::Result<()>,
}

const WRITING: &str = "writing an upload";
const OPENING: &str = "opening an upload";
const SYNCING: &str = "syncing an upload";

impl Writer {
    /// A writer that starts at 0. Touches nothing yet.
    pub(super) fn start(layout: Arc<Layout>, upload: UploadId, turn: Turn, direct: bool) -> Self {
        Self {
            layout,
            upload,
            turn,
            file: None,
            may_go_direct: direct,
            direct: None,
            written: 0,
            started: 0,
            is_new: true,
            sync: durability::sync_file,
        }
    }

    /// A writer that goes on where an earlier one was suspended. Staged bytes
    /// that were promoted, and never committed, are taken back.
    pub(super) fn resume(mut self, offset: u64) -> Result<Self, Error> {
        let turn = self.turn.clone();
        let _alone = turn.enter()?;
        let upload = self.upload;
        let path = self.path();
        let open = || match OpenOptions::new().write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).map_err(|error| Error::io(OPENING, error)),
        };
        let mut found = open()?;
        let is_taken_back = found.is_none() && promote::take_back(&self.layout, upload)?;
        if is_taken_back {
            found = open()?;
        }
        let file = found.ok_or(Error::Lost { upload })?;
        let opening = |error| Error::io(OPENING, error);
        if file.metadata().map_err(opening)?.len() < offset {
            return Err(Error::Lost { upload });
        }
        file.set_len(offset).map_err(opening)?;
        self.file = Some(file);
        self.written = offset;
        self.started = offset;
        self.is_new = is_taken_back;
        Ok(self)
    }

    fn path(&self) -> PathBuf {
        self.layout.staged(self.upload)
    }

    /// Adds `frames` to the file.
    pub(super) fn write(mut self, frames: &[Bytes]) -> Result<Self, Error> {
        let turn = self.turn.clone();
        let _alone = turn.enter()?;
        self.write_alone(frames)?;
        Ok(self)
    }

    fn write_alone(&mut self, frames: &[Bytes]) -> Result<(), Error> {
        if self.file.is_none() {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(self.path())
                .map_err(|error| Error::io(OPENING, error))?;
            self.file = Some(file);
        }
        if self.direct.is_none() && self.may_go_direct && self.written >= direct::FROM {
            return self.go_direct(frames);
        }
        let mut rest = frames.iter().map(|frame| &**frame);
        while self.direct.is_some()
            && let Some(frame) = rest.next()
        {
            self.push_direct(frame)?;
        }
        self.write_cached(rest)
    }

    /// Writes up to the end of a block through the page cache, and the rest of
    /// `frames` and all that comes past it.
    fn go_direct(&mut self, frames: &[Bytes]) -> Result<(), Error> {
        let mut head = (self.written.next_multiple_of(direct::BLOCK as u64) - self.written)
            .try_into()
            .unwrap_or(0);
        let (mut heads, mut tails) = (Vec::new(), Vec::new());
        for frame in frames {
            let (before, after) = frame.split_at(frame.len().min(head));
            head -= before.len();
            heads.push(before);
            tails.push(after);
        }
        self.write_cached(heads)?;
        // Fewer bytes than the block needs: the next frames come back here.
        if head == 0 {
            self.direct = DirectFile::open(&self.path(), self.written);
            self.may_go_direct = self.direct.is_some();
        }
        for tail in tails {
            self.push_direct(tail)?;
        }
        Ok(())
    }

    /// Adds `bytes` past the page cache, or through it if the file system
    /// refuses.
    fn push_direct(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(direct) = &mut self.direct else {
            return self.write_cached([bytes]);
        };
        match direct.push(bytes) {
            Ok(()) => {
                self.written = direct.pending().1;
                Ok(())
            }
            Err((error, taken)) => {
                tracing::debug!(%error, "a direct write was refused, going on without");
                self.may_go_direct = false;
                self.flush_direct()?;
                self.write_cached([&bytes[taken..]])
            }
        }
    }

    /// Writes what waits in `direct` through the page cache, and closes it.
    fn flush_direct(&mut self) -> Result<(), Error> {
        let Some(direct) = self.direct.take() else {
            return Ok(());
        };
        let (pending, offset) = direct.pending();
        self.written = offset;
        self.started = self.started.max(offset);
        self.write_cached([pending])
    }

    fn write_cached<'a>(&mut self, bytes: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Error> {
        let upload = self.upload;
        let file = self.file.as_ref().ok_or(Error::Lost { upload })?;
        let mut pieces: Vec<_> = bytes.into_iter().map(IoSlice::new).collect();
        self.written += write_all(file, &mut pieces, self.written)
            .map_err(|error| Error::io(WRITING, error))?;
        if self.written - self.started >= WRITEBACK {
            writeback::start(file, self.started, self.written - self.started);
            self.started = self.written;
        }
        Ok(())
    }

    /// Writes the last frames, and makes the bytes and the name durable.
    /// `hasher` has seen them and what was written before.
    pub(super) fn suspend(mut self, hasher: Hasher, frames: &[Bytes]) -> Result<Suspended, Error> {
        let turn = self.turn.clone();
        let alone = turn.enter()?;
        self.write_alone(frames)?;
        self.flush_direct()?;
        self.sync_alone(&alone, self.is_new)?;
        Ok(Suspended {
            offset: self.written,
            hasher,
            state: Vec::new(),
        })
    }

    /// Writes the last frames, and makes the bytes durable. The name under
    /// `staging` is about to go and needs no syncing.
    pub(super) fn finish(mut self, hasher: Hasher, frames: &[Bytes]) -> Result<Finished, Error> {
        let turn = self.turn.clone();
        let alone = turn.enter()?;
        self.write_alone(frames)?;
        self.flush_direct()?;
        self.sync_alone(&alone, false)?;
        Ok(Finished {
            digest: hasher.finish(),
            size: self.written,
            staged: Staged::default(),
        })
    }

    fn sync_alone(&self, alone: &Alone<'_>, name_too: bool) -> Result<(), Error> {
        let upload = self.upload;
        let file = self.file.as_ref().ok_or(Error::Lost { upload })?;
        let bytes = (self.sync)(file).map_err(|error| Error::io(SYNCING, error));
        let synced = bytes.and_then(|()| {
            if name_too {
                durability::sync_directory(&self.layout.staging())
            } else {
                Ok(())
            }
        });
        match &synced {
            Ok(()) => alone.settle(),
            Err(error) => {
                tracing::error!(%upload, %error, "syncing failed, the upload is discarded");
                if let Err(error) = fs::remove_file(self.path()) {
                    tracing::warn!(%upload, %error, "the staged file stays until the next sweep");
                }
            }
        }
        synced
    }
}

/// Writes all `pieces` at `offset`; returns how many bytes they are.
fn write_all(file: &File, pieces: &mut [IoSlice<'_>], offset: u64) -> io::Result<u64> {
    let mut pieces = pieces;
    let mut written = 0;
    // Drops empty pieces at the front, so that a write of nothing is an error.
    IoSlice::advance_slices(&mut pieces, 0);
    while !pieces.is_empty() {
        let some = &pieces[..pieces.len().min(MOST_PIECES)];
        match rustix::io::pwritev(file, some, offset + written) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                written += count as u64;
                IoSlice::advance_slices(&mut pieces, count);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use landfall_oci::Algorithm;

    use super::*;
    use crate::fence::Fences;

    #[test]
    fn more_pieces_than_one_write_takes_are_written_in_order() {
        let file = tempfile::tempfile().expect("a file");
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * MOST_PIECES).collect();
        let mut pieces: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
        pieces.insert(0, IoSlice::new(&[]));
        pieces.push(IoSlice::new(&[]));
        let written = write_all(&file, &mut pieces, 5).expect("a write");
        assert_eq!(written, bytes.len() as u64);
        let mut found = vec![0; bytes.len()];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut found, 5).expect("a read");
        assert_eq!(found, bytes);
    }

    #[test]
    fn a_failed_fsync_is_an_error_and_discards_the_staged_file() {
        let root = tempfile::tempdir().expect("a directory");
        fs::create_dir(root.path().join("staging")).expect("a directory");
        let layout = Arc::new(Layout::new(root.path().to_owned()));
        let fences = Fences::default();
        let upload = UploadId::new_at(0);
        let start = || {
            let mut writer =
                Writer::start(Arc::clone(&layout), upload, fences.take_over(upload), true);
            writer.sync = |_| Err(io::Error::from(rustix::io::Errno::IO));
            writer
        };
        let staged = layout.staged(upload);
        let frames = [Bytes::from_static(b"bytes that never reach the disk")];

        let writer = start().write(&frames).expect("a write");
        assert!(staged.exists());
        assert!(matches!(
            writer.suspend(Hasher::new(Algorithm::Sha256), &[]),
            Err(Error::Io { .. })
        ));
        assert!(!staged.exists(), "suspend kept the file");

        assert!(matches!(
            start().finish(Hasher::new(Algorithm::Sha256), &frames),
            Err(Error::Io { .. })
        ));
        assert!(!staged.exists(), "finish kept the file");
        let again = start().resume(1);
        assert!(matches!(again, Err(Error::Lost { .. })));
    }
}
