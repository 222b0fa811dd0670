//! The mount itself, in the process that answers for it.

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

use super::{
    kernel::Kernel,
    node::Attributes,
    power_loss::PowerLoss,
    state::{State, locked},
    survivors::Survivor,
    tree::Tree,
};

/// Threads that answer the kernel.
const THREADS: usize = 2;

/// A mounted disk. Dropping it unmounts it.
#[derive(Debug)]
pub(crate) struct Mounted {
    path: PathBuf,
    state: Arc<Mutex<State>>,
    session: BackgroundSession,
}

impl Mounted {
    /// Mounts an empty disk over the directory `path`.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let owner = fs::metadata(path)?;
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
        let session = fuser::spawn_mount(Kernel(Arc::clone(&state)), path, &config)?;
        Ok(Self {
            path: path.to_owned(),
            state,
            session,
        })
    }

    /// Puts what survives in the place of everything.
    pub(crate) fn cut(&self, loss: PowerLoss) {
        let old = {
            let mut state = locked(&self.state);
            let old = state.tree.numbers();
            let next = state.tree.next();
            state.tree = Tree::new(state.tree.after(loss), next);
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

    /// Writes what would survive to a plain directory.
    pub(crate) fn snapshot(&self, loss: PowerLoss, target: &Path) -> io::Result<()> {
        let survivors = locked(&self.state).tree.after(loss);
        survivors.write_to(target)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // By force: requests in flight fail at once. Then detached, so that a
        // server which still holds a file cannot keep the mount alive.
        let _busy = unmount(&self.path, UnmountFlags::FORCE);
        if unmount(&self.path, UnmountFlags::DETACH).is_err() {
            // Only root may; others ask the set-user-id program. It also fails
            // when the first attempt was enough.
            let _unmounted_before = Command::new("fusermount3")
                .args(["-u", "-q", "-z", "--"])
                .arg(&self.path)
                .stderr(std::process::Stdio::null())
                .status();
        }
    }
}
