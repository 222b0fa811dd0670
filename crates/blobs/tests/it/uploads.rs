//! What is true of uploads in every store: resumption, fencing, promotion.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use landfall_blobs::{BlobStore, Error, Staged, Suspended};
use landfall_ids::UploadId;
use landfall_oci::{Algorithm, Digest, Hasher};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::bytes_of::{
    after, content, digest, get, new_upload, promote, put, resume, sha256, stage_whole, start,
    suspend_whole,
};

/// Where the property test cuts: frames that are copied, that are not, that
/// fill a batch, and that are larger than one.
fn frame_lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(
        prop_oneof![
            6 => 0..3_000usize,
            3 => 16_000..17_000usize,
            2 => 100_000..600_000usize,
            1 => 1_000_000..2_500_000usize,
        ],
        0..24,
    )
}

pub(crate) async fn any_split_into_frames_gives_the_same_bytes(store: Arc<dyn BlobStore>) {
    let runtime = tokio::runtime::Handle::current();
    let test = move || {
        let mut runner = TestRunner::new(Config {
            cases: 48,
            failure_persistence: None,
            ..Config::default()
        });
        runner.run(&frame_lengths(), |lengths| {
            let whole = content(lengths.iter().sum(), 1);
            let result = runtime.block_on(async {
                let upload = new_upload();
                let mut staging = store.stage(upload, start()).await?;
                let mut rest = whole.clone();
                for length in lengths {
                    staging.append(rest.split_to(length)).await?;
                }
                assert_eq!(staging.offset(), whole.len() as u64);
                let finished = staging.finish().await?;
                assert_eq!(finished.digest, digest(&whole));
                let location = promote(&*store, upload, &finished).await?;
                let found = get(&*store, &location).await?;
                store.delete(&location).await?;
                Ok::<_, Error>(found)
            });
            prop_assert!(result.expect("a blob") == whole);
            Ok(())
        })
    };
    let result = tokio::task::spawn_blocking(test).await.expect("no panic");
    result.expect("every split gives the same bytes");
}

pub(crate) async fn a_suspended_upload_goes_on_with_its_stored_hash(store: Arc<dyn BlobStore>) {
    let whole = content(5_000_000, 1);
    let upload = new_upload();
    let mut suspended = None;
    for end in [1u64, 2, 70_000, 70_000, 3_000_000, 4_999_999] {
        let resume = suspended.as_ref().map_or_else(start, after);
        let offset = resume.offset;
        let mut staging = store.stage(upload, resume).await.expect("a writer");
        assert_eq!(staging.offset(), offset);
        let range = usize::try_from(offset).expect("small")..usize::try_from(end).expect("small");
        staging.append(whole.slice(range)).await.expect("taken");
        let kept = staging.suspend().await.expect("suspended");
        assert_eq!(kept.offset, end);
        let hasher = Hasher::restore(&kept.hasher.save()).expect("a state");
        suspended = Some(Suspended { hasher, ..kept });
    }
    let resume = after(&suspended.expect("it was suspended"));
    let mut staging = store.stage(upload, resume).await.expect("a writer");
    staging
        .append(whole.slice(4_999_999..))
        .await
        .expect("taken");
    let finished = staging.finish().await.expect("finished");
    assert_eq!(
        (finished.digest, finished.size),
        (digest(&whole), 5_000_000)
    );
    let location = promote(&*store, upload, &finished).await;
    let found = get(&*store, &location.expect("a location")).await;
    assert!(found.expect("a blob") == whole);
}

pub(crate) async fn a_dropped_upload_goes_on_where_it_was_suspended(store: Arc<dyn BlobStore>) {
    let whole = content(4_000_000, 1);
    let upload = new_upload();
    let mut staging = store.stage(upload, start()).await.expect("a writer");
    staging
        .append(whole.slice(..1_500_000))
        .await
        .expect("taken");
    let suspended = staging.suspend().await.expect("suspended");
    for _ in 0..3 {
        let staging = store.stage(upload, after(&suspended)).await;
        let mut staging = staging.expect("a writer");
        staging.append(content(2_222_222, 9)).await.expect("taken");
        staging.append(content(2_222_222, 9)).await.expect("taken");
        // The connection breaks.
    }
    let staging = store.stage(upload, after(&suspended)).await;
    let mut staging = staging.expect("a writer");
    staging
        .append(whole.slice(1_500_000..))
        .await
        .expect("taken");
    let finished = staging.finish().await.expect("finished");
    assert_eq!(finished.digest, digest(&whole));
    let location = promote(&*store, upload, &finished).await;
    let found = get(&*store, &location.expect("a location")).await;
    assert!(found.expect("a blob") == whole);
}

pub(crate) async fn an_upload_that_was_never_suspended_starts_over(store: Arc<dyn BlobStore>) {
    let upload = new_upload();
    let mut staging = store.stage(upload, start()).await.expect("a writer");
    staging.append(content(3_000_000, 9)).await.expect("taken");
    drop(staging);
    let whole = content(100, 1);
    let finished = stage_whole(&*store, upload, &whole).await.expect("staged");
    let location = promote(&*store, upload, &finished)
        .await
        .expect("a location");
    assert_eq!(get(&*store, &location).await.expect("a blob"), whole);
}

pub(crate) async fn a_suspended_upload_that_starts_over_keeps_no_old_byte(
    store: Arc<dyn BlobStore>,
) {
    let upload = new_upload();
    let mut staging = store.stage(upload, start()).await.expect("a writer");
    staging.append(content(200_000, 9)).await.expect("taken");
    let _ = staging.suspend().await.expect("suspended");
    let whole = content(100, 1);
    let finished = stage_whole(&*store, upload, &whole).await.expect("staged");
    let location = promote(&*store, upload, &finished)
        .await
        .expect("a location");
    assert_eq!(get(&*store, &location).await.expect("a blob"), whole);
}

pub(crate) async fn an_upload_with_fewer_bytes_than_acknowledged_is_lost(
    store: Arc<dyn BlobStore>,
) {
    let upload = new_upload();
    let mut hasher = sha256();
    hasher.update(&content(11, 1));
    let unknown = store.stage(upload, resume(11, hasher.clone(), &[])).await;
    let unknown = unknown.err();
    assert!(matches!(unknown, Some(Error::Lost { .. })), "{unknown:?}");
    let mut staging = store.stage(upload, start()).await.expect("a writer");
    staging.append(content(10, 1)).await.expect("taken");
    let suspended = staging.suspend().await.expect("suspended");
    let more = resume(11, hasher, &suspended.state);
    match store.stage(upload, more).await.err() {
        Some(Error::Lost { upload: lost }) => assert_eq!(lost, upload),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_hash_state_of_another_offset_is_refused(store: Arc<dyn BlobStore>) {
    let upload = new_upload();
    let mut staging = store.stage(upload, start()).await.expect("a writer");
    staging.append(content(10, 1)).await.expect("taken");
    let suspended = staging.suspend().await.expect("suspended");
    let less = resume(9, suspended.hasher, &suspended.state);
    let refused = store.stage(upload, less).await.err();
    assert!(matches!(refused, Some(Error::Lost { .. })), "{refused:?}");
}

pub(crate) async fn a_discarded_upload_is_gone_and_discarding_it_again_is_fine(
    store: Arc<dyn BlobStore>,
) {
    let upload = new_upload();
    let whole = content(10, 1);
    let suspended = suspend_whole(&*store, upload, &whole).await;
    let suspended = suspended.expect("suspended");
    let finishing = store.stage(upload, after(&suspended)).await;
    let finished = finishing.expect("a writer").finish().await.expect("closed");
    for _ in 0..2 {
        store.discard(upload).await.expect("discarded");
    }
    let staged: Vec<_> = store.list_staged().try_collect().await.expect("a listing");
    assert_eq!(staged, []);
    match promote(&*store, upload, &finished).await {
        Err(Error::Lost { .. } | Error::Superseded { .. }) => {}
        promoted => panic!("{promoted:?}"),
    }
    let again = store.stage(upload, after(&suspended)).await.err();
    assert!(matches!(again, Some(Error::Lost { .. })), "{again:?}");
}

pub(crate) async fn staged_bytes_are_hashed_again_by_another_algorithm(store: Arc<dyn BlobStore>) {
    let whole = content(9_000_000, 1);
    let upload = new_upload();
    let finished = stage_whole(&*store, upload, &whole).await.expect("staged");
    let staged = &finished.staged;
    for _ in 0..2 {
        let digest = store.digest_staged(upload, staged, Algorithm::Sha512).await;
        let digest = digest.expect("a digest");
        assert_eq!(digest, Digest::of(Algorithm::Sha512, &whole));
    }
    let digest = Digest::of(Algorithm::Sha512, &whole);
    let location = store.promote(upload, &digest, staged).await;
    let location = location.expect("a location");
    assert!(get(&*store, &location).await.expect("a blob") == whole);
}

pub(crate) async fn a_suspended_upload_is_closed_with_nothing_more(store: Arc<dyn BlobStore>) {
    let whole = content(100_000, 1);
    let upload = new_upload();
    let mut staging = store.stage(upload, start()).await.expect("a writer");
    staging.append(whole.clone()).await.expect("taken");
    let suspended = staging.suspend().await.expect("suspended");
    let staging = store.stage(upload, after(&suspended)).await;
    let finished = staging.expect("a writer").finish().await.expect("closed");
    assert_eq!(finished.digest, digest(&whole));
    let location = promote(&*store, upload, &finished)
        .await
        .expect("a location");
    assert_eq!(get(&*store, &location).await.expect("a blob"), whole);
}

pub(crate) async fn promoting_twice_gives_the_same_location(store: Arc<dyn BlobStore>) {
    let (upload, whole) = (new_upload(), content(10, 1));
    let finished = stage_whole(&*store, upload, &whole).await.expect("staged");
    let first = promote(&*store, upload, &finished)
        .await
        .expect("a location");
    let second = promote(&*store, upload, &finished)
        .await
        .expect("a location");
    assert_eq!(first, second);
    // The second call came late: the client has even sent everything again.
    let again = stage_whole(&*store, upload, &whole).await.expect("staged");
    let third = promote(&*store, upload, &again).await.expect("a location");
    assert_eq!(get(&*store, &third).await.expect("a blob"), whole);
    let staged: Vec<_> = store.list_staged().try_collect().await.expect("a listing");
    assert_eq!(staged, [], "the copy was left in the staging area");
}

pub(crate) async fn an_upload_whose_location_was_never_committed_goes_on(
    store: Arc<dyn BlobStore>,
) {
    let (upload, whole) = (new_upload(), content(100_000, 1));
    let mut staging = store.stage(upload, start()).await.expect("a writer");
    staging.append(whole.slice(..60_000)).await.expect("taken");
    let suspended = staging.suspend().await.expect("suspended");
    // The client tries once more after each crash, the last time in two parts.
    for middle in [60_000, 60_000, 80_000] {
        let staging = store.stage(upload, after(&suspended)).await;
        let mut staging = staging.expect("found");
        let part = whole.slice(60_000..middle);
        staging.append(part).await.expect("taken");
        let later = staging.suspend().await.expect("suspended");
        let staging = store.stage(upload, after(&later)).await;
        let mut staging = staging.expect("a writer");
        staging.append(whole.slice(middle..)).await.expect("taken");
        let finished = staging.finish().await.expect("finished");
        assert_eq!(finished.digest, digest(&whole));
        let location = promote(&*store, upload, &finished).await;
        let location = location.expect("a location");
        assert!(get(&*store, &location).await.expect("a blob") == whole);
    }
}

pub(crate) async fn promotions_at_once_agree(store: Arc<dyn BlobStore>) {
    let (upload, whole) = (new_upload(), content(10, 1));
    let finished = stage_whole(&*store, upload, &whole).await.expect("staged");
    let promotions = (0..8).map(|_| {
        let (store, finished) = (Arc::clone(&store), finished.clone());
        tokio::spawn(async move { promote(&*store, upload, &finished).await })
    });
    let mut locations = HashSet::new();
    for promotion in promotions.collect::<Vec<_>>() {
        locations.insert(promotion.await.expect("no panic").expect("a location"));
    }
    assert_eq!(locations.len(), 1);
}

pub(crate) async fn promoting_nothing_is_an_error(store: Arc<dyn BlobStore>) {
    let (none, staged) = (digest(b""), Staged::default());
    let nothing = store.promote(new_upload(), &none, &staged).await;
    assert!(matches!(nothing, Err(Error::Lost { .. })), "{nothing:?}");
}

pub(crate) async fn a_later_writer_fences_the_earlier_one_off(store: Arc<dyn BlobStore>) {
    let whole = content(3_000_000, 1);
    let upload = new_upload();
    let mut slow = store.stage(upload, start()).await.expect("a writer");
    slow.append(content(1_200_000, 9)).await.expect("taken");

    let staged = stage_whole(&*store, upload, &whole).await;
    let _ = staged.expect("staged");
    // The batch that is refused is written by the one call or the other.
    let late = match slow.append(content(1_200_000, 9)).await {
        Ok(()) => slow.finish().await.err(),
        Err(error) => Some(error),
    };
    assert!(matches!(late, Some(Error::Superseded { .. })), "{late:?}");

    let mut slow = store.stage(upload, start()).await.expect("a writer");
    slow.append(content(10, 9)).await.expect("taken");
    let finished = stage_whole(&*store, upload, &whole).await.expect("staged");
    let location = promote(&*store, upload, &finished)
        .await
        .expect("a location");
    let late = slow.suspend().await.err();
    assert!(matches!(late, Some(Error::Superseded { .. })), "{late:?}");
    assert!(get(&*store, &location).await.expect("a blob") == whole);
}

pub(crate) async fn what_is_being_written_is_not_promoted(store: Arc<dyn BlobStore>) {
    let upload = new_upload();
    let earlier = stage_whole(&*store, upload, &content(10, 1)).await;
    let writer = store.stage(upload, start()).await.expect("a writer");
    let refused = promote(&*store, upload, &earlier.expect("staged")).await;
    assert!(
        matches!(refused, Err(Error::Superseded { .. })),
        "{refused:?}"
    );
    let finished = writer.finish().await.expect("finished");
    let promoted = promote(&*store, upload, &finished).await;
    promoted.expect("a location");
}

pub(crate) async fn a_discarded_upload_stops_its_writer(store: Arc<dyn BlobStore>) {
    let upload = new_upload();
    let mut staging = store.stage(upload, start()).await.expect("a writer");
    staging.append(content(10, 1)).await.expect("taken");
    store.discard(upload).await.expect("discarded");
    let late = staging.finish().await;
    assert!(matches!(late, Err(Error::Superseded { .. })), "{late:?}");
    let staged: Vec<_> = store.list_staged().try_collect().await.expect("a listing");
    assert_eq!(staged, [], "the writer brought the upload back");
}

pub(crate) async fn staged_uploads_are_listed_until_they_are_promoted(store: Arc<dyn BlobStore>) {
    let (first, second) = (new_upload(), new_upload());
    let suspended = suspend_whole(&*store, first, &content(10, 1)).await;
    let other = suspend_whole(&*store, second, &content(20, 1)).await;
    let _ = other.expect("suspended");
    let listed: Vec<_> = store.list_staged().try_collect().await.expect("a listing");
    let sizes: HashSet<_> = listed.iter().map(|o| (o.upload, o.size)).collect();
    assert_eq!(sizes, HashSet::from([(first, 10), (second, 20)]));
    let resume = after(&suspended.expect("suspended"));
    let staging = store.stage(first, resume).await.expect("a writer");
    let finished = staging.finish().await.expect("closed");
    let promoted = promote(&*store, first, &finished).await;
    promoted.expect("a location");
    let listed: Vec<_> = store.list_staged().try_collect().await.expect("a listing");
    let uploads: Vec<_> = listed.iter().map(|o| o.upload).collect();
    assert_eq!(uploads, [second]);
}

pub(crate) async fn many_uploads_at_once_keep_their_bytes_apart(store: Arc<dyn BlobStore>) {
    let uploads = (0..16).map(|seed| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let whole = content(1_100_000, seed);
            let location = put(&*store, &whole).await.expect("a blob");
            (location, whole)
        })
    });
    let mut stored: Vec<(_, Bytes)> = Vec::new();
    for upload in uploads.collect::<Vec<_>>() {
        stored.push(upload.await.expect("no panic"));
    }
    for (location, whole) in stored {
        assert!(get(&*store, &location).await.expect("a blob") == whole);
    }
}

/// A client that gives up and tries again with its earlier requests still
/// running: each of them may fail, but what is promoted is whole, and the one
/// that comes after all of them succeeds.
pub(crate) async fn racing_requests_of_one_upload_promote_all_of_it_or_nothing(
    store: Arc<dyn BlobStore>,
) {
    async fn request(
        store: Arc<dyn BlobStore>,
        upload: UploadId,
        whole: Bytes,
        cut: usize,
        newest: Arc<AtomicU64>,
    ) -> Result<(), Error> {
        let resume = start();
        let token = resume.token;
        newest.fetch_max(token, Ordering::SeqCst);
        let mut staging = store.stage(upload, resume).await?;
        staging.append(whole.slice(..cut)).await?;
        staging.append(whole.slice(cut..)).await?;
        let finished = staging.finish().await?;
        let location = promote(&*store, upload, &finished).await?;
        match get(&*store, &location).await {
            Ok(found) => assert!(found == whole, "something else was promoted"),
            // A later request has finished the upload, so this one can't commit
            // its location, and its object may have gone.
            Err(Error::NotFound { .. }) if newest.load(Ordering::SeqCst) > token => {
                return Err(Error::Superseded { upload });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
    let whole = content(1_300_000, 1);
    for round in 1..=20 {
        let upload = new_upload();
        let newest = Arc::new(AtomicU64::new(0));
        let racers = (1..=4).map(|number| {
            let cut = 13_000 * round * number;
            let (store, newest) = (Arc::clone(&store), Arc::clone(&newest));
            tokio::spawn(request(store, upload, whole.clone(), cut, newest))
        });
        for racer in racers.collect::<Vec<_>>() {
            match racer.await.expect("whole blobs only") {
                Ok(()) | Err(Error::Superseded { .. } | Error::Lost { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        let last = request(Arc::clone(&store), upload, whole.clone(), 1_100_000, newest).await;
        last.expect("nobody else is there");
    }
}
