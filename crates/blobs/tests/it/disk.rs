//! What is true of the store in a local directory.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use landfall_blobs::{BlobStore, DiskStore, Error, GatedStore, Location};
use landfall_ids::StoreId;
use landfall_oci::Algorithm;
use tempfile::TempDir;

use crate::{
    bytes_of::{after, content, digest, get, new_upload, promote, put, resume, stage_whole, start},
    contract::hostile_locations,
};

/// A store in a directory of its own.
pub(crate) struct Disk {
    directory: TempDir,
    store: Arc<dyn BlobStore>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = DiskStore::open(directory.path()).expect("a store");
        Self {
            directory,
            store: Arc::new(store),
        }
    }

    pub(crate) fn store(&self) -> Arc<dyn BlobStore> {
        Arc::clone(&self.store)
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn blob(&self, location: &Location) -> PathBuf {
        self.root().join("blobs").join(location.as_str())
    }
}

contract_tests!(super::disk::Disk::new());

#[tokio::test]
async fn a_store_outlives_its_process() {
    let whole = content(100_000, 1);
    let (upload, id) = (new_upload(), StoreId::new_at(1));
    let Disk { directory, store } = Disk::new();
    store.claim(id).await.expect("claimed");
    let location = put(&*store, &whole).await.expect("a blob");
    let mut staging = store.stage(upload, start()).await.expect("a writer");
    staging.append(whole.slice(..40_000)).await.expect("taken");
    let suspended = staging.suspend().await.expect("suspended");
    drop(store);

    let store = DiskStore::open(directory.path()).expect("the store again");
    assert_eq!(store.store_id().await.expect("a marker"), Some(id));
    assert_eq!(get(&store, &location).await.expect("a blob"), whole);
    let staging = store.stage(upload, after(&suspended));
    let mut staging = staging.await.expect("a writer");
    staging.append(whole.slice(40_000..)).await.expect("taken");
    let finished = staging.finish().await.expect("finished");
    let location = promote(&store, upload, &finished).await;
    let found = get(&store, &location.expect("a location")).await;
    assert_eq!(found.expect("a blob"), whole);
}

#[tokio::test]
async fn a_second_user_of_a_store_is_refused() {
    let Disk { directory, store } = Disk::new();
    let second = DiskStore::open(directory.path());
    assert!(matches!(second, Err(Error::InUse)), "{second:?}");
    drop(store);
    DiskStore::open(directory.path()).expect("nobody uses it any more");
}

#[tokio::test]
async fn a_store_is_made_with_all_directories_above_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("a/b/c");
    let store = DiskStore::open(&root).expect("a store");
    put(&store, &content(1, 1)).await.expect("a blob");
    assert!(root.join("blobs/sha256").is_dir());
}

#[tokio::test]
async fn an_object_lies_where_its_location_says() {
    let disk = Disk::new();
    let whole = content(10, 1);
    let location = put(&*disk.store, &whole).await.expect("a blob");
    let hex = digest(&whole).hex();
    let expected = format!("sha256/{}/{hex}.", &hex[..2]);
    assert!(location.as_str().starts_with(&expected), "{location}");
    assert_eq!(fs::read(disk.blob(&location)).expect("a file"), whole);
}

#[tokio::test]
async fn what_a_crash_left_behind_the_offset_is_thrown_away() {
    let disk = Disk::new();
    let (upload, whole) = (new_upload(), content(100, 1));
    let mut staging = disk.store.stage(upload, start()).await.expect("new");
    staging.append(whole.slice(..40)).await.expect("taken");
    let suspended = staging.suspend().await.expect("suspended");
    let path = disk.root().join("staging").join(upload.to_string());
    let mut file = OpenOptions::new().append(true).open(&path).expect("a file");
    file.write_all(&[9; 5_000]).expect("written");

    let staging = disk.store.stage(upload, after(&suspended)).await;
    let mut staging = staging.expect("a writer");
    assert_eq!(fs::metadata(&path).expect("a file").len(), 40);
    staging.append(whole.slice(40..)).await.expect("taken");
    let finished = staging.finish().await.expect("finished");
    assert_eq!(finished.digest, digest(&whole));
    assert_eq!(fs::read(&path).expect("a file"), whole);
}

#[tokio::test]
async fn a_staged_file_that_was_cut_is_lost() {
    let disk = Disk::new();
    let upload = new_upload();
    let mut staging = disk.store.stage(upload, start()).await.expect("new");
    staging.append(content(100, 1)).await.expect("taken");
    let suspended = staging.suspend().await.expect("suspended");
    let path = disk.root().join("staging").join(upload.to_string());
    let file = OpenOptions::new().write(true).open(path).expect("a file");
    file.set_len(99).expect("cut");
    let lost = disk.store.stage(upload, after(&suspended)).await.err();
    assert!(matches!(lost, Some(Error::Lost { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_file_that_is_cut_under_its_reader_is_damaged() {
    let disk = Disk::new();
    let whole = content(2_000_000, 1);
    let location = put(&*disk.store, &whole).await.expect("a blob");
    let source = disk.store.open(&location).await.expect("a source");
    let mut stream = source.read(0..source.size());
    let first = stream.try_next().await.expect("a read").expect("a chunk");
    let file = OpenOptions::new().write(true).open(disk.blob(&location));
    file.expect("a file").set_len(1_000_000).expect("cut");
    let mut read = first.len() as u64;
    let error = loop {
        match stream.next().await.expect("an error before the end") {
            Ok(bytes) => read += bytes.len() as u64,
            Err(error) => break error,
        }
    };
    match error {
        Error::Damaged {
            location: damaged,
            missing,
        } => {
            assert_eq!(damaged, location);
            assert_eq!((read, missing), (1_000_000, 1_000_000));
        }
        other => panic!("{other:?}"),
    }
    assert!(stream.next().await.is_none(), "it goes on after an error");
    let source = disk.store.open(&location).await.expect("a source");
    assert_eq!(source.size(), 1_000_000, "the caller can't see the damage");
}

#[tokio::test]
async fn what_is_not_in_the_page_cache_is_read_from_the_disk() {
    let disk = Disk::new();
    let whole = content(3_000_000, 1);
    let location = put(&*disk.store, &whole).await.expect("a blob");
    let file = fs::File::open(disk.blob(&location)).expect("a file");
    let evict = || {
        let all = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        all.expect("evicted");
    };
    evict();
    let source = disk.store.open(&location).await.expect("a source");
    let mut stream = source.read(1..2_999_999);
    let mut found = Vec::new();
    while let Some(bytes) = stream.try_next().await.expect("a read") {
        found.extend_from_slice(&bytes);
        evict();
    }
    assert!(found == whole[1..2_999_999]);
}

#[tokio::test]
async fn a_location_of_another_store_reaches_no_file() {
    let disk = Disk::new();
    let store = &disk.store;
    store.claim(StoreId::new_at(1)).await.expect("claimed");
    for location in hostile_locations() {
        let foreign = |result: Result<(), Error>| {
            assert!(
                matches!(result, Err(Error::Foreign { .. })),
                "{location}: {result:?}"
            );
        };
        foreign(store.open(&location).await.map(drop));
        foreign(store.delete(&location).await);
        foreign(store.quarantine(&location).await);
    }
    assert!(disk.root().join("store-id").exists());
}

#[tokio::test]
async fn a_marker_that_says_nothing_is_not_written_over() {
    let disk = Disk::new();
    let marker = disk.root().join("store-id");
    fs::write(&marker, "not an identifier\n").expect("written");
    let read = disk.store.store_id().await;
    assert!(matches!(read, Err(Error::Io { .. })), "{read:?}");
    let claimed = disk.store.claim(StoreId::new_at(1)).await;
    assert!(matches!(claimed, Err(Error::Io { .. })), "{claimed:?}");
    let kept = fs::read_to_string(&marker).expect("a marker");
    assert_eq!(kept, "not an identifier\n");
}

#[tokio::test]
async fn claiming_leaves_nothing_but_the_marker() {
    let disk = Disk::new();
    let id = StoreId::new_at(1);
    disk.store.claim(id).await.expect("claimed");
    let claimed = disk.store.claim(StoreId::new_at(2)).await;
    assert!(claimed.is_err());
    let names = fs::read_dir(disk.root()).expect("a directory");
    let names = names.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["blobs", "quarantine", "staging", "store-id"]);
    let text = fs::read_to_string(disk.root().join("store-id"));
    assert_eq!(text.expect("a marker"), format!("{id}\n"));
}

#[tokio::test]
async fn files_of_others_are_not_listed() {
    let disk = Disk::new();
    let location = put(&*disk.store, &content(10, 1)).await.expect("a blob");
    let upload = new_upload();
    let staged = stage_whole(&*disk.store, upload, &content(10, 1)).await;
    let _ = staged.expect("staged");
    let beside = disk.blob(&location).with_file_name("README");
    fs::write(beside, "x").expect("written");
    let wrong = disk.root().join("blobs/sha256/ff");
    fs::create_dir_all(&wrong).expect("a directory");
    let name = location.as_str().rsplit('/').next().expect("a name");
    assert!(!location.as_str().contains("/ff/"));
    fs::write(wrong.join(name), "x").expect("written");
    fs::write(disk.root().join("staging/lost+found"), "x").expect("written");
    let upper = new_upload().to_string().to_uppercase();
    fs::write(disk.root().join("staging").join(upper), "x").expect("written");
    fs::create_dir(disk.root().join("staging").join(new_upload().to_string())).expect("made");

    let stored: Vec<_> = disk.store.list().try_collect().await.expect("a listing");
    assert_eq!(stored.len(), 1);
    let staged = disk.store.list_staged().try_collect::<Vec<_>>().await;
    let staged: Vec<_> = staged
        .expect("a listing")
        .iter()
        .map(|o| o.upload)
        .collect();
    assert_eq!(staged, [upload]);
}

#[tokio::test]
async fn a_listing_of_more_than_it_holds_in_memory_is_complete() {
    let disk = Disk::new();
    let location = put(&*disk.store, &content(10, 1)).await.expect("a blob");
    let first = disk.blob(&location);
    let (hex, _) = location.as_str().rsplit_once('.').expect("a location");
    for _ in 0..999 {
        let path = disk.root().join(format!("blobs/{hex}.{}", new_upload()));
        fs::hard_link(&first, path).expect("a link");
    }
    let mut listing = disk.store.list();
    listing.next().await.expect("one").expect("an object");
    // The walk waits for its reader here, with the rest ahead of it.
    assert_eq!(listing.count().await, 999);
}

#[tokio::test]
async fn a_quarantined_file_is_kept_for_a_person() {
    let disk = Disk::new();
    let whole = content(10, 1);
    let location = put(&*disk.store, &whole).await.expect("a blob");
    disk.store.quarantine(&location).await.expect("moved aside");
    let hex = digest(&whole).hex();
    let entries = fs::read_dir(disk.root().join("quarantine")).expect("a directory");
    let paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    assert_eq!(paths.len(), 1);
    assert!(paths[0].to_string_lossy().contains(&hex));
    assert_eq!(fs::read(&paths[0]).expect("a file"), whole);
}

#[tokio::test]
async fn a_large_blob_of_either_algorithm_has_the_bytes_that_were_hashed() {
    let disk = Disk::new();
    for algorithm in Algorithm::ALL {
        let upload = new_upload();
        let hasher = landfall_oci::Hasher::new(algorithm);
        let mut staging = disk
            .store
            .stage(upload, resume(0, hasher, &[]))
            .await
            .expect("new");
        let frame = content(156_000, 3);
        // Enough to start the writing of dirty pages more than once.
        for _ in 0..150 {
            staging.append(frame.clone()).await.expect("taken");
        }
        let finished = staging.finish().await.expect("finished");
        let location = promote(&*disk.store, upload, &finished).await;
        let location = location.expect("a location");
        let file = fs::File::open(disk.blob(&location)).expect("a file");
        let mut found = vec![0; 156_000];
        for number in 0..150 {
            file.read_exact_at(&mut found, number * 156_000)
                .expect("a frame");
            assert!(found == frame, "frame {number} has other bytes");
        }
        let again: Vec<Bytes> = {
            let source = disk.store.open(&location).await.expect("a source");
            source.read(0..u64::MAX).try_collect().await.expect("read")
        };
        let digest = landfall_oci::Digest::of(algorithm, &again.concat());
        assert_eq!(digest, finished.digest);
    }
}

#[tokio::test]
async fn a_gated_store_is_read_and_not_written_while_its_gate_is_closed() {
    let disk = Disk::new();
    let open = Arc::new(AtomicBool::new(true));
    let gate = Arc::clone(&open);
    let store = GatedStore::new(disk.store(), move || gate.load(Ordering::SeqCst));
    let whole = content(1_000, 1);
    let location = put(&store, &whole).await.expect("stored");
    let upload = new_upload();
    let finished = stage_whole(&store, upload, &whole).await.expect("staged");
    open.store(false, Ordering::SeqCst);
    let away = |error: Option<Error>| assert!(matches!(error, Some(Error::Away(_))), "{error:?}");
    away(store.stage(new_upload(), start()).await.err());
    away(promote(&store, upload, &finished).await.err());
    away(store.delete(&location).await.err());
    away(store.discard(upload).await.err());
    away(store.probe().await.err());
    assert!(get(&store, &location).await.expect("read") == whole);
    open.store(true, Ordering::SeqCst);
    promote(&store, upload, &finished).await.expect("promoted");
}

/// Uploads that end, pause and go on around where writes begin to go past the
/// page cache, in frames of every kind.
#[tokio::test]
async fn an_upload_has_its_bytes_whether_they_go_past_the_page_cache_or_not() {
    const FROM: usize = 4 << 20;
    let whole = content(FROM + (5 << 20) + 77, 3);
    for direct in [true, false] {
        let directory = tempfile::tempdir().expect("a directory");
        let store = DiskStore::open(directory.path()).expect("a store");
        let store = store.direct_writes(direct);
        for (frame, length, pause) in [
            (65_536, whole.len(), None),
            (70_001, whole.len(), None),
            (1_500_000, FROM + 1, None),
            (65_536, FROM + (2 << 20), None),
            (9_999, whole.len(), Some(FROM + (1 << 20) + 4_096)),
            (300_000, whole.len(), Some(FROM + (2 << 20) + 5)),
        ] {
            let bytes = whole.slice(..length);
            let upload = new_upload();
            let mut staging = store.stage(upload, start()).await.expect("a writer");
            if let Some(pause) = pause {
                for bytes in bytes[..pause].chunks(frame) {
                    let frame = Bytes::copy_from_slice(bytes);
                    staging.append(frame).await.expect("taken");
                }
                let suspended = staging.suspend().await.expect("suspended");
                assert_eq!(suspended.offset, pause as u64);
                let again = store.stage(upload, after(&suspended)).await;
                staging = again.expect("a writer");
            }
            for bytes in bytes[pause.unwrap_or(0)..].chunks(frame) {
                let frame = Bytes::copy_from_slice(bytes);
                staging.append(frame).await.expect("taken");
            }
            let finished = staging.finish().await.expect("finished");
            assert_eq!(finished.digest, digest(&bytes));
            let location = promote(&store, upload, &finished).await.expect("promoted");
            let found = get(&store, &location).await.expect("a blob");
            assert!(
                found == bytes,
                "direct {direct}, frames of {frame}, pause {pause:?}"
            );
        }
    }
}
