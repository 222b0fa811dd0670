//! Two servers, which know nothing of each other, over one bucket.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use landfall_blobs::{BlobStore, Error, Resume, Suspended};
use landfall_ids::UploadId;

use super::{Bucket, open};
use crate::bytes_of::{content, digest, get, new_upload, promote, sha256};

/// A writer by its token, as the row of the upload would give it out.
fn writer(token: u64, after: Option<&Suspended>) -> Resume {
    Resume {
        token,
        ..after.map_or_else(|| Resume::new(sha256()), crate::bytes_of::after)
    }
}

/// Suspends `bytes` behind what is on record.
async fn suspend(
    store: &dyn BlobStore,
    upload: UploadId,
    resume: Resume,
    bytes: Bytes,
) -> Suspended {
    let mut staging = store.stage(upload, resume).await.expect("a writer");
    staging.append(bytes).await.expect("taken");
    staging.suspend().await.expect("suspended")
}

/// Sends the rest, and reads all of it back.
async fn finish(store: &dyn BlobStore, upload: UploadId, resume: Resume, whole: &Bytes) {
    let start = usize::try_from(resume.offset).expect("small");
    let mut staging = store.stage(upload, resume).await.expect("a writer");
    staging.append(whole.slice(start..)).await.expect("taken");
    let finished = staging.finish().await.expect("closed");
    assert_eq!(finished.digest, digest(whole));
    let location = promote(store, upload, &finished).await.expect("promoted");
    assert!(get(store, &location).await.expect("a blob") == *whole);
}

#[tokio::test]
async fn an_upload_goes_on_at_another_server() {
    let bucket = Bucket::new();
    let other = open(&bucket.target);
    let (upload, whole) = (new_upload(), content(40_000_000, 1));
    // A tail, parts and a tail, parts only, and nothing more.
    let ends = [3_000_000, 19_000_000, 29_000_000, 29_000_000, 31_000_000];
    let mut suspended: Option<Suspended> = None;
    for (token, end) in (1..).zip(ends) {
        let store = if token % 2 == 0 {
            &other
        } else {
            &bucket.store
        };
        let start = suspended.as_ref().map_or(0, |s| s.offset as usize);
        let resume = writer(token, suspended.as_ref());
        suspended = Some(suspend(&**store, upload, resume, whole.slice(start..end)).await);
    }
    finish(&*other, upload, writer(6, suspended.as_ref()), &whole).await;
    let staged: Vec<_> = other.list_staged().try_collect().await.expect("a listing");
    assert_eq!(staged, [], "something was left behind");
    let stored: Vec<_> = other.list().try_collect().await.expect("a listing");
    assert_eq!(stored.len(), 1);
}

/// The writers of two servers, both from the same record. The later wins, and
/// whatever the earlier does afterwards harms nothing.
#[tokio::test]
async fn a_late_writer_of_another_server_harms_nothing_that_was_acknowledged() {
    for (first, second) in [
        // Only a tail; parts; parts and a tail.
        (2_000_000, 3_000_000),
        (9_000_000, 17_000_000),
        (11_000_000, 12_000_000),
    ] {
        let (bucket, upload) = (Bucket::new(), new_upload());
        let other = open(&bucket.target);
        let whole = content(22_000_000, 1);
        let record = suspend(
            &*bucket.store,
            upload,
            writer(1, None),
            whole.slice(..first),
        );
        let record = record.await;
        let mut late = bucket
            .store
            .stage(upload, writer(2, Some(&record)))
            .await
            .expect("a writer");
        late.append(content(9_000_000, 7)).await.expect("taken");

        let resume = writer(3, Some(&record));
        let won = suspend(&*other, upload, resume, whole.slice(first..second)).await;
        // Its row's commit is what tells the late one, at the latest.
        match late.append(content(18_000_000, 8)).await {
            Ok(()) | Err(Error::Superseded { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
        match late.suspend().await {
            Ok(_) | Err(Error::Superseded { .. } | Error::Io { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
        finish(&*bucket.store, upload, writer(4, Some(&won)), &whole).await;
    }
}

/// The earlier one has everything, and completes the upload in the moment in
/// which the later takes it over.
#[tokio::test]
async fn a_late_promotion_of_another_server_harms_nothing_that_was_acknowledged() {
    for (recorded, wrong) in [(2_000_000, 1_000_000), (11_000_000, 9_000_000)] {
        let (bucket, upload) = (Bucket::new(), new_upload());
        let other = open(&bucket.target);
        let whole = content(25_000_000, 1);
        let resume = writer(1, None);
        let record = suspend(&*bucket.store, upload, resume, whole.slice(..recorded)).await;
        let late = bucket.store.stage(upload, writer(2, Some(&record))).await;
        let mut late = late.expect("a writer");
        late.append(content(wrong, 7)).await.expect("taken");
        let late = late.finish().await.expect("closed");

        // Before the later one has done anything: it goes on from the object.
        let location = promote(&*bucket.store, upload, &late).await;
        let location = location.expect("nobody was faster");
        let resume = writer(3, Some(&record));
        let middle = recorded + 6_000_000;
        let won = suspend(&*other, upload, resume, whole.slice(recorded..middle)).await;
        // What the late one has made is no blob: its commit has failed.
        bucket.store.delete(&location).await.expect("deleted");
        // After it: the server refuses, or makes an object that nobody names.
        match promote(&*bucket.store, upload, &late).await {
            Ok(_) | Err(Error::Superseded { .. } | Error::Lost { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
        finish(&*other, upload, writer(4, Some(&won)), &whole).await;
    }
}

#[tokio::test]
async fn an_upload_that_was_completed_before_a_crash_goes_on() {
    let (bucket, upload) = (Bucket::new(), new_upload());
    let whole = content(23_000_000, 1);
    let resume = writer(1, None);
    let record = suspend(&*bucket.store, upload, resume, whole.slice(..10_000_000)).await;
    // Each of these servers stops before its row is committed.
    for token in [2, 3, 4] {
        let server = open(&bucket.target);
        finish(&*server, upload, writer(token, Some(&record)), &whole).await;
    }
    // And one that stops while it moves the upload.
    let server = open(&bucket.target);
    let moved = server.stage(upload, writer(5, Some(&record))).await;
    drop(moved.expect("a writer"));
    finish(&*bucket.store, upload, writer(6, Some(&record)), &whole).await;
}

#[tokio::test]
async fn what_was_left_behind_is_deleted_with_the_next_request() {
    let (bucket, upload) = (Bucket::new(), new_upload());
    let store = Arc::clone(&bucket.store);
    let whole = content(23_000_000, 1);
    let resume = writer(1, None);
    let first = suspend(&*store, upload, resume, whole.slice(..11_000_000)).await;
    // A gap in the tokens: the upload moves, and leaves an object behind.
    let resume = writer(3, Some(&first));
    let second = suspend(&*store, upload, resume, whole.slice(11_000_000..12_000_000)).await;
    let stored: Vec<_> = store.list().try_collect().await.expect("a listing");
    assert_eq!(stored.len(), 1, "what the bytes were copied from");
    finish(&*store, upload, writer(4, Some(&second)), &whole).await;
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let stored: Vec<_> = store.list().try_collect().await.expect("a listing");
        let staged: Vec<_> = store.list_staged().try_collect().await.expect("a listing");
        if stored.len() == 1 && staged.is_empty() {
            break;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "{stored:?} and {staged:?} are left"
        );
        tokio::task::yield_now().await;
    }
}
