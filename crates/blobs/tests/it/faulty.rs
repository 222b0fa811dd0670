//! What is true of the store that fails by rule. Without rules it is a store
//! like any other, so it has the same contract.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt};
use landfall_blobs::{BlobStore, Calls, Error, Fault, FaultyStore, Moment, Operation, Staged};
use landfall_ids::StoreId;
use landfall_oci::Algorithm;
use tokio::sync::Notify;

use crate::{
    bytes_of::{content, digest, get, new_upload, promote, put, stage_whole, start},
    disk::Disk,
};

struct Faulty {
    disk: Disk,
    store: FaultyStore,
}

impl Faulty {
    fn new() -> Self {
        let disk = Disk::new();
        let store = FaultyStore::new(disk.store());
        Self { disk, store }
    }

    fn store(&self) -> Arc<dyn BlobStore> {
        Arc::new(self.store.clone())
    }
}

contract_tests!(super::faulty::Faulty::new());

#[tokio::test]
async fn only_the_chosen_calls_fail() {
    let Faulty { disk: _disk, store } = Faulty::new();
    store.fail(Operation::Probe, Calls::Nth(2), Fault::Full, Moment::Before);
    store.fail(Operation::Probe, Calls::From(4), Fault::Io, Moment::Before);
    store.probe().await.expect("the first");
    let second = store.probe().await;
    assert!(matches!(second, Err(Error::Full(_))), "{second:?}");
    store.probe().await.expect("the third");
    for _ in 0..2 {
        let later = store.probe().await;
        assert!(matches!(later, Err(Error::Io { .. })), "{later:?}");
    }
    store.heal();
    store.probe().await.expect("healed");
    assert_eq!(store.calls(Operation::Probe), 6);
    assert_eq!(store.calls(Operation::Claim), 0);
}

#[tokio::test]
async fn a_call_fails_before_or_after_its_work() {
    let Faulty { disk, store } = Faulty::new();
    let (upload, whole) = (new_upload(), content(10, 1));
    let finished = stage_whole(&store, upload, &whole).await.expect("staged");
    let operation = Operation::Promote;
    store.fail(operation, Calls::Nth(1), Fault::ReadOnly, Moment::Before);
    store.fail(operation, Calls::Nth(2), Fault::Lost, Moment::After);
    let before = promote(&store, upload, &finished).await;
    assert!(matches!(before, Err(Error::ReadOnly(_))), "{before:?}");
    assert_eq!(disk.store().list().count().await, 0);
    match promote(&store, upload, &finished).await {
        Err(Error::Lost { upload: lost }) => assert_eq!(lost, upload),
        other => panic!("{other:?}"),
    }
    assert_eq!(disk.store().list().count().await, 1);
    let location = promote(&store, upload, &finished)
        .await
        .expect("a location");
    assert_eq!(get(&store, &location).await.expect("a blob"), whole);
}

#[tokio::test]
async fn a_stream_breaks_at_the_chosen_chunk() {
    let Faulty { disk: _disk, store } = Faulty::new();
    let location = put(&store, &content(1_000_000, 1)).await.expect("a blob");
    store.fail(
        Operation::Read,
        Calls::Nth(3),
        Fault::Damaged,
        Moment::Before,
    );
    let source = store.open(&location).await.expect("a source");
    let chunks: Vec<_> = source.read(0..1_000_000).collect().await;
    assert_eq!(chunks.len(), 3);
    match &chunks[2] {
        Err(Error::Damaged {
            location: damaged, ..
        }) => assert_eq!(*damaged, location),
        other => panic!("{other:?}"),
    }
    let again = get(&store, &location).await.expect("a blob");
    assert_eq!(again.len(), 1_000_000);
}

#[tokio::test]
async fn a_listing_breaks_at_the_chosen_entry() {
    let Faulty { disk: _disk, store } = Faulty::new();
    for seed in 0..3 {
        put(&store, &content(10, seed)).await.expect("a blob");
    }
    store.fail(Operation::List, Calls::Nth(2), Fault::Io, Moment::Before);
    let entries: Vec<_> = store.list().collect().await;
    assert_eq!(entries.len(), 2);
    assert!(matches!(entries[1], Err(Error::Io { .. })));
    let healed: Vec<_> = store.list().try_collect().await.expect("a listing");
    assert_eq!(healed.len(), 3);
}

#[tokio::test]
async fn a_stalled_call_waits_for_its_hook() {
    let Faulty { disk, store } = Faulty::new();
    let gate = Arc::new(Notify::new());
    let hooked = Arc::clone(&gate);
    store.stall(Operation::Claim, Calls::Nth(1), move |call| {
        assert_eq!(call, 1);
        let gate = Arc::clone(&hooked);
        async move { gate.notified().await }.boxed()
    });
    let id = StoreId::new_at(1);
    let mut claim = store.claim(id);
    assert!((&mut claim).now_or_never().is_none());
    assert_eq!(disk.store().store_id().await.expect("no marker"), None);
    gate.notify_one();
    claim.await.expect("claimed");
    assert_eq!(disk.store().store_id().await.expect("a marker"), Some(id));
}

#[tokio::test]
async fn every_operation_can_be_made_to_fail() {
    let Faulty { disk, store } = Faulty::new();
    let location = put(&store, &content(10, 1)).await.expect("a blob");
    let upload = new_upload();
    let (none, staged) = (digest(b""), Staged::default());
    let operations = [
        Operation::StoreId,
        Operation::Claim,
        Operation::Stage,
        Operation::Append,
        Operation::Suspend,
        Operation::Finish,
        Operation::Promote,
        Operation::Discard,
        Operation::DigestStaged,
        Operation::Open,
        Operation::Read,
        Operation::Delete,
        Operation::Quarantine,
        Operation::List,
        Operation::ListStaged,
        Operation::Probe,
    ];
    for operation in operations {
        store.heal();
        store.fail(operation, Calls::All, Fault::Full, Moment::Before);
        let stage = || store.stage(upload, start());
        let failed = match operation {
            Operation::StoreId => store.store_id().await.map(drop),
            Operation::Claim => store.claim(StoreId::new_at(1)).await,
            Operation::Stage => stage().await.map(drop),
            Operation::Append => stage().await.expect("new").append(content(1, 1)).await,
            Operation::Suspend => stage().await.expect("new").suspend().await.map(drop),
            Operation::Finish => stage().await.expect("new").finish().await.map(drop),
            Operation::Promote => store.promote(upload, &none, &staged).await.map(drop),
            Operation::Discard => store.discard(upload).await,
            Operation::DigestStaged => {
                let digest = store
                    .digest_staged(upload, &staged, Algorithm::Sha512)
                    .await;
                digest.map(drop)
            }
            Operation::Open => store.open(&location).await.map(drop),
            Operation::Read => get(&store, &location).await.map(drop),
            Operation::Delete => store.delete(&location).await,
            Operation::Quarantine => store.quarantine(&location).await,
            Operation::List => store.list().try_collect::<Vec<_>>().await.map(drop),
            Operation::ListStaged => store.list_staged().try_collect::<Vec<_>>().await.map(drop),
            Operation::Probe => store.probe().await,
        };
        assert!(
            matches!(failed, Err(Error::Full(_))),
            "{operation:?}: {failed:?}"
        );
    }
    let kept = get(&*disk.store(), &location).await;
    kept.expect("nothing was done");
}
