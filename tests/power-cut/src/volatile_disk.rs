//! A file system that forgets everything that was not synced.
//!
//! It keeps files in memory, twice: as programs see them, and as a disk would
//! hold them. `fsync` or `fdatasync` of a file makes its bytes durable; `fsync`
//! of a directory makes its names durable: creations, renames into it, removals.
//! Neither does the other's work, and nothing else makes anything durable.
//!
//! A test runs a server on it and either
//! - takes a [`VolatileDisk::snapshot_durable`]: what a restart would find if
//!   the power went at this instant, while the server runs on; or
//! - makes the [`VolatileDisk::cut`]: the tree now *is* what a restart finds, and
//!   everything that was open answers `EIO`.
//!
//! Which of the unsynced changes survive is the adversary's choice, see
//! [`PowerLoss`]: at 4 KiB granularity any of the unsynced writes of a file, and
//! a prefix of the unsynced changes of directories. A failing test prints its
//! seed; the same seed makes the same choice from the same history of requests.
//!
//! # What it does not do
//! Hard links, symbolic links, device files, extended attributes and
//! `RENAME_EXCHANGE` are refused. The bytes are in memory, most of them twice.
//! Needs Linux, `/dev/fuse`, and root or `fusermount3`.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use fuser::{BackgroundSession, Config, INodeNo, MountOption};
use rustix::mount::{UnmountFlags, unmount};

mod content;
mod entries;
mod kernel;
mod power_loss;
mod survivors;
mod tree;

use kernel::{Kernel, State, locked};
pub use power_loss::PowerLoss;
use survivors::Survivor;
use tree::{Attributes, Tree};

/// Threads that answer the kernel.
const THREADS: usize = 2;

/// Why a disk could not be mounted or copied.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Is there `/dev/fuse`, is the mount point an empty directory, may this
    /// user mount?
    #[error("cannot mount a volatile disk at `{path}`")]
    Mount {
        /// The mount point.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Is the target writable, and is it outside of the disk?
    #[error("cannot write a snapshot to `{path}`")]
    Snapshot {
        /// The target directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A mounted volatile disk. Dropping it unmounts it; what is still open then
/// answers `EIO`.
#[derive(Debug)]
pub struct VolatileDisk {
    path: PathBuf,
    state: Arc<Mutex<State>>,
    session: BackgroundSession,
}

impl VolatileDisk {
    /// Mounts an empty disk over the directory `path`, for the user of this
    /// process.
    pub fn mount(path: impl Into<PathBuf>) -> Result<Self, DiskError> {
        let path = path.into();
        let error = |source| DiskError::Mount {
            path: path.clone(),
            source,
        };
        let owner = fs::metadata(&path).map_err(error)?;
        let attributes = Attributes::new(owner.mode(), owner.uid(), owner.gid());
        let state = Arc::new(Mutex::new(State {
            tree: Tree::new(Survivor::directory(attributes, BTreeMap::new()), 0),
            listings: HashMap::new(),
            next_listing: 0,
        }));
        let mut config = Config::default();
        config.n_threads = Some(THREADS);
        config.mount_options = vec![
            MountOption::FSName("volatile-disk".to_owned()),
            MountOption::DefaultPermissions,
        ];
        let session = fuser::spawn_mount(Kernel(Arc::clone(&state)), &path, &config);
        Ok(Self {
            session: session.map_err(error)?,
            state,
            path,
        })
    }

    /// The mount point.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The power goes and comes back: only what survives `loss` is there, and it
    /// is durable. Every file and directory that was open answers `EIO`.
    ///
    /// A server should be killed first, as by a power loss; one that lives on
    /// and touches a shared mapping of a file gets `SIGBUS`.
    pub fn cut(&self, loss: impl Into<PowerLoss>) {
        let old = {
            let mut state = locked(&self.state);
            let old = state.tree.numbers();
            let next = state.tree.next();
            state.tree = Tree::new(state.tree.after(loss.into()), next);
            state.listings.clear();
            old
        };
        // Without the lock: the kernel may first have to write dirty pages of a
        // mapping, which are answered with `EIO`.
        let notifier = self.session.notifier();
        for number in old {
            // It fails for what the kernel does not know: nothing to forget.
            let _unknown = notifier.inval_inode(INodeNo(number), 0, -1);
        }
    }

    /// Writes to the plain directory `target` what [`Self::cut`] with the same
    /// `loss` would leave at this instant. The disk goes on as it was.
    pub fn snapshot_durable(
        &self,
        loss: impl Into<PowerLoss>,
        target: impl AsRef<Path>,
    ) -> Result<(), DiskError> {
        let target = target.as_ref();
        let survivors = locked(&self.state).tree.after(loss.into());
        survivors
            .write_to(target)
            .map_err(|source| DiskError::Snapshot {
                path: target.to_owned(),
                source,
            })
    }
}

impl Drop for VolatileDisk {
    fn drop(&mut self) {
        {
            let mut state = locked(&self.state);
            let nothing = Survivor::directory(Attributes::new(0o755, 0, 0), BTreeMap::new());
            let next = state.tree.next();
            state.tree = Tree::new(nothing, next);
            state.listings.clear();
        }
        // Detached, so that a server which still holds a file cannot keep the
        // mount alive. The answering threads end with the last open file.
        if unmount(&self.path, UnmountFlags::DETACH).is_err() {
            // Only root may; others ask the set-user-id program. A failure
            // leaves a mount behind, which a drop can tell nobody.
            let _left_mounted = Command::new("fusermount3")
                .args(["-u", "-q", "-z", "--"])
                .arg(&self.path)
                .status();
        }
    }
}
