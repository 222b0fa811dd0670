//! The collector passes over what somebody holds, and comes back for it. Only
//! PostgreSQL has rows that are held while the collector runs.

use std::sync::mpsc;

use landfall_database::Kind;
use landfall_registry::Error;

use crate::world::{self, LONG, World, content, repository};

/// Runs the collector while a transaction, which comes to nothing, holds the
/// rows that `rows` selects; and once more after it.
async fn collected_around(rows: &'static str) -> (u64, u64) {
    world::on(Kind::Postgres);
    let world = World::new().await;
    world.push(&repository("acme/web"), &content(1, 100)).await;
    world.advance(LONG);
    let (is_held, held) = tokio::sync::oneshot::channel();
    let (let_go, wait) = mpsc::channel::<()>();
    let mut is_held = Some(is_held);
    let holding = world.database.write(move |tx| {
        let found = tx.exists(&format!("{rows}{}", tx.for_key_share()), &[])?;
        assert!(found, "there is nothing to hold");
        if let Some(is_held) = is_held.take() {
            is_held.send(()).expect("somebody listens");
        }
        wait.recv().expect("somebody lets go");
        Err::<(), Error>(Error::UploadUnknown)
    });
    let collecting = async {
        held.await.expect("the rows are held");
        let first = world.collect().await.blobs;
        let_go.send(()).expect("somebody waits");
        first
    };
    let (held, first) = tokio::join!(holding, collecting);
    held.expect_err("it comes to nothing");
    let second = world.collect().await.blobs;
    world.tables_agree().await;
    world.drains().await;
    (first, second)
}

#[tokio::test]
async fn a_link_that_a_failed_push_held_is_not_forgotten_on_postgres() {
    let collected = collected_around("select 1 from repository_blob").await;
    assert_eq!(collected, (0, 1));
}

#[tokio::test]
async fn a_blob_that_a_failed_push_held_is_not_forgotten_on_postgres() {
    let collected = collected_around("select 1 from blob").await;
    assert_eq!(collected, (0, 1));
}

#[tokio::test]
async fn a_candidate_that_another_collector_holds_is_left_to_it_on_postgres() {
    let sql = "select 1 from candidate";
    assert_eq!(collected_around(sql).await, (0, 1));
}
