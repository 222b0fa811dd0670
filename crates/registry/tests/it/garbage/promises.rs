//! What was promised stays for as long as it was promised, and not for ever.

use std::{sync::Arc, time::Duration};

use landfall_blobs::{Calls, Operation};
use landfall_registry::{Error, GarbageOptions};
use tokio::sync::Notify;

use crate::{
    documents::{image, written},
    world::{LONG, PROMISE, TRASH, UNDO, World, content, digest, repository},
};

on_both!(
    a_pushed_blob_is_kept_for_its_promise_and_then_collected,
    asking_for_a_blob_renews_its_promise,
    a_promise_is_written_down_at_most_twice_in_its_length,
    a_reference_keeps_a_blob_for_ever,
    a_deleted_manifest_frees_its_blobs_after_the_undo_window,
    a_blob_that_was_asked_for_in_the_undo_window_outlives_it,
    a_promise_in_a_short_undo_window_does_not_leak,
    without_grace_everything_that_is_not_needed_goes_at_once,
    a_grace_shorter_than_the_promise_is_granted_after_the_last_answer,
    a_grace_longer_than_the_promise_changes_nothing,
    bytes_lie_in_the_trash_for_its_delay,
    a_grace_is_granted_to_the_trash_as_well,
    a_blob_that_is_pushed_again_while_its_bytes_wait_has_new_bytes,
    a_read_that_meets_a_collection_gets_the_bytes_of_the_next_push,
);

on_s3!(
    a_pushed_blob_is_kept_for_its_promise_and_then_collected,
    asking_for_a_blob_renews_its_promise,
    a_promise_is_written_down_at_most_twice_in_its_length,
    a_reference_keeps_a_blob_for_ever,
    a_deleted_manifest_frees_its_blobs_after_the_undo_window,
    a_blob_that_was_asked_for_in_the_undo_window_outlives_it,
    a_promise_in_a_short_undo_window_does_not_leak,
    without_grace_everything_that_is_not_needed_goes_at_once,
    a_grace_shorter_than_the_promise_is_granted_after_the_last_answer,
    a_grace_longer_than_the_promise_changes_nothing,
    bytes_lie_in_the_trash_for_its_delay,
    a_grace_is_granted_to_the_trash_as_well,
    a_blob_that_is_pushed_again_while_its_bytes_wait_has_new_bytes,
    a_read_that_meets_a_collection_gets_the_bytes_of_the_next_push,
);

const NAME: &str = "acme/web";
const MOMENT: Duration = Duration::from_micros(1);

async fn a_pushed_blob_is_kept_for_its_promise_and_then_collected() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let wanted = world.push(&name, &whole).await;
    world.advance(PROMISE);
    let report = world.collect().await;
    assert_eq!((report.blobs, report.bytes), (0, 0));
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
    world.advance(LONG.saturating_sub(PROMISE));
    let report = world.collect().await;
    assert_eq!((report.blobs, report.bytes), (1, 300));
    assert!(!world.holds(&name, &wanted).await);
    assert_eq!((report.waiting, report.waiting_bytes), (1, 300));
    world.advance(TRASH);
    let report = world.collect().await;
    assert_eq!((report.deleted, report.freed_bytes), (1, 300));
    assert!(world.files("blobs").is_empty());
}

async fn asking_for_a_blob_renews_its_promise() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let wanted = world.push(&name, &whole).await;
    // Asked for at any distance, each answer holds for a whole promise.
    for minutes in [10, 29, 30, 31, 45, 59, 60] {
        world.advance(Duration::from_mins(minutes));
        world.collect().await;
        let blob = world.blob_promise(&name, &wanted).await;
        assert_eq!(blob.expect("promised").size, 300);
        world.advance_almost(PROMISE);
        world.collect().await;
        assert!(world.holds(&name, &wanted).await, "after {minutes} minutes");
        world.blob_promise(&name, &wanted).await.expect("promised");
    }
    world.advance(LONG);
    world.collect().await;
    let blob = world.blob_promise(&name, &wanted).await;
    assert!(matches!(blob, Err(Error::BlobUnknown(digest)) if digest == wanted));
    world.drains().await;
}

async fn a_promise_is_written_down_at_most_twice_in_its_length() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let wanted = world.push(&name, &whole).await;
    for _ in 0..60 {
        world.blob_promise(&name, &wanted).await.expect("promised");
        world.advance(PROMISE / 60);
    }
    let candidates = world.count("select count(*) from candidate").await;
    assert!(candidates <= 3, "{candidates} rows for an hour of asking");
}

async fn a_reference_keeps_a_blob_for_ever() {
    let world = World::new().await;
    let (name, config, layer) = (repository(NAME), content(1, 10), content(2, 20));
    world.push(&name, &config).await;
    world.push(&name, &layer).await;
    let document = written(&image(&config, &[&layer]));
    world.put(&name, &["v1"], &document).await.expect("pushed");
    for _ in 0..3 {
        world.advance(Duration::from_hours(24 * 365));
        world.collect_all().await;
    }
    for blob in [&config, &layer] {
        assert_eq!(
            world.read(&name, &digest(blob)).await.expect("bytes"),
            *blob
        );
    }
    let candidates = world.count("select count(*) from candidate").await;
    assert_eq!(candidates, 0, "the collector has no reason to look again");
}

async fn a_deleted_manifest_frees_its_blobs_after_the_undo_window() {
    let world = World::new().await;
    let (name, config) = (repository(NAME), content(1, 10));
    let blob = world.push(&name, &config).await;
    let document = written(&image(&config, &[]));
    world.put(&name, &["v1"], &document).await.expect("pushed");
    world.advance(Duration::from_hours(1000));
    world
        .manifest_delete(&name, &digest(&document))
        .await
        .expect("deleted");
    world.advance_almost(UNDO);
    assert_eq!(world.collect_all().await.manifests, 0);
    assert!(world.holds(&name, &blob).await);
    world.advance(MOMENT);
    let report = world.collect().await;
    assert_eq!((report.manifests, report.blobs), (1, 1));
    assert!(!world.holds(&name, &blob).await);
}

async fn a_blob_that_was_asked_for_in_the_undo_window_outlives_it() {
    let world = World::new().await;
    let (name, config) = (repository(NAME), content(1, 10));
    let blob = world.push(&name, &config).await;
    let document = written(&image(&config, &[]));
    world.put(&name, &["v1"], &document).await.expect("pushed");
    world.advance(LONG);
    world
        .manifest_delete(&name, &digest(&document))
        .await
        .expect("deleted");
    world.advance_almost(UNDO);
    world.blob_promise(&name, &blob).await.expect("promised");
    world.advance(PROMISE);
    assert_eq!(world.collect().await.manifests, 1);
    assert!(world.holds(&name, &blob).await);
    world.advance(LONG);
    world.collect().await;
    assert!(!world.holds(&name, &blob).await);
    world.tables_agree().await;
}

async fn a_promise_in_a_short_undo_window_does_not_leak() {
    // A run with grace looks at the candidate of the promise while the hidden
    // manifest still refers to the blob; what the purge writes is due earlier
    // than the promise ends.
    let world = World::with(landfall_registry::Settings {
        undo_window: PROMISE / 2,
        ..crate::world::SETTINGS
    })
    .await;
    let (name, config) = (repository(NAME), content(1, 10));
    let blob = world.push(&name, &config).await;
    let document = written(&image(&config, &[]));
    world.put(&name, &["v1"], &document).await.expect("pushed");
    world.advance(LONG);
    world
        .manifest_delete(&name, &digest(&document))
        .await
        .expect("deleted");
    world.advance(PROMISE / 4);
    world.blob_promise(&name, &blob).await.expect("promised");
    world.collect_all().await;
    world.advance(PROMISE / 4);
    world.collect().await;
    world.tables_agree().await;
    world.advance(LONG);
    world.collect().await;
    assert!(!world.holds(&name, &blob).await);
    world.tables_agree().await;
}

async fn without_grace_everything_that_is_not_needed_goes_at_once() {
    let world = World::new().await;
    let (name, config, loose) = (repository(NAME), content(1, 10), content(2, 200));
    world.push(&name, &config).await;
    let document = written(&image(&config, &[]));
    world.put(&name, &["v1"], &document).await.expect("pushed");
    let loose = world.push(&name, &loose).await;
    let report = world.collect_all().await;
    assert_eq!(
        (report.blobs, report.deleted, report.freed_bytes),
        (1, 1, 200)
    );
    assert!(!world.holds(&name, &loose).await);
    assert!(world.holds(&name, &digest(&config)).await);
    assert_eq!(world.files("blobs").len(), 1);
    world.files_are_those_of_the_rows().await;
}

async fn a_grace_shorter_than_the_promise_is_granted_after_the_last_answer() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let wanted = world.push(&name, &whole).await;
    // The promise of the push covers this answer too: nothing is written.
    world.advance(PROMISE / 2);
    world.blob_promise(&name, &wanted).await.expect("promised");
    let options = GarbageOptions {
        grace: Some(PROMISE / 2),
        ..GarbageOptions::default()
    };
    world.advance_almost(PROMISE / 2);
    world.collect_with(options).await;
    assert!(world.holds(&name, &wanted).await);
    world.advance(MOMENT);
    world.collect_with(options).await;
    assert!(!world.holds(&name, &wanted).await);
}

async fn a_grace_longer_than_the_promise_changes_nothing() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let wanted = world.push(&name, &whole).await;
    world.advance(LONG);
    world
        .collect_with(GarbageOptions {
            grace: Some(PROMISE * 10),
            ..GarbageOptions::default()
        })
        .await;
    assert!(!world.holds(&name, &wanted).await);
}

async fn bytes_lie_in_the_trash_for_its_delay() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let wanted = world.push(&name, &whole).await;
    // A read that goes on while the blob is collected.
    let (_, source) = world.blob_open(&name, &wanted).await.expect("opened");
    let file = world.file_of(&wanted).await;
    world.advance(LONG);
    assert_eq!(world.collect().await.blobs, 1);
    world.advance_almost(TRASH);
    assert_eq!(world.collect().await.deleted, 0);
    assert!(world.has(&file));
    assert_eq!(source.size(), 300);
    world.advance(MOMENT);
    assert_eq!(world.collect().await.deleted, 1);
    assert!(!world.has(&file));
}

async fn a_grace_is_granted_to_the_trash_as_well() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let wanted = world.push(&name, &whole).await;
    let file = world.file_of(&wanted).await;
    let options = GarbageOptions {
        grace: Some(TRASH / 4),
        ..GarbageOptions::default()
    };
    world.advance(LONG);
    let report = world.collect_with(options).await;
    assert_eq!((report.blobs, report.deleted), (1, 0), "just collected");
    world.advance_almost(TRASH / 4);
    world.collect_with(options).await;
    assert!(world.has(&file));
    world.advance(MOMENT);
    world.collect_with(options).await;
    assert!(!world.has(&file));
}

async fn a_blob_that_is_pushed_again_while_its_bytes_wait_has_new_bytes() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let wanted = world.push(&name, &whole).await;
    let old = world.file_of(&wanted).await;
    world.advance(LONG);
    world.collect().await;
    world.push(&name, &whole).await;
    let new = world.file_of(&wanted).await;
    assert_ne!(old, new, "a location is used once");
    world.advance(TRASH);
    world.collect().await;
    assert!(!world.has(&old) && world.has(&new));
    assert_eq!(world.read(&name, &wanted).await.expect("bytes"), whole);
}

async fn a_read_that_meets_a_collection_gets_the_bytes_of_the_next_push() {
    let world = World::new().await;
    let (name, whole) = (repository(NAME), content(1, 300));
    let wanted = world.push(&name, &whole).await;
    // The reader knows the location, and has not opened it yet.
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let hook = (Arc::clone(&arrived), Arc::clone(&go));
    let first = Calls::Nth(world.store.calls(Operation::Open) + 1);
    world.store.stall(Operation::Open, first, move |_| {
        let (arrived, go) = (Arc::clone(&hook.0), Arc::clone(&hook.1));
        Box::pin(async move {
            arrived.notify_one();
            go.notified().await;
        })
    });
    let reader = tokio::spawn({
        let (registry, name) = (world.registry(), name.clone());
        async move { registry.blob_open(&name, &wanted).await }
    });
    arrived.notified().await;
    assert_eq!(world.collect_all().await.deleted, 1);
    world.push(&name, &whole).await;
    let new = world.blob_find(&name, &wanted).await.expect("pushed");
    go.notify_one();
    let (blob, source) = reader.await.expect("no panic").expect("the new bytes");
    assert_eq!((blob.location, source.size()), (new.location, 300));
    assert_eq!(world.store_totals().await.expect("totals").damaged, 0);
}
