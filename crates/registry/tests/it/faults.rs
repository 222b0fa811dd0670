//! Every call to the store may fail: the answer is an error, nothing is half
//! visible, the same request works once the store does, and nothing leaks.

use bytes::Bytes;
use landfall_blobs::{Calls, Fault, Moment, Operation};
use landfall_ids::UploadId;
use landfall_oci::{Algorithm, Digest};
use landfall_registry::{Error, FsckOptions, FsckProgress, Problem, Registry, UploadStatus};

use crate::world::{Place, SETTINGS, World, body, content, digest, open_parts, repository};

on_both!(
    a_push_that_fails_leaves_nothing_and_works_again,
    a_push_that_fails_in_its_middle_is_no_shorter_blob,
    a_chunk_that_fails_takes_nothing_back_and_works_again,
    an_end_that_fails_makes_no_blob_and_works_again,
    a_session_whose_staged_bytes_are_lost_starts_anew,
    a_writer_that_the_store_fences_off_is_told_where_the_session_stands,
    a_session_ends_though_its_bytes_could_not_be_thrown_away,
    a_read_that_fails_is_an_error_and_no_damage,
    a_repair_that_fails_half_way_is_completed_by_a_push,
    an_opening_that_fails_at_the_store_is_repeated,
    a_commit_that_fails_makes_no_blob_and_works_again,
);

on_s3!(
    a_push_that_fails_leaves_nothing_and_works_again,
    a_push_that_fails_in_its_middle_is_no_shorter_blob,
    a_chunk_that_fails_takes_nothing_back_and_works_again,
    an_end_that_fails_makes_no_blob_and_works_again,
    a_writer_that_the_store_fences_off_is_told_where_the_session_stands,
    a_session_ends_though_its_bytes_could_not_be_thrown_away,
    a_read_that_fails_is_an_error_and_no_damage,
    an_opening_that_fails_at_the_store_is_repeated,
    a_commit_that_fails_makes_no_blob_and_works_again,
);

const NAME: &str = "acme/web";
const FAULTS: [Fault; 3] = [Fault::Full, Fault::ReadOnly, Fault::Io];
const MOMENTS: [Moment; 2] = [Moment::Before, Moment::After];

/// Whether the error is the one that the fault makes.
fn is_of(error: &Error, fault: Fault) -> bool {
    use landfall_blobs::Error::{Full, Io, ReadOnly};
    matches!(
        (error, fault),
        (Error::Blobs(Full(_)), Fault::Full)
            | (Error::Blobs(ReadOnly(_)), Fault::ReadOnly)
            | (Error::Blobs(Io { .. }), Fault::Io)
    )
}

/// Every fault of each operation, before and after its work.
fn each(operations: &[Operation]) -> Vec<(Operation, Fault, Moment)> {
    let mut all = Vec::new();
    for operation in operations {
        for fault in FAULTS {
            all.extend(MOMENTS.map(|moment| (*operation, fault, moment)));
        }
    }
    all
}

/// Pushes `whole` while something fails.
async fn push_fails(world: &World, whole: &Bytes, fault: Fault) {
    let (name, wanted) = (repository(NAME), digest(whole));
    let pushed = world
        .blob_push(&name, world.account, &wanted, body(whole))
        .await;
    let error = pushed.expect_err("the store failed");
    assert!(is_of(&error, fault), "{fault:?} became {error}");
    assert!(!world.holds(&name, &wanted).await);
}

async fn a_push_that_fails_leaves_nothing_and_works_again() {
    let world = World::new().await;
    let name = repository(NAME);
    let operations = [
        Operation::Stage,
        Operation::Append,
        Operation::Finish,
        Operation::Promote,
    ];
    for (seed, (operation, fault, moment)) in (1u8..).zip(each(&operations)) {
        let whole = content(seed, 500);
        world.store.fail(operation, Calls::All, fault, moment);
        push_fails(&world, &whole, fault).await;
        world.store.heal();
        assert!(
            world.files("staging").is_empty(),
            "{operation:?} {moment:?}"
        );
        world.push(&name, &whole).await;
        let read = world.read(&name, &digest(&whole)).await;
        assert_eq!(read.expect("bytes"), whole, "{operation:?} {moment:?}");
    }
    world.tables_agree().await;
    world.is_sound().await;
    world.drains().await;
}

async fn a_push_that_fails_in_its_middle_is_no_shorter_blob() {
    let world = World::new().await;
    let name = repository(NAME);
    for nth in 1..=5 {
        let whole = content(nth, 500);
        let call = world.store.calls(Operation::Append) + u64::from(nth);
        world.store.fail(
            Operation::Append,
            Calls::Nth(call),
            Fault::Full,
            Moment::Before,
        );
        push_fails(&world, &whole, Fault::Full).await;
        world.store.heal();
        for end in (100..=500).step_by(100) {
            assert!(!world.holds(&name, &digest(&whole[..end])).await);
        }
    }
    world.drains().await;
}

/// A session that has its first hundred bytes.
async fn begin(world: &World, whole: &Bytes) -> UploadId {
    let name = repository(NAME);
    let id = world.upload_start(&name, world.account, Algorithm::Sha256);
    let id = id.await.expect("a session").id;
    let first = world.upload_append(&name, id, None, body(&whole[..100]));
    first.await.expect("the first chunk");
    id
}

async fn a_chunk_that_fails_takes_nothing_back_and_works_again() {
    let world = World::new().await;
    let name = repository(NAME);
    let operations = [Operation::Stage, Operation::Append, Operation::Suspend];
    for (seed, (operation, fault, moment)) in (1u8..).zip(each(&operations)) {
        let whole = content(seed, 500);
        let id = begin(&world, &whole).await;
        world.store.fail(operation, Calls::All, fault, moment);
        let failed = world.upload_append(&name, id, None, body(&whole[100..400]));
        let error = failed.await.expect_err("the store failed");
        assert!(is_of(&error, fault), "{operation:?} {fault:?}: {error}");
        world.store.heal();
        let status = world.upload_status(&name, id).await;
        assert_eq!(
            status.expect("it goes on"),
            UploadStatus { id, received: 100 }
        );
        let again = world.upload_append(&name, id, None, body(&whole[100..400]));
        assert_eq!(again.await.expect("works again").received, 400);
        let wanted = digest(&whole);
        let last = world.upload_finish(&name, id, &wanted, None, body(&whole[400..]));
        last.await.expect("the blob");
        assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
    }
    assert!(world.files("staging").is_empty());
    world.is_sound().await;
    world.drains().await;
}

/// Ends a session while something fails, and then again.
async fn finish_fails(
    world: &World,
    whole: &Bytes,
    wanted: Digest,
    (operation, fault, moment): (Operation, Fault, Moment),
) {
    let name = repository(NAME);
    let id = begin(world, whole).await;
    world.store.fail(operation, Calls::All, fault, moment);
    let failed = world.upload_finish(&name, id, &wanted, None, body(&whole[100..]));
    let error = failed.await.expect_err("the store failed");
    assert!(is_of(&error, fault), "{operation:?} {fault:?}: {error}");
    assert!(!world.holds(&name, &wanted).await);
    world.store.heal();
    let again = world.upload_finish(&name, id, &wanted, None, body(&whole[100..]));
    let again = again.await;
    assert!(again.is_ok(), "{operation:?} {moment:?}: {again:?}");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), *whole);
}

async fn an_end_that_fails_makes_no_blob_and_works_again() {
    let world = World::new().await;
    let operations = [
        Operation::Stage,
        Operation::Append,
        Operation::Finish,
        Operation::Promote,
    ];
    for (seed, case) in (1u8..).zip(each(&operations)) {
        let whole = content(seed, 500);
        finish_fails(&world, &whole, digest(&whole), case).await;
    }
    for (seed, case) in (100u8..).zip(each(&[Operation::DigestStaged])) {
        let whole = content(seed, 500);
        let wanted = Digest::of(Algorithm::Sha512, &whole);
        finish_fails(&world, &whole, wanted, case).await;
    }
    world.is_sound().await;
    world.drains().await;
}

async fn a_session_whose_staged_bytes_are_lost_starts_anew() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 500));
    let id = begin(&world, &whole).await;
    for file in world.files("staging") {
        std::fs::remove_file(file).expect("removed");
    }
    let lost = world.upload_append(&name, id, None, body(&whole[100..]));
    assert!(matches!(lost.await, Err(Error::UploadUnknown)));
    let status = world.upload_status(&name, id).await;
    assert!(matches!(status, Err(Error::UploadUnknown)), "{status:?}");
    world.push(&name, &whole).await;
    world.drains().await;
}

async fn a_writer_that_the_store_fences_off_is_told_where_the_session_stands() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 500));
    let id = begin(&world, &whole).await;
    for operation in [Operation::Append, Operation::Suspend] {
        world
            .store
            .fail(operation, Calls::All, Fault::Superseded, Moment::Before);
        let late = world.upload_append(&name, id, None, body(&whole[100..]));
        let late = late.await;
        assert!(
            matches!(late, Err(Error::ChunkOutOfOrder { received: 100 })),
            "{late:?}"
        );
        world.store.heal();
    }
}

async fn a_session_ends_though_its_bytes_could_not_be_thrown_away() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 500));
    let cancelled = begin(&world, &whole).await;
    let lying = begin(&world, &whole).await;
    world
        .store
        .fail(Operation::Discard, Calls::All, Fault::Io, Moment::Before);
    world
        .upload_cancel(&name, cancelled)
        .await
        .expect("cancelled");
    let lie = digest(b"a lie");
    let refused = world.upload_finish(&name, lying, &lie, None, body(&[]));
    assert!(matches!(refused.await, Err(Error::DigestMismatch { .. })));
    for id in [cancelled, lying] {
        let status = world.upload_status(&name, id).await;
        assert!(matches!(status, Err(Error::UploadUnknown)), "{status:?}");
    }
    world.store.heal();
    assert_eq!(world.files("staging").len(), 2);
    world.drains().await;
}

async fn a_read_that_fails_is_an_error_and_no_damage() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 500));
    let wanted = world.push(&name, &whole).await;
    for operation in [Operation::Open, Operation::Read] {
        for moment in MOMENTS {
            world.store.fail(operation, Calls::All, Fault::Io, moment);
            let error = world.read(&name, &wanted).await.expect_err("it failed");
            assert!(is_of(&error, Fault::Io), "{error}");
            world.store.heal();
            assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
        }
    }
    assert_eq!(world.store_totals().await.expect("totals").damaged, 0);
}

async fn a_repair_that_fails_half_way_is_completed_by_a_push() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 500));
    let wanted = world.push(&name, &whole).await;
    let file = world.file_of(&wanted).await;
    std::fs::write(&file, &whole[1..]).expect("cut");
    let repair = FsckOptions {
        repair: true,
        quick: false,
    };
    for operation in [Operation::Quarantine, Operation::List] {
        world
            .store
            .fail(operation, Calls::All, Fault::Io, Moment::Before);
        let failed = world.fsck(repair, &FsckProgress::default()).await;
        let error = failed.expect_err("the store failed");
        assert!(is_of(&error, Fault::Io), "{error}");
        world.store.heal();
        assert!(!world.holds(&name, &wanted).await, "it is marked");
    }
    let report = world.check(repair).await;
    assert_eq!(report.problems, [Problem::BlobDamaged { count: 1 }]);
    world.push(&name, &whole).await;
    world.collect().await;
    assert!(!file.exists(), "the damaged bytes went to the trash");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
    world.is_sound().await;
    world.drains().await;
}

async fn an_opening_that_fails_at_the_store_is_repeated() {
    let operations = [Operation::StoreId, Operation::List, Operation::Claim];
    for (operation, fault, moment) in each(&operations) {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (database, store) = open_parts(
            &Place::new(folder.path()),
            &crate::shelf::Shelf::new(folder.path()),
        )
        .await;
        store.fail(operation, Calls::All, fault, moment);
        let open = || {
            Registry::open(
                database.clone(),
                std::sync::Arc::new(store.clone()),
                std::sync::Arc::new(landfall_clock::SystemClock),
                SETTINGS,
            )
        };
        let error = open().await.expect_err("the store failed");
        // A listing that fails is one that is not empty.
        let refused = operation == Operation::List && matches!(error, Error::StoreMismatch(_));
        assert!(refused || is_of(&error, fault), "{operation:?}: {error}");
        store.heal();
        let first = open().await.expect("it works again").store_id();
        assert_eq!(open().await.expect("and again").store_id(), first);
    }
}

async fn a_commit_that_fails_makes_no_blob_and_works_again() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 500));
    let wanted = digest(&whole);
    world.push(&name, &content(2, 10)).await;
    let id = begin(&world, &whole).await;
    let fresh = world.upload_start(&name, world.account, Algorithm::Sha256);
    let fresh = fresh.await.expect("a session").id;
    // There is a live blob, and from now on there can't be another.
    world
        .change("create unique index broken on blob(state)")
        .await;
    let rest = body(&whole[100..]);
    let failures = [
        world
            .blob_push(&name, world.account, &wanted, body(&whole))
            .await,
        world.upload_finish(&name, id, &wanted, None, rest).await,
        world
            .upload_finish(&name, fresh, &wanted, None, body(&whole))
            .await,
    ];
    for failed in failures {
        assert!(matches!(failed, Err(Error::Database(_))), "{failed:?}");
    }
    assert!(!world.holds(&name, &wanted).await);
    world.change("drop index broken").await;
    let again = world.upload_finish(&name, fresh, &wanted, None, body(&whole));
    again.await.expect("the bytes were sent again");
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
    let again = world
        .upload_finish(&name, id, &wanted, None, body(&whole[100..]))
        .await;
    again.expect("its first bytes had moved, and were taken back");
    world.push(&name, &whole).await;
    world.tables_agree().await;
    world.drains().await;
}
