//! Two uploads of one content, and several requests on one session.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use landfall_database::Kind;
use landfall_house::Rounds;
use landfall_ids::UploadId;
use landfall_oci::{Algorithm, ByteRange, RepositoryName};
use landfall_registry::{Error, Registry};
use tokio::sync::{Barrier, Notify};

use super::{Dice, collect_until, on_threads};
use crate::world::{self, World, body, content, digest, repository};

/// Uploads of one content at once.
const TWINS: usize = 4;

async fn upload(
    registry: Arc<Registry>,
    account: landfall_ids::AccountId,
    name: RepositoryName,
    whole: Bytes,
    start: Arc<Barrier>,
    mut dice: Dice,
) {
    let wanted = digest(&whole);
    if dice.roll(2) == 0 {
        start.wait().await;
        let push = registry.blob_push(&name, account, &wanted, body(&whole));
        push.await.expect("the blob");
    } else {
        let id = registry.upload_start(&name, account, Algorithm::Sha256);
        let id = id.await.expect("a session").id;
        let (first, rest) = whole.split_at(whole.len() / 2);
        let part = registry.upload_append(&name, id, None, body(first));
        part.await.expect("a part");
        start.wait().await;
        let last = registry.upload_finish(&name, id, &wanted, None, body(rest));
        last.await.expect("the blob");
    }
    let blob = registry.blob_promise(&name, &wanted).await;
    assert_eq!(blob.expect("just pushed").size, whole.len() as u64);
}

async fn twins(number: u32) {
    let world = World::new().await;
    let mut dice = Dice::new(number, 0);
    let names = ["acme/a", "acme/b"].map(repository);
    let whole = content(number as u8, 400);
    if dice.roll(3) == 0 {
        // Damaged bytes are replaced by one of them, and thrown away once.
        world.push(&names[0], &whole).await;
        let file = world.file_of(&digest(&whole)).await;
        std::fs::remove_file(file).expect("removed");
        let read = world.read(&names[0], &digest(&whole)).await;
        assert!(matches!(read, Err(Error::BlobUnknown(_))), "{read:?}");
    }
    let stop = Arc::new(Notify::new());
    let collector = tokio::spawn(collect_until(world.registry(), Arc::clone(&stop)));
    let start = Arc::new(Barrier::new(TWINS));
    let uploads = (1..=TWINS).map(|player| {
        tokio::spawn(upload(
            world.registry(),
            world.account,
            names[dice.roll(2)].clone(),
            whole.clone(),
            Arc::clone(&start),
            Dice::new(number, player),
        ))
    });
    let uploads: Vec<_> = uploads.collect();
    for uploaded in join_all(uploads).await {
        uploaded.expect("an upload ends well");
    }
    stop.notify_one();
    collector.await.expect("the collector ends well");
    world.tables_agree().await;
    world.rows_have_files().await;
    world.collect().await;
    world.files_are_those_of_the_rows().await;
    assert_eq!(world.files("blobs").len(), 1, "stored once");
    assert_eq!(world.count("select count(*) from blob").await, 1);
    for name in &names {
        if world.holds(name, &digest(&whole)).await {
            let read = world.read(name, &digest(&whole)).await;
            assert_eq!(read.expect("bytes"), whole);
        }
    }
    world.drains().await;
}

#[test]
fn uploads_of_one_content_all_succeed_and_are_stored_once_on_sqlite() {
    for number in Rounds::of("registry-twins") {
        on_threads(number, twins(number));
    }
}

#[test]
fn uploads_of_one_content_all_succeed_and_are_stored_once_on_postgres() {
    world::on(Kind::Postgres);
    for number in Rounds::of("registry-twins-postgres") {
        on_threads(number, twins(number));
    }
}

/// What one of several requests on a session does.
async fn contend(
    registry: Arc<Registry>,
    name: RepositoryName,
    id: UploadId,
    seed: u8,
    start: Arc<Barrier>,
    closes: bool,
) -> Result<(), Error> {
    let bytes = content(seed, 300);
    start.wait().await;
    let range = Some(ByteRange::new(0, 299).expect("a range"));
    if closes {
        let wanted = digest(&bytes);
        registry
            .upload_finish(&name, id, &wanted, range, body(&bytes))
            .await
    } else {
        let appended = registry.upload_append(&name, id, range, body(&bytes));
        appended
            .await
            .map(|status| assert_eq!(status.received, 300))
    }
}

async fn session(number: u32) {
    let world = World::new().await;
    let mut dice = Dice::new(number, 0);
    let name = repository("acme/a");
    let id = world.upload_start(&name, world.account, Algorithm::Sha256);
    let id = id.await.expect("a session").id;
    let start = Arc::new(Barrier::new(TWINS));
    let closing: Vec<bool> = (0..TWINS).map(|_| dice.roll(2) == 0).collect();
    let requests = (0u8..).zip(&closing).map(|(seed, closes)| {
        tokio::spawn(contend(
            world.registry(),
            name.clone(),
            id,
            seed,
            Arc::clone(&start),
            *closes,
        ))
    });
    let requests: Vec<_> = requests.collect();
    let mut won = Vec::new();
    for (seed, outcome) in join_all(requests).await.into_iter().enumerate() {
        match outcome.expect("no panic") {
            Ok(()) => won.push(seed),
            Err(Error::ChunkOutOfOrder { .. } | Error::UploadUnknown) => {}
            Err(error) => panic!("request {seed} was answered with {error}"),
        }
    }
    assert!(won.len() <= 1, "{won:?} have all started at the first byte");
    for (seed, closes) in closing.iter().enumerate() {
        let whole = content(seed as u8, 300);
        let there = world.holds(&name, &digest(&whole)).await;
        assert_eq!(there, *closes && won == [seed], "request {seed}");
        if there {
            let read = world.read(&name, &digest(&whole)).await;
            assert_eq!(read.expect("bytes"), whole);
        }
    }
    match world.upload_status(&name, id).await {
        Ok(status) => go_on(&world, &name, status, &won).await,
        Err(Error::UploadUnknown) => {}
        Err(error) => panic!("{error}"),
    }
    world.tables_agree().await;
    world.drains().await;
}

/// A session that goes on has the bytes of the request that won, or none.
async fn go_on(
    world: &World,
    name: &RepositoryName,
    status: landfall_registry::UploadStatus,
    won: &[usize],
) {
    let mut whole = match won {
        [] => Vec::new(),
        [seed, ..] => content(*seed as u8, 300).to_vec(),
    };
    assert_eq!(status.received, whole.len() as u64);
    let rest = content(200, 50);
    whole.extend_from_slice(&rest);
    let wanted = digest(&whole);
    let last = world.upload_finish(name, status.id, &wanted, None, body(&rest));
    match last.await {
        Ok(()) => assert_eq!(world.read(name, &wanted).await.expect("bytes"), whole),
        // A request that lost has moved the bytes before it found out.
        Err(Error::UploadUnknown) => {}
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn of_many_requests_on_a_session_one_wins_at_most_on_sqlite() {
    for number in Rounds::of("registry-session") {
        on_threads(number, session(number));
    }
}

#[test]
fn of_many_requests_on_a_session_one_wins_at_most_on_postgres() {
    world::on(Kind::Postgres);
    for number in Rounds::of("registry-session-postgres") {
        on_threads(number, session(number));
    }
}
