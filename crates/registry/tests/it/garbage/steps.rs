//! A run may be cut off between any two of its steps, and repeated.

use std::{future::poll_fn, pin::pin, task::Poll};

use landfall_blobs::{Calls, Fault, Moment, Operation};
use landfall_oci::Algorithm;
use landfall_registry::{Error, GarbageOptions, GarbageProgress, Settings};

use crate::{
    documents::{image, index, written},
    world::{LONG, SETTINGS, TRASH, UNDO, UPLOADS, World, body, content, digest, repository},
};

on_both!(
    a_run_that_is_cut_off_anywhere_is_completed_by_the_next,
    a_run_that_fails_at_the_store_is_completed_by_the_next,
    a_run_tells_how_far_it_is,
);

/// Runs `work`, and drops it after it was woken `wakes` times. Whether it came
/// to its end.
async fn cut_off(work: impl Future, wakes: usize) -> bool {
    let mut work = pin!(work);
    let mut left = wakes;
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if left == 0 => Poll::Ready(false),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// A world where every phase of a run has something to do.
pub(super) async fn prepare() -> World {
    let world = World::with(Settings {
        untagged_after: Some(UNDO),
        ..SETTINGS
    })
    .await;
    let (name, gone) = (repository("acme/web"), repository("acme/gone"));
    let blobs: Vec<_> = (0..6).map(|seed| content(seed, 100)).collect();
    for blob in &blobs {
        world.push(&name, blob).await;
        world.push(&gone, blob).await;
    }
    let kept = written(&image(&blobs[0], &[&blobs[1]]));
    world.put(&name, &["v1"], &kept).await.expect("pushed");
    let deleted = written(&image(&blobs[2], &[&blobs[1]]));
    world.put(&name, &["v2"], &deleted).await.expect("pushed");
    let untagged = written(&image(&blobs[3], &[]));
    world.put(&name, &[], &untagged).await.expect("pushed");
    let all = written(&index(&[&kept, &untagged]));
    for document in [&kept, &untagged, &all] {
        world.put(&gone, &["all"], document).await.expect("pushed");
    }
    let id = world.upload_start(&name, world.account, Algorithm::Sha256);
    let id = id.await.expect("a session").id;
    let part = world.upload_append(&name, id, None, body(&blobs[4]));
    part.await.expect("a part");
    let orphan = content(9, 100);
    world
        .store
        .fail(Operation::Promote, Calls::All, Fault::Io, Moment::After);
    let broken = world
        .blob_push(&name, world.account, &digest(&orphan), body(&orphan))
        .await;
    assert!(broken.is_err());
    world.store.heal();
    world
        .manifest_delete(&name, &digest(&deleted))
        .await
        .expect("deleted");
    world.repository_delete(&gone, true).await.expect("deleted");
    world.advance(UPLOADS + UNDO);
    world
}

/// What is left when all runs are done.
async fn settled(world: &World) {
    // Hidden, purged, collected, deleted.
    for _ in 0..3 {
        world.advance(UNDO + LONG + TRASH);
        world.collect().await;
    }
    world.tables_agree().await;
    let name = repository("acme/web");
    for seed in 0..6 {
        let blob = content(seed, 100);
        let there = world.holds(&name, &digest(&blob)).await;
        assert_eq!(there, seed < 2, "blob {seed}");
        if there {
            assert_eq!(
                world.read(&name, &digest(&blob)).await.expect("bytes"),
                blob
            );
        }
    }
    world.files_are_those_of_the_rows().await;
    assert_eq!(world.files("blobs").len(), 2);
    assert!(world.files("staging").is_empty());
    world.is_sound().await;
    world.drains().await;
}

async fn a_run_that_is_cut_off_anywhere_is_completed_by_the_next() {
    let mut cuts = 0;
    loop {
        let world = prepare().await;
        let progress = GarbageProgress::default();
        let run = world.collect_garbage(GarbageOptions::default(), &progress);
        let ended = cut_off(run, cuts).await;
        // What was on its way to the writer is done by the time of this.
        world.tables_agree().await;
        let world = world.restart().await;
        world.tables_agree().await;
        settled(&world).await;
        if ended {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 10, "a run has more steps than {cuts}");
}

async fn a_run_that_fails_at_the_store_is_completed_by_the_next() {
    let calls = [
        Operation::Discard,
        Operation::Delete,
        Operation::List,
        Operation::ListStaged,
    ];
    for operation in calls {
        for moment in [Moment::Before, Moment::After] {
            for nth in 1..=3 {
                let world = prepare().await;
                // Enough time for every phase, the sweep too.
                world.collect().await;
                world.advance(UNDO + LONG);
                let call = world.store.calls(operation) + nth;
                world
                    .store
                    .fail(operation, Calls::Nth(call), Fault::Io, moment);
                let progress = GarbageProgress::default();
                let run = world.collect_garbage(GarbageOptions::default(), &progress);
                let failed = run.await;
                if let Err(error) = failed {
                    assert!(matches!(error, Error::Blobs(_)), "{error}");
                }
                world.store.heal();
                world.tables_agree().await;
                settled(&world).await;
            }
        }
    }
}

async fn a_run_tells_how_far_it_is() {
    let world = prepare().await;
    let progress = GarbageProgress::default();
    assert_eq!(progress.phase(), "starting");
    let run = world.collect_garbage(GarbageOptions::default(), &progress);
    let report = run.await.expect("the run");
    assert!(progress.candidates() > 0);
    let told = progress.report();
    assert_eq!(
        (told.uploads, told.blobs, told.bytes, told.orphans),
        (report.uploads, report.blobs, report.bytes, report.orphans)
    );
    assert_eq!((report.uploads, report.orphans), (1, 1));
}
