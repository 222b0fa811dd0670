//! Everything at once, deletions of blobs and repositories too: no error that
//! a client could not explain, and nothing lost or left.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use landfall_database::Kind;
use landfall_house::Rounds;
use landfall_ids::AccountId;
use landfall_oci::{Reference, RepositoryName};
use landfall_registry::{Error, PushTarget, Registry, Result};
use tokio::sync::{Notify, RwLock};

use super::{Dice, Time, collect_until, on_threads};
use crate::{
    documents::{image, index, written},
    world::{self, PROMISE, World, body, content, digest, repository, tag},
};

/// Requests of each client in a round.
const REQUESTS: usize = 40;
const CLIENTS: usize = 4;

struct Client {
    registry: Arc<Registry>,
    time: Arc<Time>,
    account: AccountId,
    dice: Dice,
}

fn blob(number: usize) -> Bytes {
    content(number as u8, 120)
}

/// Images of one and of two blobs, and an index of both.
fn documents() -> [Bytes; 3] {
    let one = written(&image(&blob(0), &[]));
    let two = written(&image(&blob(0), &[&blob(1)]));
    let both = written(&index(&[&one, &two]));
    [one, two, both]
}

impl Client {
    async fn run(mut self) {
        for _ in 0..REQUESTS {
            if self.dice.roll(8) == 0 {
                self.time.advance(PROMISE).await;
            }
            let time = Arc::clone(&self.time);
            match time.still(self.request()).await {
                Ok(())
                | Err(
                    Error::BlobUnknown(_)
                    | Error::BlobInUse(_)
                    | Error::ManifestUnknown(_)
                    | Error::ManifestBlobsUnknown(_)
                    | Error::RepositoryUnknown(_)
                    | Error::TagChanged(_)
                    | Error::NothingToUndo(_)
                    | Error::ImageDeleted(_)
                    | Error::NotDeleted(_)
                    | Error::UndoEnded(_)
                    | Error::Purged(_)
                    | Error::UploadUnknown,
                ) => {}
                Err(error) => panic!("a client can't explain: {error}: {error:?}"),
            }
        }
    }

    async fn request(&mut self) -> Result<()> {
        let registry = &self.registry;
        let name = repository(["acme/a", "acme/b"][self.dice.roll(2)]);
        let other = repository(["acme/a", "acme/b"][self.dice.roll(2)]);
        let bytes = blob(self.dice.roll(3));
        let wanted = digest(&bytes);
        let [one, two, both] = documents();
        let document = [one, two, both][self.dice.roll(3)].clone();
        let by = Reference::Digest(digest(&document));
        match self.dice.roll(17) {
            0..4 => {
                registry
                    .blob_push(&name, self.account, &wanted, body(&bytes))
                    .await
            }
            4 => {
                let id = registry
                    .upload_start(&name, self.account, wanted.algorithm())
                    .await?
                    .id;
                registry
                    .upload_append(&name, id, None, body(&bytes[..50]))
                    .await?;
                registry
                    .upload_finish(&name, id, &wanted, None, body(&bytes[50..]))
                    .await
            }
            5 => registry
                .blob_mount(&name, self.account, &wanted, &other)
                .await
                .map(drop),
            6 => registry.blob_promise(&name, &wanted).await.map(drop),
            7..10 => {
                let target = PushTarget {
                    digest: None,
                    tags: vec![tag("latest")],
                };
                registry
                    .manifest_put(&name, self.account, target, None, document)
                    .await
                    .map(drop)
            }
            10 => registry.blob_delete(&name, &wanted).await,
            11 => registry.manifest_delete(&name, &digest(&document)).await,
            12 => registry.image_delete(&name, &by, true).await.map(drop),
            13 => {
                let latest = tag("latest");
                let undone = registry.tag_undo(&name, &latest, None);
                undone.await.map(drop)
            }
            14 => {
                let document = digest(&document);
                let restored = registry.image_restore(&name, &document);
                restored.await.map(drop)
            }
            15 => {
                let latest = Reference::Tag(tag("latest"));
                let deleted = registry.image_delete(&name, &latest, false);
                deleted.await.map(drop)
            }
            _ => registry.repository_delete(&name, true).await,
        }
    }
}

async fn round(number: u32) {
    let world = World::new().await;
    let time = Arc::new(Time {
        clock: Arc::clone(&world.clock),
        requests: RwLock::new(()),
    });
    let stop = Arc::new(Notify::new());
    let collector = tokio::spawn(collect_until(world.registry(), Arc::clone(&stop)));
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|player| {
            let client = Client {
                registry: world.registry(),
                time: Arc::clone(&time),
                account: world.account,
                dice: Dice::new(number, player),
            };
            tokio::spawn(client.run())
        })
        .collect();
    for client in clients {
        client.await.expect("a client ends well");
    }
    stop.notify_one();
    collector.await.expect("the collector ends well");
    world.tables_agree().await;
    world.rows_have_files().await;
    for name in ["acme/a", "acme/b"].map(repository) {
        whole(&world, &name).await;
    }
    world.advance(Duration::from_hours(50));
    world.collect().await;
    for name in ["acme/a", "acme/b"].map(repository) {
        whole(&world, &name).await;
    }
    world.drains().await;
}

/// Checks that every image that is there has its blobs.
async fn whole(world: &World, name: &RepositoryName) {
    let [one, two, _] = documents();
    for (document, blobs) in [(one, 1), (two, 2)] {
        let by = Reference::Digest(digest(&document));
        match world.manifest_get(name, &by).await {
            Ok(_) => {
                for number in 0..blobs {
                    let read = world.read(name, &digest(&blob(number))).await;
                    assert_eq!(read.expect("an image needs it"), blob(number));
                }
            }
            Err(Error::ManifestUnknown(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn deletions_of_everything_lose_nothing_and_leave_nothing_on_sqlite() {
    for number in Rounds::of("registry-deleters") {
        on_threads(number, round(number));
    }
}

#[test]
fn deletions_of_everything_lose_nothing_and_leave_nothing_on_postgres() {
    world::on(Kind::Postgres);
    for number in Rounds::of("registry-deleters-postgres") {
        on_threads(number, round(number));
    }
}
