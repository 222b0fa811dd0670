//! Pushers against a collector that never rests, with deletions in between.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use landfall_database::Kind;
use landfall_house::Rounds;
use landfall_ids::AccountId;
use landfall_oci::{Digest, Reference, RepositoryName};
use landfall_registry::{Error, PushTarget, Registry};
use tokio::sync::{Notify, RwLock};

use super::{Dice, Time, collect_until, on_threads};
use crate::{
    documents::{image, written},
    world::{self, PROMISE, World, body, content, digest, repository},
};

/// Images that each pusher pushes in a round.
const IMAGES: usize = 12;

struct Pusher {
    registry: Arc<Registry>,
    time: Arc<Time>,
    account: AccountId,
    dice: Dice,
    number: usize,
    names: Vec<RepositoryName>,
    blobs: Vec<Bytes>,
    /// Pushes of manifests that relied on promises.
    relied: Arc<AtomicUsize>,
}

impl Pusher {
    async fn run(mut self) {
        for image in 0..IMAGES {
            self.push_image(image).await;
            if self.dice.roll(3) == 0 {
                let quarters = [1, 3, 5, 7, 13][self.dice.roll(5)];
                self.time.advance(PROMISE / 4 * quarters).await;
            }
        }
    }

    /// Makes sure that the repository has the blob, in one of the ways that
    /// clients have.
    async fn provide(&mut self, name: &RepositoryName, blob: &Bytes) {
        let wanted = digest(blob);
        let found = self
            .time
            .still(self.registry.blob_promise(name, &wanted))
            .await;
        match found {
            Ok(_) => return,
            Err(Error::BlobUnknown(_)) => {}
            Err(error) => panic!("HEAD answers {error}"),
        }
        let from = self.names[self.dice.roll(self.names.len())].clone();
        let mount = self.registry.blob_mount(name, self.account, &wanted, &from);
        if self.time.still(mount).await.expect("an answer") {
            return;
        }
        if self.dice.roll(2) == 0 {
            let push = self
                .registry
                .blob_push(name, self.account, &wanted, body(blob));
            self.time.still(push).await.expect("the blob");
            return;
        }
        let start = self
            .registry
            .upload_start(name, self.account, wanted.algorithm());
        let id = self.time.still(start).await.expect("a session").id;
        let (first, rest) = blob.split_at(blob.len() / 2);
        let part = self.registry.upload_append(name, id, None, body(first));
        self.time.still(part).await.expect("a part");
        let last = self
            .registry
            .upload_finish(name, id, &wanted, None, body(rest));
        self.time.still(last).await.expect("the blob");
    }

    async fn push_image(&mut self, image_number: usize) {
        let name = self.names[self.dice.roll(self.names.len())].clone();
        let blobs: Vec<Bytes> = (0..=self.dice.roll(3))
            .map(|_| self.blobs[self.dice.roll(self.blobs.len())].clone())
            .collect();
        let layers: Vec<&Bytes> = blobs.iter().skip(1).collect();
        let mut manifest = image(&blobs[0], &layers);
        // A manifest that nobody else pushes or deletes.
        let note = format!("{} of {}", image_number, self.number);
        manifest.annotations.insert("number".to_owned(), note);
        let document = written(&manifest);
        loop {
            let began = self.time.now();
            for blob in &blobs {
                self.provide(&name, blob).await;
            }
            let target = PushTarget::default();
            let put =
                self.registry
                    .manifest_put(&name, self.account, target, None, document.clone());
            match self.time.still(put).await {
                Ok(_) => break,
                Err(Error::ManifestBlobsUnknown(missing)) => {
                    let since = self.time.now().since(began);
                    assert!(
                        since >= PROMISE,
                        "{missing:?} were promised {since:?} ago, and are gone"
                    );
                }
                Err(error) => panic!("the manifest was answered with {error}"),
            }
        }
        self.relied.fetch_add(1, Ordering::Relaxed);
        for blob in &blobs {
            self.reads_back(&name, blob).await;
        }
        if self.dice.roll(4) > 0 {
            let by = Reference::Digest(digest(&document));
            let purge = self.dice.roll(2) == 0;
            let delete = self.registry.image_delete(&name, &by, purge);
            let gone = self.time.still(delete).await.expect("deleted");
            assert_eq!(gone, [digest(&document)]);
        }
    }

    async fn reads_back(&self, name: &RepositoryName, blob: &Bytes) {
        let wanted = digest(blob);
        let read = read(&self.registry, name, &wanted);
        let bytes = self.time.still(read).await.expect("a manifest needs it");
        assert_eq!(bytes, *blob);
    }
}

async fn read(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
) -> landfall_registry::Result<Vec<u8>> {
    use futures_util::TryStreamExt;
    let (blob, source) = registry.blob_open(name, digest).await?;
    let frames: Vec<Bytes> = source.read(0..blob.size).try_collect().await?;
    Ok(frames.concat())
}

async fn round(number: u32) {
    let world = World::new().await;
    let mut dice = Dice::new(number, 0);
    let names: Vec<_> = (0..=dice.roll(3))
        .map(|at| repository(&format!("acme/{at}")))
        .collect();
    let blobs: Vec<_> = (0..2 + dice.roll(4))
        .map(|seed| content(seed as u8, 150))
        .collect();
    let time = Arc::new(Time {
        clock: Arc::clone(&world.clock),
        requests: RwLock::new(()),
    });
    let stop = Arc::new(Notify::new());
    let relied = Arc::new(AtomicUsize::new(0));
    let collector = tokio::spawn(collect_until(world.registry(), Arc::clone(&stop)));
    let count = 2 + dice.roll(3);
    let pushers: Vec<_> = (1..=count)
        .map(|player| {
            let pusher = Pusher {
                registry: world.registry(),
                time: Arc::clone(&time),
                account: world.account,
                dice: Dice::new(number, player),
                number: player,
                names: names.clone(),
                blobs: blobs.clone(),
                relied: Arc::clone(&relied),
            };
            tokio::spawn(pusher.run())
        })
        .collect();
    for pusher in pushers {
        pusher.await.expect("a pusher ends well");
    }
    stop.notify_one();
    let runs = collector.await.expect("the collector ends well");
    assert!(runs > 0);
    assert_eq!(relied.load(Ordering::Relaxed), count * IMAGES);
    world.tables_agree().await;
    world.advance(Duration::from_hours(100));
    world.collect().await;
    world.is_sound().await;
    world.drains().await;
}

#[test]
fn pushers_lose_nothing_to_a_collector_that_never_rests_on_sqlite() {
    for number in Rounds::of("registry-pushers") {
        on_threads(number, round(number));
    }
}

#[test]
fn pushers_lose_nothing_to_a_collector_that_never_rests_on_postgres() {
    world::on(Kind::Postgres);
    for number in Rounds::of("registry-pushers-postgres") {
        on_threads(number, round(number));
    }
}
