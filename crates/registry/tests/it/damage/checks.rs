//! `fsck`: finds each kind of problem, and repairs without deleting what
//! something refers to.

use std::{fs, time::Duration};

use landfall_blobs::{Calls, Fault, Moment, Operation};
use landfall_registry::{Error, FsckOptions, FsckProgress, FsckReport, Problem};

use crate::{
    consistency::TABLES,
    documents::{image, index, written},
    world::{UPLOADS, World, body, content, digest, reference, repository},
};

on_both!(
    a_whole_store_has_no_problems,
    missing_cut_and_flipped_bytes_are_told_apart,
    a_manifest_that_is_not_what_its_digest_says_is_found,
    a_manifest_that_nothing_keeps_the_blobs_of_is_found,
    an_index_holds_an_image_again_that_was_deleted_and_comes_back,
    a_repository_that_drains_is_no_problem,
    orphans_are_found_when_they_are_old_and_go_with_a_repair,
    a_blob_that_the_disk_refuses_to_read_does_not_end_the_check,
    a_store_that_is_away_ends_the_check_and_no_blob_is_called_corrupt,
    a_blob_that_is_collected_while_it_is_checked_is_no_problem,
);

on_s3!(
    a_whole_store_has_no_problems,
    a_manifest_that_is_not_what_its_digest_says_is_found,
    a_blob_that_is_collected_while_it_is_checked_is_no_problem,
);

const NAME: &str = "acme/web";
const LOOK: FsckOptions = FsckOptions {
    repair: false,
    quick: false,
};
const QUICK: FsckOptions = FsckOptions {
    repair: false,
    quick: true,
};
const REPAIR: FsckOptions = FsckOptions {
    repair: true,
    quick: false,
};

/// A repository with an image of three blobs.
async fn prepare() -> (World, [bytes::Bytes; 3]) {
    let (world, name) = (World::new().await, repository(NAME));
    let blobs = [content(1, 10), content(2, 200), content(3, 3000)];
    for blob in &blobs {
        world.push(&name, blob).await;
    }
    let document = written(&image(&blobs[0], &[&blobs[1], &blobs[2]]));
    world.put(&name, &["v1"], &document).await.expect("pushed");
    (world, blobs)
}

fn kinds(report: &FsckReport) -> Vec<&'static str> {
    let mut kinds: Vec<_> = report.problems.iter().map(Problem::kind).collect();
    kinds.sort_unstable();
    kinds
}

async fn rows(world: &World) -> Vec<u64> {
    let mut rows = Vec::new();
    for table in TABLES {
        rows.push(world.count(&format!("select count(*) from {table}")).await);
    }
    rows
}

async fn a_whole_store_has_no_problems() {
    let (world, _) = prepare().await;
    let progress = FsckProgress::default();
    let report = world.fsck(LOOK, &progress).await.expect("a report");
    assert_eq!((report.blobs, report.bytes, report.manifests), (3, 3210, 1));
    assert_eq!((report.problem_count, report.repaired), (0, 0));
    assert_eq!(progress.blobs(), (3, 3));
    assert_eq!(progress.bytes(), (3210, 3210));
}

async fn missing_cut_and_flipped_bytes_are_told_apart() {
    let (world, blobs) = prepare().await;
    let files = [
        world.file_of(&digest(&blobs[0])).await,
        world.file_of(&digest(&blobs[1])).await,
        world.file_of(&digest(&blobs[2])).await,
    ];
    fs::remove_file(&files[0]).expect("removed");
    fs::write(&files[1], &blobs[1][..100]).expect("cut");
    let mut flipped = blobs[2].to_vec();
    flipped[2999] ^= 1;
    fs::write(&files[2], &flipped).expect("flipped");

    let quick = world.check(QUICK).await;
    assert_eq!(
        kinds(&quick),
        ["blob-corrupt", "blob-missing"],
        "it reads no bytes"
    );
    let before = rows(&world).await;
    let report = world.check(LOOK).await;
    assert_eq!(
        kinds(&report),
        ["blob-corrupt", "blob-corrupt", "blob-missing"]
    );
    assert_eq!((report.problem_count, report.repaired), (3, 0));
    let sentences: Vec<_> = report.problems.iter().map(Problem::sentence).collect();
    for expected in [
        format!("blob {}: the bytes are gone", digest(&blobs[0])),
        format!("blob {}: 100 bytes instead of 200", digest(&blobs[1])),
        format!(
            "blob {}: the bytes have the digest {}",
            digest(&blobs[2]),
            digest(&flipped)
        ),
    ] {
        assert!(sentences.contains(&expected), "{expected}: {sentences:?}");
    }
    assert_eq!(
        world.store_totals().await.expect("totals").damaged,
        0,
        "without repair nothing is changed"
    );

    let report = world.check(REPAIR).await;
    assert_eq!((report.problem_count, report.repaired), (3, 3));
    assert_eq!(rows(&world).await, before, "no row is deleted");
    assert_eq!(world.files("quarantine").len(), 2);
    assert!(world.files("blobs").is_empty());
    let report = world.check(REPAIR).await;
    assert_eq!(report.problems, [Problem::BlobDamaged { count: 3 }]);
    assert_eq!(report.repaired, 0);
    for blob in &blobs {
        world.push(&repository("acme/other"), blob).await;
    }
    world.is_sound().await;
    for blob in &blobs {
        let read = world.read(&repository(NAME), &digest(blob)).await;
        assert_eq!(read.expect("healed"), *blob);
    }
}

async fn a_manifest_that_is_not_what_its_digest_says_is_found() {
    let (world, _) = prepare().await;
    world
        .change("update manifest set content = substr(content, 2)")
        .await;
    let report = world.check(LOOK).await;
    assert_eq!(kinds(&report), ["manifest-corrupt"]);
    let sentence = report.problems[0].sentence();
    assert!(sentence.contains("acme/web@sha256:"), "{sentence}");
    assert!(
        sentence.contains("the content has the digest"),
        "{sentence}"
    );
}

async fn a_manifest_that_nothing_keeps_the_blobs_of_is_found() {
    let (world, blobs) = prepare().await;
    let lost = digest(&blobs[2]);
    world
        .change(&format!(
            "delete from manifest_blob where digest = '{lost}'"
        ))
        .await;
    let report = world.check(LOOK).await;
    assert_eq!(kinds(&report), ["manifest-corrupt"]);
    let sentence = report.problems[0].sentence();
    assert!(
        sentence.contains(&format!("nothing keeps its blob {lost}")),
        "{sentence}"
    );
}

async fn an_index_holds_an_image_again_that_was_deleted_and_comes_back() {
    let (world, blobs) = prepare().await;
    let name = repository(NAME);
    let child = written(&image(&blobs[0], &[]));
    world.put(&name, &[], &child).await.expect("pushed");
    let parent = written(&index(&[&child]));
    world.put(&name, &["all"], &parent).await.expect("pushed");
    world.is_sound().await;
    let gone = world
        .image_delete(&name, &reference(&digest(&child)), true)
        .await;
    gone.expect("deleted");
    world.collect_all().await;
    // Somebody wanted that; it is no damage.
    world.is_sound().await;
    let gone = world.image_tree(&name, &reference(&digest(&parent))).await;
    assert!(gone.expect("the index is there").children.is_empty());
    world.push(&name, &blobs[0]).await;
    world.put(&name, &[], &child).await.expect("pushed again");
    world.is_sound().await;
    let held = world
        .image_delete(&name, &reference(&digest(&parent)), true)
        .await;
    assert_eq!(
        held.expect("deleted"),
        [digest(&parent), digest(&child)],
        "the index did not hold the image that came back"
    );
}

async fn a_repository_that_drains_is_no_problem() {
    let (world, blobs) = prepare().await;
    let name = repository(NAME);
    let child = written(&image(&blobs[0], &[]));
    world.put(&name, &[], &child).await.expect("pushed");
    let parent = written(&index(&[&child]));
    world.put(&name, &["all"], &parent).await.expect("pushed");
    world.repository_delete(&name, true).await.expect("deleted");
    // As between two steps of the collector.
    world
        .change(&format!(
            "delete from manifest_child; delete from manifest_blob where manifest in
               (select id from manifest where digest = '{0}');
             delete from manifest where digest = '{0}'",
            digest(&child)
        ))
        .await;
    world.is_sound().await;
}

async fn orphans_are_found_when_they_are_old_and_go_with_a_repair() {
    let (world, _) = prepare().await;
    let (name, orphan) = (repository(NAME), content(9, 77));
    world
        .store
        .fail(Operation::Promote, Calls::All, Fault::Io, Moment::After);
    let pushed = world
        .blob_push(&name, world.account, &digest(&orphan), body(&orphan))
        .await;
    assert!(pushed.is_err());
    world.store.heal();
    assert_eq!(world.check(LOOK).await.problems, [], "it is young");
    world.advance(UPLOADS + Duration::from_mins(10));
    let report = world.check(LOOK).await;
    let [Problem::Orphan { location, size: 77 }] = &report.problems[..] else {
        panic!("{report:?}")
    };
    assert!(world.file(location).exists());
    let repaired = world.check(REPAIR).await;
    assert_eq!((repaired.problem_count, repaired.repaired), (1, 1));
    assert_eq!(
        world.check(REPAIR).await.problems,
        [],
        "it waits in the trash"
    );
    world.collect().await;
    assert!(!world.file(location).exists());
}

async fn a_store_that_is_away_ends_the_check_and_no_blob_is_called_corrupt() {
    let (world, _) = prepare().await;
    for operation in [Operation::Open, Operation::Read] {
        world
            .store
            .fail(operation, Calls::All, Fault::Away, Moment::Before);
        let progress = landfall_registry::FsckProgress::default();
        let checked = world.registry().fsck(REPAIR, &progress).await;
        let Err(landfall_registry::Error::Blobs(landfall_blobs::Error::Away(_))) = checked else {
            panic!("{checked:?}")
        };
        world.store.heal();
    }
    assert_eq!(world.check(LOOK).await.problems, []);
}

async fn a_blob_that_the_disk_refuses_to_read_does_not_end_the_check() {
    let (world, blobs) = prepare().await;
    fs::remove_file(world.file_of(&digest(&blobs[0])).await).expect("removed");
    for operation in [Operation::Open, Operation::Read] {
        world
            .store
            .fail(operation, Calls::All, Fault::Io, Moment::Before);
        let report = world.check(REPAIR).await;
        assert_eq!(report.blobs, 3);
        assert!(report.problem_count >= 2, "{report:?}");
        let unreadable = report.problems.iter().filter(|problem| {
            matches!(problem, Problem::BlobCorrupt { reason, .. } if reason.contains("can't be read"))
        });
        assert!(unreadable.count() >= 2, "{report:?}");
        world.store.heal();
        assert_eq!(world.files("blobs").len(), 2, "it may be the cable");
        if operation == Operation::Read {
            assert_eq!(report.repaired, 1, "the one that is gone");
        }
    }
}

async fn a_blob_that_is_collected_while_it_is_checked_is_no_problem() {
    let (world, _) = prepare().await;
    let loose = content(7, 70);
    let name = repository(NAME);
    let wanted = world.push(&name, &loose).await;
    let (arrived, go) = (
        std::sync::Arc::new(tokio::sync::Notify::new()),
        std::sync::Arc::new(tokio::sync::Notify::new()),
    );
    let hook = (arrived.clone(), go.clone());
    let first = world.store.calls(Operation::Open) + 1;
    let stalled = Calls::Nth(first);
    world.store.stall(Operation::Open, stalled, move |_| {
        let (arrived, go) = hook.clone();
        Box::pin(async move {
            arrived.notify_one();
            go.notified().await;
        })
    });
    let check = tokio::spawn({
        let registry = world.registry();
        async move { registry.fsck(REPAIR, &FsckProgress::default()).await }
    });
    arrived.notified().await;
    let second = world.fsck(LOOK, &FsckProgress::default()).await;
    assert!(matches!(second, Err(Error::RunGoingOn)), "{second:?}");
    // Its page of rows was read before this.
    let report = world.collect_all().await;
    assert_eq!((report.blobs, report.deleted), (1, 1));
    assert!(!world.holds(&name, &wanted).await);
    go.notify_one();
    let report = check.await.expect("no panic").expect("a report");
    assert_eq!(report.problems, []);
}
