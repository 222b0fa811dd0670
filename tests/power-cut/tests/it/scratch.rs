//! A mounted disk and a place for its snapshots.

use std::{
    fs,
    path::{Path, PathBuf},
};

use landfall_power_cut::volatile_disk::{PowerLoss, VolatileDisk};
use tempfile::TempDir;

/// A disk mounted in a directory that goes with it.
pub(crate) struct Scratch {
    // Unmounted first, then removed.
    pub(crate) disk: VolatileDisk,
    place: TempDir,
    snapshots: std::cell::Cell<u32>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("disk");
        fs::create_dir(&path).unwrap();
        Self {
            disk: VolatileDisk::mount(path).unwrap(),
            place,
            snapshots: std::cell::Cell::new(0),
        }
    }

    /// A path on the disk.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.disk.path().join(name)
    }

    /// What a power loss now would leave, in a directory of its own.
    pub(crate) fn after(&self, loss: impl Into<PowerLoss>) -> PathBuf {
        self.snapshots.set(self.snapshots.get() + 1);
        let path = self.place.path().join(self.snapshots.get().to_string());
        self.disk.snapshot_durable(loss, &path).unwrap();
        path
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) {
    fs::File::open(path).unwrap().sync_all().unwrap();
}

/// Writes a file and makes its bytes durable, but not its name.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::File::open(path).unwrap().sync_all().unwrap();
}
