//! What is true of stored objects in every store. The uploads before them are
//! in [`crate::uploads`].

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use landfall_blobs::{BlobStore, Error, Location};
use landfall_ids::StoreId;

use crate::bytes_of::{content, digest, get, new_upload, promote, put, stage_whole, start};

/// Makes a test of each function of the contract. `$fixture` is an expression
/// whose value has a method `store()` and keeps the store alive.
macro_rules! contract_tests {
    ($fixture:expr) => {
        contract_tests! { @of contract, $fixture;
            a_blob_reads_back_whole_and_in_ranges
            an_empty_blob_is_a_blob
            one_content_of_two_uploads_is_two_objects
            a_deleted_blob_is_not_found_and_deleting_it_again_is_fine
            a_blob_that_is_deleted_under_a_reader_is_read_to_its_end
            a_quarantined_blob_is_out_of_the_way
            a_listing_shows_every_object_once
            a_listing_can_be_dropped_in_its_middle
            a_store_is_claimed_once
            an_incarnation_takes_the_place_of_the_one_before
            two_claims_at_once_leave_one_owner
            a_healthy_store_takes_writes
        }
        contract_tests! { @of uploads, $fixture;
            any_split_into_frames_gives_the_same_bytes
            a_suspended_upload_goes_on_with_its_stored_hash
            a_dropped_upload_goes_on_where_it_was_suspended
            an_upload_that_was_never_suspended_starts_over
            a_suspended_upload_that_starts_over_keeps_no_old_byte
            an_upload_with_fewer_bytes_than_acknowledged_is_lost
            a_hash_state_of_another_offset_is_refused
            a_discarded_upload_is_gone_and_discarding_it_again_is_fine
            staged_bytes_are_hashed_again_by_another_algorithm
            a_suspended_upload_is_closed_with_nothing_more
            promoting_twice_gives_the_same_location
            an_upload_whose_location_was_never_committed_goes_on
            promotions_at_once_agree
            promoting_nothing_is_an_error
            a_later_writer_fences_the_earlier_one_off
            what_is_being_written_is_not_promoted
            a_discarded_upload_stops_its_writer
            staged_uploads_are_listed_until_they_are_promoted
            many_uploads_at_once_keep_their_bytes_apart
            racing_requests_of_one_upload_promote_all_of_it_or_nothing
        }
    };
    (@of $module:ident, $fixture:expr; $($name:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let fixture = $fixture;
            crate::$module::$name(fixture.store()).await;
        }
    )+};
}

pub(crate) async fn a_blob_reads_back_whole_and_in_ranges(store: Arc<dyn BlobStore>) {
    let bytes = content(1_000_003, 1);
    let location = put(&*store, &bytes).await.expect("a blob");
    assert_eq!(location.as_str().parse(), Ok(location.clone()));
    let source = store.open(&location).await.expect("a source");
    assert_eq!(source.size(), 1_000_003);
    for range in [
        0..1_000_003,
        0..1,
        1..2,
        262_143..262_145,
        5..900_000,
        1_000_002..1_000_003,
        999_999..u64::MAX,
        7..7,
        1_000_003..1_000_004,
        u64::MAX..u64::MAX,
    ] {
        let stream = source.read(range.clone());
        let cut = |at: u64| usize::try_from(at.min(1_000_003)).expect("a length");
        let expected = &bytes[cut(range.start)..cut(range.end)];
        assert_eq!(stream.remaining(), expected.len() as u64, "{range:?}");
        let found: Vec<Bytes> = stream.try_collect().await.expect("a read");
        assert!(found.concat() == expected, "{range:?} has other bytes");
    }
}

pub(crate) async fn an_empty_blob_is_a_blob(store: Arc<dyn BlobStore>) {
    let upload = new_upload();
    let staging = store.stage(upload, start()).await;
    let finished = staging.expect("a writer").finish().await.expect("nothing");
    assert_eq!((finished.size, finished.digest), (0, digest(b"")));
    let location = promote(&*store, upload, &finished).await;
    let found = get(&*store, &location.expect("a location")).await;
    assert_eq!(found.expect("an empty blob"), b"");
}

pub(crate) async fn one_content_of_two_uploads_is_two_objects(store: Arc<dyn BlobStore>) {
    let bytes = content(70_000, 1);
    let first = put(&*store, &bytes).await.expect("a blob");
    let second = put(&*store, &bytes).await.expect("a blob");
    assert_ne!(first, second);
    store.delete(&first).await.expect("deleted");
    assert_eq!(get(&*store, &second).await.expect("a blob"), bytes);
}

pub(crate) async fn a_deleted_blob_is_not_found_and_deleting_it_again_is_fine(
    store: Arc<dyn BlobStore>,
) {
    let location = put(&*store, &content(10, 1)).await.expect("a blob");
    for _ in 0..2 {
        store.delete(&location).await.expect("deleted");
        match store.open(&location).await {
            Err(Error::NotFound { location: missing }) => assert_eq!(missing, location),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn a_blob_that_is_deleted_under_a_reader_is_read_to_its_end(
    store: Arc<dyn BlobStore>,
) {
    let bytes = content(3_000_000, 1);
    let location = put(&*store, &bytes).await.expect("a blob");
    let source = store.open(&location).await.expect("a source");
    let mut stream = source.read(0..source.size());
    let first = stream.try_next().await.expect("a read").expect("a chunk");
    store.delete(&location).await.expect("deleted");
    let rest: Vec<Bytes> = stream.try_collect().await.expect("the rest");
    assert!([first.to_vec(), rest.concat()].concat() == bytes);
}

pub(crate) async fn a_quarantined_blob_is_out_of_the_way(store: Arc<dyn BlobStore>) {
    let location = put(&*store, &content(10, 1)).await.expect("a blob");
    for _ in 0..2 {
        store.quarantine(&location).await.expect("moved aside");
        let opened = store.open(&location).await;
        assert!(matches!(opened, Err(Error::NotFound { .. })), "{opened:?}");
    }
    assert_eq!(store.list().count().await, 0);
    let deleted = put(&*store, &content(10, 2)).await.expect("a blob");
    store.delete(&deleted).await.expect("deleted");
    let missing = store.quarantine(&deleted).await;
    assert!(
        matches!(missing, Err(Error::NotFound { .. })),
        "{missing:?}"
    );
}

pub(crate) async fn a_listing_shows_every_object_once(store: Arc<dyn BlobStore>) {
    assert_eq!(store.list().count().await, 0);
    let mut stored = HashSet::new();
    for number in 0..40u8 {
        let bytes = content(usize::from(number) + 1, number);
        let location = put(&*store, &bytes).await.expect("a blob");
        stored.insert((location, bytes.len() as u64));
    }
    let staged = stage_whole(&*store, new_upload(), &content(10, 1)).await;
    let _ = staged.expect("an upload that is no object yet");
    let listed: Vec<_> = store.list().try_collect().await.expect("a listing");
    assert_eq!(listed.len(), stored.len());
    for object in listed {
        assert!(
            object.modified.unix_seconds() > 1_700_000_000,
            "{object:?} is from before this was written"
        );
        assert!(stored.contains(&(object.location, object.size)));
    }
}

pub(crate) async fn a_listing_can_be_dropped_in_its_middle(store: Arc<dyn BlobStore>) {
    for number in 0..3 {
        put(&*store, &content(1, number)).await.expect("a blob");
    }
    let mut listing = store.list();
    assert!(listing.next().await.is_some());
    drop(listing);
    drop(store.list_staged());
    assert_eq!(store.list().count().await, 3);
}

pub(crate) async fn a_store_is_claimed_once(store: Arc<dyn BlobStore>) {
    let (id, other) = (StoreId::new_at(1), StoreId::new_at(2));
    assert_eq!(store.store_id().await.expect("a new store"), None);
    for _ in 0..2 {
        store.claim(id).await.expect("ours");
        assert_eq!(store.store_id().await.expect("a marker"), Some(id));
        match store.claim(other).await {
            Err(Error::Claimed { by }) => assert_eq!(by, id),
            result => panic!("{result:?}"),
        }
    }
}

pub(crate) async fn an_incarnation_takes_the_place_of_the_one_before(store: Arc<dyn BlobStore>) {
    let [id, other, first, second] = [1, 2, 3, 4].map(StoreId::new_at);
    store.reclaim(id, first).await.expect_err("nobody's store");
    store.claim(id).await.expect("ours");
    assert_eq!(store.incarnation().await.expect("a marker"), None);
    for incarnation in [first, second] {
        for _ in 0..2 {
            store.reclaim(id, incarnation).await.expect("ours");
            let found = store.incarnation().await.expect("a marker");
            assert_eq!(found, Some(incarnation));
            // The identity stays, and is claimed as ever.
            assert_eq!(store.store_id().await.expect("a marker"), Some(id));
            store.claim(id).await.expect("ours");
        }
    }
    match store.reclaim(other, first).await {
        Err(Error::Claimed { by }) => assert_eq!(by, id),
        result => panic!("{result:?}"),
    }
    let found = store.incarnation().await.expect("a marker");
    assert_eq!(found, Some(second));
}

pub(crate) async fn two_claims_at_once_leave_one_owner(store: Arc<dyn BlobStore>) {
    let ids: Vec<_> = (0..8).map(StoreId::new_at).collect();
    let claims = ids.iter().map(|id| {
        let (store, id) = (Arc::clone(&store), *id);
        tokio::spawn(async move { store.claim(id).await.map(|()| id) })
    });
    let mut owners = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        match claim.await.expect("no panic") {
            Ok(id) => owners.push(id),
            Err(Error::Claimed { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(owners.len(), 1);
    let owner = store.store_id().await.expect("a marker");
    assert_eq!(owner, owners.first().copied());
}

pub(crate) async fn a_healthy_store_takes_writes(store: Arc<dyn BlobStore>) {
    for _ in 0..2 {
        store.probe().await.expect("a healthy store");
    }
    assert_eq!(store.list().count().await, 0);
    assert_eq!(store.list_staged().count().await, 0);
}

/// Texts that look like locations of some store, but of none that is tested.
pub(crate) fn hostile_locations() -> Vec<Location> {
    [
        "store-id",
        "staging/x",
        "sha256/ab/x",
        "a",
        "quarantine/sha256.x.y",
    ]
    .map(|text| text.parse().expect("the grammar of locations"))
    .to_vec()
}
