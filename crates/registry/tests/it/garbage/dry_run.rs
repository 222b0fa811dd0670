//! A dry run changes nothing, and tells what the run after it does.

use std::time::Duration;

use landfall_database::Kind;
use landfall_house::Rounds;
use landfall_registry::GarbageOptions;
use proptest::collection::vec;

use crate::{
    documents::{image, written},
    model::{
        alone,
        operations::{Operation, grace, operation, undo},
        property,
        run::Run,
    },
    world::{LONG, TRASH, World, content, reference, repository},
};

on_both!(
    a_dry_run_foresees_every_phase,
    a_dry_run_foresees_that_a_deleted_blob_needs_no_promise,
    a_dry_run_tells_of_what_goes_and_of_what_waits,
);

/// Operations of a history, at the most.
const LONGEST: usize = 40;

async fn told_is_done(history: Vec<Operation>, undo: Duration, grace: Option<Duration>) {
    let mut run = Run::new(undo).await;
    for operation in history {
        run.apply(&operation).await;
    }
    let options = GarbageOptions {
        skip_orphans: false,
        dry_run: true,
        grace,
    };
    let before = contents(run.world()).await;
    let told = run.world().collect_with(options).await;
    assert_eq!(
        before,
        contents(run.world()).await,
        "a dry run changes nothing"
    );
    let done = run.collect(grace).await;
    assert_eq!(told, done, "told on the left, done on the right");
}

/// Every row that a run might change, and every file.
async fn contents(world: &World) -> (Vec<String>, Vec<std::path::PathBuf>) {
    let hex = match world.database.kind() {
        Kind::Sqlite => "hex(id)",
        Kind::Postgres => "encode(id, 'hex')",
    };
    let rows = world
        .texts(&format!(
            "select {hex} from candidate union all select location from trash
             union all select digest || state from blob
             union all select digest || keep_until from repository_blob
             union all select digest || coalesce(deleted, 0) from manifest
             union all select {hex} from upload union all select name from repository"
        ))
        .await;
    let files = ["blobs", "staging", "quarantine"].map(|part| world.files(part));
    (rows, files.concat())
}

#[test]
fn a_dry_run_tells_exactly_what_the_run_does_on_sqlite() {
    compare(Rounds::of("registry-dry-run"));
}

#[test]
fn a_dry_run_tells_exactly_what_the_run_does_on_postgres() {
    crate::world::on(Kind::Postgres);
    compare(Rounds::of("registry-dry-run-postgres"));
}

fn compare(rounds: Rounds) {
    let histories = (vec(operation(), 1..LONGEST), undo(), grace());
    property(rounds, file!(), &histories, |(history, undo, grace)| {
        alone(move || told_is_done(history, undo, grace));
    });
}

async fn a_dry_run_foresees_every_phase() {
    for grace in [None, Some(TRASH / 2), Some(Duration::ZERO)] {
        let world = super::steps::prepare().await;
        for _ in 0..5 {
            let options = GarbageOptions {
                skip_orphans: false,
                dry_run: true,
                grace,
            };
            let told = world.collect_with(options).await;
            let done = world
                .collect_with(GarbageOptions {
                    dry_run: false,
                    ..options
                })
                .await;
            assert_eq!(told, done, "told on the left, done on the right");
            world.advance(crate::world::UNDO);
        }
    }
}

async fn a_dry_run_foresees_that_a_deleted_blob_needs_no_promise() {
    let world = World::new().await;
    let (name, config) = (repository("acme/web"), content(1, 300));
    let blob = world.push(&name, &config).await;
    let document = written(&image(&config, &[]));
    world.put(&name, &["v1"], &document).await.expect("pushed");
    let gone = world.image_delete(&name, &reference("v1"), true).await;
    assert_eq!(gone.expect("deleted").len(), 1);
    world.blob_delete(&name, &blob).await.expect("deleted");
    let dry = GarbageOptions {
        skip_orphans: false,
        dry_run: true,
        grace: None,
    };
    let told = world.collect_with(dry).await;
    assert_eq!((told.manifests, told.blobs, told.bytes), (1, 1, 300));
    assert_eq!(world.collect().await, told);
}

async fn a_dry_run_tells_of_what_goes_and_of_what_waits() {
    let world = World::new().await;
    let name = repository("acme/web");
    world.push(&name, &content(1, 300)).await;
    world.advance(LONG);
    let dry = GarbageOptions {
        skip_orphans: false,
        dry_run: true,
        grace: None,
    };
    let told = world.collect_with(dry).await;
    assert_eq!((told.blobs, told.bytes, told.deleted), (1, 300, 0));
    assert_eq!((told.waiting, told.waiting_bytes), (1, 300));
    assert_eq!(world.files("blobs").len(), 1);
    assert_eq!(world.collect().await, told);
    world.advance(TRASH);
    let told = world.collect_with(dry).await;
    assert_eq!((told.blobs, told.deleted, told.freed_bytes), (0, 1, 300));
    assert_eq!((told.waiting, told.waiting_bytes), (0, 0));
    assert_eq!(world.files("blobs").len(), 1);
    assert_eq!(world.collect().await, told);
    assert!(world.files("blobs").is_empty());
}
