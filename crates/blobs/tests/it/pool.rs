//! Slow clients and slow disks: no thread is held, memory is bounded, and a
//! call that is dropped in its middle does no harm. The blocking pool of these
//! tests has one thread, which the test can hold.

use std::{
    future::Future,
    io::{IoSliceMut, Write},
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
    sync::mpsc::{Sender, channel},
};

use bytes::Bytes;
use futures_util::{FutureExt, TryStreamExt};
use landfall_blobs::{BlobSource, BlobStore, DiskStore, Error, FilePart, Piece};
use rustix::io::ReadWriteFlags;

use crate::bytes_of::{content, digest, get, new_upload, promote, put, stage_whole, start};

fn with_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .build();
    runtime.expect("a runtime").block_on(test);
}

/// Holds the thread of the blocking pool until the sender drops.
fn hold_the_thread() -> Sender<()> {
    let (sender, receiver) = channel::<()>();
    tokio::task::spawn_blocking(move || receiver.recv());
    sender
}

#[test]
fn clients_that_send_and_read_nothing_hold_no_thread() {
    with_one_thread(async {
        let directory = tempfile::tempdir().expect("a directory");
        let store = DiskStore::open(directory.path()).expect("a store");
        let location = put(&store, &content(2_000_000, 1)).await.expect("a blob");
        let mut idle = Vec::new();
        for _ in 0..50 {
            let staging = store.stage(new_upload(), start()).await;
            let mut staging = staging.expect("a writer");
            staging.append(content(1_200_000, 1)).await.expect("taken");
            staging.append(content(100, 1)).await.expect("taken");
            let source = store.open(&location).await.expect("a source");
            let mut stream = source.read(0..source.size());
            stream.try_next().await.expect("a read");
            idle.push((staging, stream));
        }
        store.probe().await.expect("a thread is free");
    });
}

/// Whether the file system of `path` reads the page cache without waiting.
/// Those that stack on another one do not.
fn reads_without_waiting(path: &Path) -> bool {
    let mut file = tempfile::tempfile_in(path).expect("a file");
    file.write_all(b"x").expect("written");
    let mut byte = [0];
    let mut into = [IoSliceMut::new(&mut byte)];
    rustix::io::preadv2(&file, &mut into, 0, ReadWriteFlags::NOWAIT) == Ok(1)
}

#[test]
fn a_cached_blob_is_read_without_a_thread() {
    with_one_thread(async {
        let directory = tempfile::tempdir().expect("a directory");
        let store = DiskStore::open(directory.path()).expect("a store");
        let whole = content(2_000_000, 1);
        let location = put(&store, &whole).await.expect("a blob");
        let found = if reads_without_waiting(directory.path()) {
            let _thread = hold_the_thread();
            let found = get(&store, &location).now_or_never();
            found.expect("it waits for a thread")
        } else {
            get(&store, &location).await
        };
        let found = found.expect("a blob");
        assert!(found == whole);
    });
}

#[test]
fn a_slow_disk_slows_its_client() {
    with_one_thread(async {
        let directory = tempfile::tempdir().expect("a directory");
        let store = DiskStore::open(directory.path()).expect("a store");
        let staging = store.stage(new_upload(), start()).await;
        let mut staging = staging.expect("a writer");
        let thread = hold_the_thread();
        let mut taken = 0;
        let frame = content(100_000, 1);
        while staging.append(frame.clone()).now_or_never().is_some() {
            taken += frame.len();
            assert!(taken < 3 << 20, "an upload takes any number of bytes");
        }
        drop(thread);
        staging.append(frame).await.expect("the disk is back");
        let finished = staging.finish().await.expect("finished");
        assert_eq!(finished.size, taken as u64 + 200_000);
    });
}

#[test]
fn a_cancelled_append_has_taken_its_bytes_whole() {
    with_one_thread(async {
        let directory = tempfile::tempdir().expect("a directory");
        let store = DiskStore::open(directory.path()).expect("a store");
        let whole = content(3_500_000, 1);
        let staging = store.stage(new_upload(), start()).await;
        let mut staging = staging.expect("a writer");
        let thread = hold_the_thread();
        staging
            .append(whole.slice(..1_200_000))
            .await
            .expect("taken");
        for end in [2_400_000, 2_500_000] {
            let offset = usize::try_from(staging.offset()).expect("small");
            let append = staging.append(whole.slice(offset..end));
            assert!(append.now_or_never().is_none(), "it was not cancelled");
            assert_eq!(staging.offset(), end as u64);
        }
        drop(thread);
        staging
            .append(whole.slice(2_500_000..))
            .await
            .expect("taken");
        let finished = staging.finish().await.expect("finished");
        assert_eq!(finished.digest, digest(&whole));
    });
}

#[test]
fn a_batch_of_a_dropped_writer_does_not_reach_its_successor() {
    with_one_thread(async {
        let directory = tempfile::tempdir().expect("a directory");
        let store = DiskStore::open(directory.path()).expect("a store");
        let (upload, whole) = (new_upload(), content(100_000, 1));
        let thread = hold_the_thread();
        let mut dropped = store.stage(upload, start()).await.expect("a writer");
        dropped.append(content(1_200_000, 9)).await.expect("taken");
        drop(dropped);
        let mut staging = store.stage(upload, start()).await.expect("a writer");
        staging.append(whole.clone()).await.expect("taken");
        // Behind the batch in the queue of the pool.
        let finish = tokio::spawn(staging.finish());
        drop(thread);
        let finished = finish.await.expect("no panic").expect("finished");
        assert_eq!(finished.digest, digest(&whole));
        let location = promote(&store, upload, &finished).await;
        let found = get(&store, &location.expect("a location")).await;
        assert!(found.expect("a blob") == whole);
    });
}

#[test]
fn a_cancelled_promotion_is_repeated_by_calling_it_again() {
    with_one_thread(async {
        let directory = tempfile::tempdir().expect("a directory");
        let store = DiskStore::open(directory.path()).expect("a store");
        let (upload, whole) = (new_upload(), content(10, 1));
        let finished = stage_whole(&store, upload, &whole).await.expect("staged");
        let thread = hold_the_thread();
        let promotion = promote(&store, upload, &finished).now_or_never();
        assert!(promotion.is_none(), "it was not cancelled");
        drop(thread);
        let location = promote(&store, upload, &finished)
            .await
            .expect("a location");
        assert_eq!(get(&store, &location).await.expect("a blob"), whole);
    });
}

/// The bytes of a range by its pieces, and how many of the pieces were parts of
/// a file.
async fn by_pieces(source: &BlobSource, range: Range<u64>) -> Result<(Vec<u8>, usize), Error> {
    let pieces: Vec<Piece> = source.pieces(range).try_collect().await?;
    let mut parts = 0;
    let bytes = pieces.into_iter().map(|piece| match piece {
        Piece::Bytes(bytes) => bytes,
        Piece::File(part) => {
            parts += 1;
            assert!(part.length <= FilePart::LONGEST);
            let mut bytes = vec![0; part.length];
            let read = part.file.read_exact_at(&mut bytes, part.offset);
            read.expect("the part is in the file");
            Bytes::from(bytes)
        }
    });
    let bytes: Vec<Bytes> = bytes.collect();
    Ok((bytes.concat(), parts))
}

#[test]
fn a_cached_blob_comes_as_parts_of_its_file_without_a_thread() {
    with_one_thread(async {
        let directory = tempfile::tempdir().expect("a directory");
        let store = DiskStore::open(directory.path()).expect("a store");
        let whole = content(5_000_001, 1);
        let location = put(&store, &whole).await.expect("a blob");
        let source = store.open(&location).await.expect("a source");
        if !reads_without_waiting(directory.path()) {
            return;
        }
        let _thread = hold_the_thread();
        for (range, parts) in [
            (0..5_000_001, 5),
            (1..262_146, 1),
            (7..65_543, 1),
            (7..65_542, 0),
        ] {
            let found = by_pieces(&source, range.clone()).now_or_never();
            let (bytes, found) = found.expect("it waits for a thread").expect("a read");
            assert!(bytes == whole[range.start as usize..range.end as usize]);
            assert_eq!(found, parts, "{range:?}");
        }
    });
}

#[test]
fn what_is_not_in_the_page_cache_is_read_and_not_named_as_a_part() {
    with_one_thread(async {
        let directory = tempfile::tempdir().expect("a directory");
        let store = DiskStore::open(directory.path()).expect("a store");
        let whole = content(3_000_000, 1);
        let location = put(&store, &whole).await.expect("a blob");
        let source = store.open(&location).await.expect("a source");
        let path = directory.path().join("blobs").join(location.as_str());
        let file = std::fs::File::open(path).expect("the file");
        let advice = rustix::fs::Advice::DontNeed;
        rustix::fs::fadvise(&file, 0, None, advice).expect("the kernel's cache");
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        // A file system in memory keeps its pages.
        let kept = rustix::io::preadv2(&file, &mut into, 0, ReadWriteFlags::NOWAIT) == Ok(1);
        let mut pieces = source.pieces(0..3_000_000);
        let first = pieces.try_next().await.expect("a read").expect("a piece");
        assert!(kept || matches!(first, Piece::Bytes(_)), "{first:?}");
        drop(pieces);
        let (bytes, _) = by_pieces(&source, 0..3_000_000).await.expect("a read");
        assert!(bytes == whole);
    });
}
