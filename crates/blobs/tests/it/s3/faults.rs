//! A server that errs, is slow, and loses connections: behind a proxy that
//! makes it do so.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use landfall_blobs::{BlobStore, Error, S3Store};
use landfall_ids::StoreId;
use landfall_services::{
    proxy::{Head, Mischief, Proxy},
    s3::{self, S3Target},
};

use super::options;
use crate::bytes_of::{
    after, content, digest, get, new_upload, promote, put, stage_whole, start, suspend_whole,
};

/// A store whose server is behind a proxy.
struct Behind {
    proxy: Proxy,
    store: Arc<dyn BlobStore>,
}

impl Behind {
    fn new() -> Self {
        Self::with(Duration::from_secs(5), Duration::from_secs(20))
    }

    fn with(silence: Duration, patience: Duration) -> Self {
        let target = s3::bucket();
        let proxy = Proxy::to(&target.endpoint);
        let mut options = options(&S3Target {
            endpoint: proxy.url(),
            ..target
        });
        options.silence = silence;
        options.patience = patience;
        let store = Arc::new(S3Store::new(options).expect("a store"));
        Self { proxy, store }
    }

    /// Does `mischief` to the first of each kind of request.
    fn once_each(&self, mischief: Mischief) {
        let seen = std::sync::Mutex::new(std::collections::HashSet::new());
        self.proxy.misbehave(move |head| {
            let mut seen = seen.lock().expect("no panic");
            seen.insert(kind(head)).then_some(mischief)
        });
    }
}

/// What a request is for, without what is new each time.
fn kind(head: &Head) -> String {
    let path = &head.path;
    let folder = ["blobs", "staging", "quarantine", "store-id", "probe"]
        .into_iter()
        .find(|folder| path.contains(&format!("/{folder}")))
        .unwrap_or("bucket");
    let what = ["uploads", "partNumber", "uploadId", "list-type"]
        .into_iter()
        .find(|what| path.contains(what))
        .unwrap_or("object");
    format!("{} {folder} {what}", head.method)
}

/// Everything that the store does, once.
async fn everything(store: &dyn BlobStore) {
    let id = StoreId::new_at(1);
    assert_eq!(store.store_id().await.expect("none"), None);
    store.claim(id).await.expect("claimed");
    assert_eq!(store.store_id().await.expect("a marker"), Some(id));
    store.probe().await.expect("it takes writes");
    // Small, in two requests.
    let (upload, small) = (new_upload(), content(100_000, 1));
    let first = small.slice(..40_000);
    let suspended = suspend_whole(store, upload, &first).await;
    let suspended = suspended.expect("suspended");
    let staging = store.stage(upload, after(&suspended)).await;
    let mut staging = staging.expect("a writer");
    staging.append(small.slice(40_000..)).await.expect("taken");
    let finished = staging.finish().await.expect("closed");
    let location = promote(store, upload, &finished).await.expect("promoted");
    assert!(get(store, &location).await.expect("a blob") == small);
    // Large.
    let (upload, large) = (new_upload(), content(20_000_000, 2));
    let finished = stage_whole(store, upload, &large).await.expect("staged");
    let second = promote(store, upload, &finished).await.expect("promoted");
    assert!(get(store, &second).await.expect("a blob") == large);
    assert_eq!(store.list().count().await, 2);
    // If the answer to its start was lost, an upload was started twice.
    store.discard(upload).await.expect("discarded");
    assert_eq!(store.list_staged().count().await, 0);
    store.quarantine(&second).await.expect("moved");
    store.delete(&location).await.expect("deleted");
    assert_eq!(store.list().count().await, 0);
}

#[tokio::test]
async fn each_request_is_repeated_when_the_server_says_later() {
    let behind = Behind::new();
    behind.once_each(Mischief::Status(503));
    everything(&*behind.store).await;
    assert!(behind.proxy.mischiefs() >= 14, "{:?}", behind.proxy);
}

#[tokio::test]
async fn each_answer_may_be_lost_after_the_work_was_done() {
    let behind = Behind::new();
    behind.once_each(Mischief::CutAnswer(0));
    everything(&*behind.store).await;
    assert!(behind.proxy.mischiefs() >= 14, "{:?}", behind.proxy);
}

#[tokio::test]
async fn each_answer_may_break_in_its_head_or_body() {
    for length in [40, 300] {
        let behind = Behind::new();
        behind.once_each(Mischief::CutAnswer(length));
        everything(&*behind.store).await;
    }
}

#[tokio::test]
async fn each_connection_may_break_in_the_middle_of_a_request() {
    let behind = Behind::new();
    behind.once_each(Mischief::CutRequest(3));
    everything(&*behind.store).await;
}

#[tokio::test]
async fn a_storm_of_errors_is_outlasted() {
    let behind = Behind::new();
    let dice = AtomicU64::new(7);
    behind.proxy.misbehave(move |_| {
        // A row of numbers without an order, the same each time.
        let next = |n: u64| {
            Some(
                n.wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407),
            )
        };
        let thrown = dice.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
        match (thrown.unwrap_or_default() >> 33) % 8 {
            0 => Some(Mischief::Status(500)),
            1 => Some(Mischief::Status(503)),
            2 => Some(Mischief::CutAnswer(100)),
            3 => Some(Mischief::CutRequest(1_000)),
            _ => None,
        }
    });
    everything(&*behind.store).await;
    assert!(behind.proxy.mischiefs() > 5);
}

#[tokio::test]
async fn a_stream_goes_on_where_its_connection_broke() {
    let behind = Behind::new();
    let whole = content(9_000_000, 1);
    let location = put(&*behind.store, &whole).await.expect("a blob");
    let before = behind.proxy.requests();
    behind.proxy.misbehave(|head| {
        let is_read = head.method == "GET";
        is_read.then_some(Mischief::CutAnswer(1_500_000))
    });
    let source = behind.store.open(&location).await.expect("a source");
    for range in [0..9_000_000u64, 7..8_999_999] {
        let chunks: Vec<Bytes> = source
            .read(range.clone())
            .try_collect()
            .await
            .expect("read");
        let range = usize::try_from(range.start).expect("small")
            ..usize::try_from(range.end).expect("small");
        assert!(chunks.concat() == whole[range]);
    }
    // The head, and six or seven connections for each.
    assert!(behind.proxy.requests() - before >= 13);
}

#[tokio::test]
async fn a_stream_fails_when_nothing_comes_any_more() {
    let behind = Behind::with(Duration::from_millis(200), Duration::from_millis(600));
    let whole = content(3_000_000, 1);
    let location = put(&*behind.store, &whole).await.expect("a blob");
    let source = behind.store.open(&location).await.expect("a source");
    behind.proxy.misbehave(|_| Some(Mischief::CutAnswer(0)));
    let begun = Instant::now();
    let read: Result<Vec<Bytes>, Error> = source.read(0..3_000_000).try_collect().await;
    assert!(matches!(read, Err(Error::Away(_))), "{read:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    let behind = Behind::with(Duration::from_secs(2), Duration::from_secs(5));
    let whole = content(2_000_000, 1);
    let location = put(&*behind.store, &whole).await.expect("a blob");
    behind.proxy.misbehave(|head| {
        let is_read = head.method == "GET";
        is_read.then_some(Mischief::Trickle(20_000))
    });
    let before = behind.proxy.requests();
    assert!(get(&*behind.store, &location).await.expect("a blob") == whole);
    assert_eq!(behind.proxy.requests() - before, 2, "it was asked again");
}

#[tokio::test]
async fn a_silent_server_is_asked_again_and_then_given_up() {
    let behind = Behind::with(Duration::from_millis(200), Duration::from_secs(1));
    let location = put(&*behind.store, &content(10, 1)).await.expect("a blob");
    behind.proxy.misbehave(|head| {
        // Twice, which is less than the patience.
        (head.number % 3 != 2).then_some(Mischief::Silence(Duration::from_secs(3)))
    });
    behind.store.open(&location).await.expect("found");
    behind
        .proxy
        .misbehave(|_| Some(Mischief::Silence(Duration::from_secs(3))));
    let begun = Instant::now();
    let (upload, whole) = (new_upload(), content(10, 1));
    let finished = stage_whole(&*behind.store, upload, &whole).await;
    let finished = finished.expect("nothing was sent yet");
    let away = promote(&*behind.store, upload, &finished).await;
    assert!(matches!(away, Err(Error::Away(_))), "{away:?}");
    assert!(away.expect_err("away").is_transient());
    assert!(begun.elapsed() < Duration::from_secs(5), "it took too long");
    // The server has heard it all the same.
    behind.proxy.behave();
    let location = promote(&*behind.store, upload, &finished).await;
    let found = get(&*behind.store, &location.expect("promoted")).await;
    assert_eq!(found.expect("a blob"), whole);
}

#[tokio::test]
async fn a_part_that_fails_for_good_ends_its_writer_but_not_the_upload() {
    let behind = Behind::with(Duration::from_millis(500), Duration::from_secs(1));
    let store = &behind.store;
    let (upload, whole) = (new_upload(), content(30_000_000, 1));
    let suspended = suspend_whole(&**store, upload, &whole.slice(..11_000_000)).await;
    let suspended = suspended.expect("suspended");
    behind.proxy.misbehave(|_| Some(Mischief::Status(503)));
    // A writer has come between, so that the next one has to ask the server.
    drop(start());
    let staging = store.stage(upload, after(&suspended)).await.err();
    assert!(matches!(staging, Some(Error::Away(_))), "{staging:?}");
    behind.proxy.behave();
    let staging = store.stage(upload, after(&suspended)).await;
    let mut staging = staging.expect("a writer");
    behind
        .proxy
        .misbehave(|_| Some(Mischief::CutRequest(1_000_000)));
    let mut failed = None;
    for _ in 0..4 {
        if let Err(error) = staging.append(content(9_000_000, 7)).await {
            failed = Some(error);
            break;
        }
    }
    assert!(matches!(failed, Some(Error::Away(_))), "{failed:?}");
    behind.proxy.behave();
    let staging = store.stage(upload, after(&suspended)).await;
    let mut staging = staging.expect("a writer");
    let rest = whole.slice(11_000_000..);
    staging.append(rest).await.expect("taken");
    let finished = staging.finish().await.expect("closed");
    assert_eq!(finished.digest, digest(&whole));
    let location = promote(&**store, upload, &finished).await;
    let found = get(&**store, &location.expect("promoted")).await;
    assert!(found.expect("a blob") == whole);
}

#[tokio::test]
async fn a_slow_server_slows_its_client_and_memory_stays_bounded() {
    let behind = Behind::with(Duration::from_secs(5), Duration::from_secs(20));
    let gate = Arc::new(std::sync::Barrier::new(2));
    let held = Arc::clone(&gate);
    behind.proxy.misbehave(move |head| {
        if head.path.contains("partNumber=1&") {
            held.wait();
        }
        None
    });
    let staging = behind.store.stage(new_upload(), start()).await;
    let mut staging = staging.expect("a writer");
    let frame = content(1_000_000, 1);
    let filling = async {
        loop {
            staging.append(frame.clone()).await.expect("taken");
        }
    };
    // The first part is on its way and not answered, the second is collected.
    let stuck = tokio::time::timeout(Duration::from_secs(2), filling).await;
    assert!(stuck.is_err());
    assert!(
        staging.offset() <= 19_000_000,
        "{} bytes were taken",
        staging.offset()
    );
    gate.wait();
    behind.proxy.behave();
    let size = staging.offset();
    let finished = staging.finish().await.expect("closed");
    assert_eq!(finished.size, size);
}

#[tokio::test]
async fn all_uploads_together_have_bounded_memory_and_none_waits_for_ever() {
    let target = s3::bucket();
    let proxy = Proxy::to(&target.endpoint);
    let mut options = options(&S3Target {
        endpoint: proxy.url(),
        ..target
    });
    // Three parts, among six uploads of two each.
    options.memory = 24 << 20;
    options.silence = Duration::from_mins(1);
    let store: Arc<dyn BlobStore> = Arc::new(S3Store::new(options).expect("a store"));
    let (open, is_open) = std::sync::mpsc::channel::<()>();
    let is_open = std::sync::Mutex::new(is_open);
    proxy.misbehave(move |head| {
        if head.path.contains("partNumber=") {
            // Until the other end is dropped.
            let _ = is_open.lock().expect("no panic").recv();
        }
        None
    });
    let taken = Arc::new(AtomicU64::new(0));
    let uploads: Vec<_> = (0..6)
        .map(|number| {
            let (store, taken) = (Arc::clone(&store), Arc::clone(&taken));
            tokio::spawn(async move {
                let upload = new_upload();
                let whole = content(20_000_000, number);
                let mut staging = store.stage(upload, start()).await.expect("a writer");
                for start in (0..whole.len()).step_by(100_000) {
                    let frame = whole.slice(start..start + 100_000);
                    staging.append(frame).await.expect("taken");
                    taken.fetch_add(100_000, Ordering::SeqCst);
                }
                let finished = staging.finish().await.expect("closed");
                assert_eq!(finished.digest, digest(&whole));
                promote(&*store, upload, &finished).await.expect("promoted");
            })
        })
        .collect();
    // Until nothing moves any more.
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let now = taken.load(Ordering::SeqCst);
        if now == before && now > 0 {
            break;
        }
        before = now;
    }
    // Each has a little beside the three parts.
    assert!(before <= (24 << 20) + 6 * (256 << 10), "{before} bytes");
    drop(open);
    for upload in uploads {
        upload.await.expect("a whole upload");
    }
}
