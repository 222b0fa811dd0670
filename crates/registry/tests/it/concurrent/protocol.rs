//! The protocol of references and collection under a load that means harm:
//! sixteen clients that push into few repositories and take away again what
//! they pushed, a promise so short that it ends all the time, and a collector
//! of each server that never rests. Two servers share a PostgreSQL database.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use landfall_database::Kind;
use landfall_house::Rounds;
use landfall_ids::AccountId;
use landfall_oci::{Digest, Reference, RepositoryName};
use landfall_registry::{
    Error, GarbageOptions, GarbageProgress, PushTarget, Registry, Result, Settings,
};

use super::{Dice, on_threads};
use crate::{
    documents::{image, written},
    world::{self, LONG, SETTINGS, World, body, digest, repository},
};

const CLIENTS: usize = 16;
const REPOSITORIES: usize = 4;
/// Blobs that all clients push.
const BLOBS: usize = 120;
/// How long a round lasts.
const LENGTH: Duration = Duration::from_millis(1500);
/// The promise, which is shorter than a push may take.
const PROMISE: Duration = Duration::from_millis(60);

struct Client {
    registry: Arc<Registry>,
    clock: Arc<landfall_clock::ManualClock>,
    account: AccountId,
    dice: Dice,
    number: usize,
    over: Arc<AtomicBool>,
    /// What was pushed, and not taken away.
    kept: Vec<(RepositoryName, Digest, Vec<Bytes>)>,
    pushed: usize,
}

fn blob(number: usize) -> Bytes {
    format!("blob {number}").into_bytes().into()
}

impl Client {
    async fn run(mut self) -> Self {
        while !self.over.load(Ordering::Relaxed) {
            self.push().await;
            // It keeps one, so that most blobs are needed by nobody most of
            // the time.
            if self.kept.len() > 1 {
                let chosen = self.dice.roll(self.kept.len());
                let (name, digest, _) = self.kept.swap_remove(chosen);
                let by = Reference::Digest(digest);
                let gone = self.registry.image_delete(&name, &by, true).await;
                assert_eq!(gone.expect("it was pushed, and is deleted"), [digest]);
            }
        }
        self
    }

    async fn push(&mut self) {
        let name = repository(&format!("acme/{}", self.dice.roll(REPOSITORIES)));
        let blobs: Vec<Bytes> = (0..3).map(|_| blob(self.dice.roll(BLOBS))).collect();
        let began = landfall_clock::Clock::now(&*self.clock);
        // A careless one hopes that all but the first are there: it refers to
        // links whose promise has ended, right when the collector comes.
        let careless = self.dice.roll(2) == 0;
        let provided = if careless { 1 } else { blobs.len() };
        for blob in &blobs[..provided] {
            self.provide(&name, blob).await.expect("a blob is taken");
        }
        let mut manifest = image(&blobs[0], &[&blobs[1], &blobs[2]]);
        let note = format!("{} of {}", self.pushed, self.number);
        manifest.annotations.insert("number".to_owned(), note);
        let document = written(&manifest);
        let target = PushTarget::default();
        let put = self
            .registry
            .manifest_put(&name, self.account, target, None, document.clone());
        match put.await {
            Ok(_) => self.kept.push((name, digest(&document), blobs)),
            Err(Error::ManifestBlobsUnknown(missing)) => {
                let took = landfall_clock::Clock::now(&*self.clock).since(began);
                assert!(
                    careless || took >= PROMISE,
                    "{missing:?} were promised {took:?} ago"
                );
            }
            Err(error) => panic!("a client can't explain: {error}: {error:?}"),
        }
        self.pushed += 1;
    }

    /// Asks for the blob, and pushes it if it is not there.
    async fn provide(&mut self, name: &RepositoryName, blob: &Bytes) -> Result<()> {
        let wanted = digest(blob);
        if self.dice.roll(2) == 0 {
            match self.registry.blob_promise(name, &wanted).await {
                Err(Error::BlobUnknown(_)) => {}
                other => return other.map(drop),
            }
        }
        let push = self
            .registry
            .blob_push(name, self.account, &wanted, body(blob));
        push.await
    }
}

/// Collects until it is over; how many blobs went.
async fn collect(registry: Arc<Registry>, over: Arc<AtomicBool>, freed: Arc<AtomicUsize>) {
    let options = GarbageOptions {
        skip_orphans: true,
        ..GarbageOptions::default()
    };
    while !over.load(Ordering::Relaxed) {
        let progress = GarbageProgress::default();
        let run = registry.collect_garbage(options, &progress).await;
        let report = run.expect("the run ends well");
        freed.fetch_add(report.blobs as usize, Ordering::Relaxed);
    }
}

async fn round(number: u32) {
    let world = World::with(Settings {
        promise: PROMISE,
        undo_window: Duration::ZERO,
        trash_delay: Duration::ZERO,
        ..SETTINGS
    })
    .await;
    let mut servers = vec![world.registry()];
    if world::kind() == Kind::Postgres {
        servers.push(world.another_server().await);
    }
    let over = Arc::new(AtomicBool::new(false));
    let freed = Arc::new(AtomicUsize::new(0));
    let collectors: Vec<_> = servers
        .iter()
        .map(|server| {
            let collect = collect(Arc::clone(server), Arc::clone(&over), Arc::clone(&freed));
            tokio::spawn(collect)
        })
        .collect();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|player| {
            let client = Client {
                registry: Arc::clone(&servers[player % servers.len()]),
                clock: Arc::clone(&world.clock),
                account: world.account,
                dice: Dice::new(number, player + 1),
                number: player,
                over: Arc::clone(&over),
                kept: Vec::new(),
                pushed: 0,
            };
            tokio::spawn(client.run())
        })
        .collect();
    // The clock of the round runs like a real one, until the load is over.
    let (start, mut shown) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < LENGTH {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let now = start.elapsed();
        world.advance(now.saturating_sub(shown));
        shown = now;
    }
    over.store(true, Ordering::Relaxed);
    for collector in collectors {
        collector.await.expect("a collector ends well");
    }
    let mut pushed = 0;
    for client in clients {
        let client = client.await.expect("a client ends well");
        pushed += client.pushed;
        for (name, manifest, blobs) in client.kept {
            let found = world
                .manifest_get(&name, &Reference::Digest(manifest))
                .await;
            found.expect("a manifest that was pushed is there");
            for blob in blobs {
                let read = world.read(&name, &digest(&blob)).await;
                assert_eq!(read.expect("a manifest needs it"), blob);
            }
        }
    }
    let freed = freed.load(Ordering::Relaxed);
    assert!(
        pushed > CLIENTS && freed > 0,
        "{pushed} pushes and {freed} collected blobs show nothing"
    );
    world.tables_agree().await;
    world.advance(LONG);
    world.collect().await;
    world.is_sound().await;
    world.drains().await;
}

#[test]
fn a_load_that_means_harm_loses_nothing_and_leaves_nothing_on_sqlite() {
    for number in Rounds::of("registry-protocol") {
        on_threads(number, round(number));
    }
}

#[test]
fn a_load_that_means_harm_loses_nothing_and_leaves_nothing_on_postgres() {
    world::on(Kind::Postgres);
    for number in Rounds::of("registry-protocol-postgres") {
        on_threads(number, round(number));
    }
}
