//! Disks that are full and disks that can't be written, as small file systems
//! in memory that the tests mount. They need to run as root.

use std::{fs, path::Path, process::Command, sync::Arc};

use landfall_blobs::{BlobStore, DiskStore, Error};
use landfall_ids::StoreId;
use tempfile::TempDir;

use crate::bytes_of::{
    after, content, digest, get, new_upload, promote, put, resume, sha256, stage_whole, start,
};

/// A file system of 1 MiB in memory.
struct Mount(TempDir);

fn run(program: &str, arguments: &[&str], path: &Path) {
    let output = Command::new(program).args(arguments).arg(path).output();
    let output = output.expect("`mount` and `umount` are installed");
    assert!(
        output.status.success(),
        "`{program} {}` failed; this test needs to run as root, with the right to mount: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Mount {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let arguments = ["-t", "tmpfs", "-o", "size=1m", "landfall-test"];
        run("mount", &arguments, directory.path());
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, option: &str) {
        let option = format!("remount,{option}");
        run("mount", &["-o", &option], self.path());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a failed test may still have files open.
        let path = self.0.path();
        let _reported_by_the_next_mount = Command::new("umount").arg("-l").arg(path).status();
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let mount = Mount::new();
    let store = DiskStore::open(mount.path()).expect("a store");
    let kept = content(200_000, 1);
    let location = put(&store, &kept).await.expect("a blob");

    // More than there is room for, in one batch and in many.
    for length in [900_000, 4_000_000] {
        let upload = new_upload();
        let full = stage_whole(&store, upload, &content(length, 2)).await;
        assert!(matches!(full, Err(Error::Full(_))), "{full:?}");
        store.discard(upload).await.expect("discarded");
    }

    // What was discarded is free again.
    let whole = content(500_000, 3);
    let upload = new_upload();
    let mut staging = store.stage(upload, start()).await.expect("a writer");
    staging.append(whole.slice(..100_000)).await.expect("taken");
    let suspended = staging.suspend().await.expect("suspended");

    let filler = mount.path().join("filler");
    let written = fs::write(&filler, vec![0; 2 << 20]);
    assert!(written.is_err(), "the disk has room for more than it has");
    let probed = store.probe().await;
    assert!(matches!(probed, Err(Error::Full(_))), "{probed:?}");
    assert!(!mount.path().join("probe").exists());
    for _ in 0..2 {
        let staging = store.stage(upload, after(&suspended)).await;
        let mut staging = staging.expect("a writer");
        staging.append(whole.slice(100_000..)).await.expect("taken");
        let full = staging.suspend().await;
        assert!(matches!(full, Err(Error::Full(_))), "{full:?}");
    }
    assert_eq!(get(&store, &location).await.expect("a blob"), kept);

    fs::remove_file(filler).expect("room is made");
    store.probe().await.expect("room");
    let staging = store.stage(upload, after(&suspended));
    let mut staging = staging.await.expect("a writer");
    staging.append(whole.slice(100_000..)).await.expect("taken");
    let finished = staging.finish().await.expect("finished");
    assert_eq!(finished.digest, digest(&whole));
    let location = promote(&store, upload, &finished).await;
    let found = get(&store, &location.expect("a location")).await;
    assert!(found.expect("a blob") == whole);
}

#[tokio::test]
async fn a_writer_that_met_a_full_disk_stays_failed() {
    let mount = Mount::new();
    let store = DiskStore::open(mount.path()).expect("a store");
    let staging = store.stage(new_upload(), start()).await;
    let mut staging = staging.expect("a writer");
    let frame = content(1_100_000, 1);
    staging.append(frame.clone()).await.expect("taken");
    let full = staging.append(frame.clone()).await;
    assert!(matches!(full, Err(Error::Full(_))), "{full:?}");
    let after = staging.append(frame).await;
    assert!(matches!(after, Err(Error::Io { .. })), "{after:?}");
    let after = staging.finish().await;
    assert!(matches!(after, Err(Error::Io { .. })), "{after:?}");
}

#[tokio::test]
async fn a_read_only_disk_is_read_and_not_written() {
    let mount = Mount::new();
    let store: Arc<dyn BlobStore> = Arc::new(DiskStore::open(mount.path()).expect("a store"));
    let (whole, upload, id) = (content(100_000, 1), new_upload(), StoreId::new_at(1));
    store.claim(id).await.expect("claimed");
    let location = put(&*store, &whole).await.expect("a blob");
    let finished = stage_whole(&*store, upload, &whole).await.expect("staged");

    mount.remount("ro");
    assert_eq!(get(&*store, &location).await.expect("a blob"), whole);
    assert_eq!(store.store_id().await.expect("a marker"), Some(id));
    store.claim(id).await.expect("it is claimed already");
    let new = stage_whole(&*store, new_upload(), &whole).await;
    let mut hasher = sha256();
    hasher.update(&whole);
    for (refused, what) in [
        (new.map(drop), "a new upload"),
        (
            store
                .stage(upload, resume(100_000, hasher, &[]))
                .await
                .map(drop),
            "an old upload",
        ),
        (store.discard(upload).await, "discard"),
        (store.delete(&location).await, "delete"),
        (store.quarantine(&location).await, "quarantine"),
        (store.probe().await, "probe"),
    ] {
        assert!(
            matches!(refused, Err(Error::ReadOnly(_))),
            "{what}: {refused:?}"
        );
    }
    drop(store);
    let store = DiskStore::open(mount.path()).expect("a store that is read");
    let promoted = promote(&store, upload, &finished).await;
    assert!(matches!(promoted, Err(Error::ReadOnly(_))), "{promoted:?}");
    assert_eq!(get(&store, &location).await.expect("a blob"), whole);

    mount.remount("rw");
    let location = promote(&store, upload, &finished)
        .await
        .expect("a location");
    assert_eq!(get(&store, &location).await.expect("a blob"), whole);
}
