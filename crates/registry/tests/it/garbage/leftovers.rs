//! Uploads that lay still, and bytes that no row names.

use std::time::Duration;

use landfall_blobs::{Calls, Fault, Moment, Operation};
use landfall_oci::Algorithm;
use landfall_registry::Error;

use crate::world::{PROMISE, TRASH, UPLOADS, World, body, content, digest, repository};

on_both!(
    an_upload_that_lies_still_is_given_up_after_its_lifetime,
    orphans_older_than_any_upload_go_and_younger_stay,
    staged_bytes_without_a_session_go_when_they_are_old,
    the_bytes_of_rows_are_never_orphans,
    bytes_that_could_not_be_deleted_stay_in_the_trash,
    only_one_run_goes_on_at_a_time,
    a_run_that_skips_orphans_leaves_them_to_another,
);

on_s3!(
    an_upload_that_lies_still_is_given_up_after_its_lifetime,
    orphans_older_than_any_upload_go_and_younger_stay,
    the_bytes_of_rows_are_never_orphans,
    bytes_that_could_not_be_deleted_stay_in_the_trash,
    only_one_run_goes_on_at_a_time,
    a_run_that_skips_orphans_leaves_them_to_another,
);

const NAME: &str = "acme/web";

async fn an_upload_that_lies_still_is_given_up_after_its_lifetime() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = world.upload_start(&name, world.account, Algorithm::Sha256);
        let id = id.await.expect("a session").id;
        let part = world.upload_append(&name, id, None, body(&whole[..100]));
        part.await.expect("a part");
        ids.push(id);
    }
    let [still, moving] = ids[..] else {
        panic!("two sessions")
    };
    world.advance(UPLOADS / 2);
    let part = world.upload_append(&name, moving, None, body(&whole[100..200]));
    part.await.expect("a part");
    world.advance((UPLOADS / 2).saturating_sub(Duration::from_secs(1)));
    assert_eq!(world.collect().await.uploads, 0);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.collect().await.uploads, 1);
    let status = world.upload_status(&name, still).await;
    assert!(matches!(status, Err(Error::UploadUnknown)), "{status:?}");
    assert_eq!(world.files("staging").len(), 1);
    let wanted = digest(&whole);
    let last = world.upload_finish(&name, moving, &wanted, None, body(&whole[200..]));
    last.await.expect("it moved, so it goes on");
    world.advance(UPLOADS);
    assert!(!world.holds(&name, &digest(&whole[..100])).await);
    world.drains().await;
}

/// Leaves bytes at a location that no row names, as a crash between the move
/// and the commit does.
async fn orphan(world: &World, seed: u8) {
    let (name, whole) = (repository(NAME), content(seed, 300));
    world
        .store
        .fail(Operation::Promote, Calls::All, Fault::Io, Moment::After);
    let pushed = world
        .blob_push(&name, world.account, &digest(&whole), body(&whole))
        .await;
    assert!(matches!(pushed, Err(Error::Blobs(_))), "{pushed:?}");
    world.store.heal();
}

async fn orphans_older_than_any_upload_go_and_younger_stay() {
    let world = World::new().await;
    orphan(&world, 1).await;
    assert_eq!(world.files("blobs").len(), 1);
    // Files have the time of the machine, which runs on while this test runs.
    world.advance(UPLOADS.saturating_sub(Duration::from_mins(5)));
    let report = world.collect_all().await;
    assert_eq!((report.orphans, report.deleted), (0, 0));
    assert_eq!(world.files("blobs").len(), 1, "its upload may still commit");
    world.advance(Duration::from_mins(10));
    let found = world.collect().await;
    assert_eq!(found.orphans, 1);
    world.advance(TRASH);
    let freed = world.collect().await;
    assert_eq!(
        (freed.orphans, freed.deleted, freed.freed_bytes),
        (0, 1, 300)
    );
    assert!(world.files("blobs").is_empty());
}

async fn staged_bytes_without_a_session_go_when_they_are_old() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    // Neither the answer nor the clean-up of this push succeeds.
    for operation in [Operation::Finish, Operation::Discard] {
        world
            .store
            .fail(operation, Calls::All, Fault::Io, Moment::Before);
    }
    let pushed = world
        .blob_push(&name, world.account, &digest(&whole), body(&whole))
        .await;
    assert!(matches!(pushed, Err(Error::Blobs(_))), "{pushed:?}");
    world.store.heal();
    // What a kill leaves in the middle of a request.
    let killed = landfall_ids::UploadId::new_at(0).to_string();
    std::fs::write(world.folder().join("store/staging").join(killed), b"abc").expect("a file");
    let session = world.upload_start(&name, world.account, Algorithm::Sha256);
    let session = session.await.expect("a session").id;
    let part = world.upload_append(&name, session, None, body(&whole));
    part.await.expect("a part");

    world.advance(UPLOADS.saturating_sub(Duration::from_mins(5)));
    assert_eq!(world.collect().await.orphans, 0);
    let part = world.upload_append(&name, session, None, body(&whole));
    part.await.expect("the session is used");
    world.advance(Duration::from_mins(10));
    assert!(world.collect().await.orphans >= 1);
    let staged = world.files("staging");
    assert_eq!(staged.len(), 1, "{staged:?}");
    let status = world.upload_status(&name, session).await;
    assert_eq!(status.expect("it goes on").received, 600);
}

async fn the_bytes_of_rows_are_never_orphans() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let wanted = world.push(&name, &whole).await;
    world.push(&repository("acme/b"), &whole).await;
    for _ in 0..5 {
        world.advance(UPLOADS / 2);
        // Renewed just in time, for longer than a file may lie without a row.
        world.push(&name, &whole).await;
        assert_eq!(world.collect().await.orphans, 0);
        world.advance(PROMISE);
        assert_eq!(world.collect().await.orphans, 0);
        assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
    }
    world.files_are_those_of_the_rows().await;
}

async fn bytes_that_could_not_be_deleted_stay_in_the_trash() {
    use landfall_registry::{GarbageOptions, GarbageProgress};
    let world = World::new().await;
    let name = repository(NAME);
    for seed in 0..3 {
        world.push(&name, &content(seed, 100)).await;
    }
    let call = world.store.calls(Operation::Delete) + 2;
    world.store.fail(
        Operation::Delete,
        Calls::Nth(call),
        Fault::Io,
        Moment::Before,
    );
    let options = GarbageOptions {
        skip_orphans: false,
        dry_run: false,
        grace: Some(Duration::ZERO),
    };
    let progress = GarbageProgress::default();
    let run = world.collect_garbage(options, &progress).await;
    assert!(matches!(run, Err(Error::Blobs(_))), "{run:?}");
    assert_eq!(progress.report().deleted, 2);
    assert_eq!(world.count("select count(*) from trash").await, 1);
    world.files_are_those_of_the_rows().await;
    world.store.heal();
    let report = world.collect_all().await;
    assert_eq!((report.deleted, report.orphans), (1, 0));
    assert!(world.files("blobs").is_empty());
}

async fn only_one_run_goes_on_at_a_time() {
    use landfall_registry::{GarbageOptions, GarbageProgress};
    let world = World::new().await;
    let (arrived, go) = (
        std::sync::Arc::new(tokio::sync::Notify::new()),
        std::sync::Arc::new(tokio::sync::Notify::new()),
    );
    let hook = (arrived.clone(), go.clone());
    world.store.stall(Operation::List, Calls::All, move |_| {
        let (arrived, go) = hook.clone();
        Box::pin(async move {
            arrived.notify_one();
            go.notified().await;
        })
    });
    let progress = std::sync::Arc::new(GarbageProgress::default());
    let running = tokio::spawn({
        let (registry, progress) = (world.registry(), progress.clone());
        async move {
            registry
                .collect_garbage(GarbageOptions::default(), &progress)
                .await
        }
    });
    arrived.notified().await;
    assert_eq!(progress.phase(), "orphans");
    for dry_run in [false, true] {
        let options = GarbageOptions {
            dry_run,
            ..GarbageOptions::default()
        };
        let second = world
            .collect_garbage(options, &GarbageProgress::default())
            .await;
        assert!(matches!(second, Err(Error::RunGoingOn)), "{second:?}");
    }
    go.notify_one();
    running.await.expect("no panic").expect("the first run");
    world.store.heal();
    world.collect().await;
}

async fn a_run_that_skips_orphans_leaves_them_to_another() {
    use landfall_registry::{GarbageOptions, GarbageProgress};
    let world = World::new().await;
    orphan(&world, 1).await;
    world.advance(UPLOADS * 2);
    let lists = world.store.calls(Operation::List);
    let options = GarbageOptions {
        skip_orphans: true,
        ..GarbageOptions::default()
    };
    let progress = GarbageProgress::default();
    let run = world.collect_garbage(options, &progress).await;
    assert_eq!(run.expect("a run").orphans, 0);
    assert_eq!(world.store.calls(Operation::List), lists, "it walked");
    assert_eq!(world.collect().await.orphans, 1);
}
