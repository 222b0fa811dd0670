//! Clients that push, pull, mount and delete at random, until the server is
//! gone or they are told to stop.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    runtime::Runtime,
    sync::{OwnedRwLockWriteGuard, RwLock},
    task::JoinSet,
};

use super::{
    client::{self, Client, Lost},
    content::{Blob, Image},
    dice::Dice,
    hand::Hand,
    ledger::{Ledger, Presence},
    verify,
};

/// Images of a repository; when there are more, one is deleted first.
const IMAGES: usize = 6;
/// Uploads of a repository that are left open; then one is ended first.
const UPLOADS: usize = 3;
/// Layers that all repositories push.
const SHARED: u64 = 6;
const TAGS: [&str; 3] = ["1.0", "1.1", "latest"];

/// How large things are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Layers and configurations have less bytes than this.
    pub(crate) small: u64,
    /// Blobs that are sent in chunks have less bytes than this.
    pub(crate) chunked: u64,
}

/// The repositories of a server, each with the ledger of its only client.
pub(crate) type Ledgers = Vec<Arc<Mutex<Ledger>>>;

/// Two ledgers for each client: of what it pushes, and of what it mounts.
pub(crate) fn ledgers(clients: usize) -> Ledgers {
    let names =
        (0..clients).flat_map(|client| [format!("load/{client}"), format!("load/{client}-m")]);
    names
        .map(|name| Arc::new(Mutex::new(Ledger::new(name))))
        .collect()
}

/// Whoever works holds it shared, and lets go between two deeds. An async lock:
/// a deed is several requests.
pub(crate) type Gate = Arc<RwLock<()>>;

/// The clients at work.
pub(crate) struct Load {
    gate: Gate,
    clients: JoinSet<Result<(), Lost>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Sets a client to work on each pair of ledgers.
    pub(crate) fn start(
        runtime: &Runtime,
        url: &str,
        ledgers: &Ledgers,
        dice: &mut Dice,
        sizes: Sizes,
    ) -> Self {
        let (stop, gate) = (Arc::<AtomicBool>::default(), Gate::default());
        let mut clients = JoinSet::new();
        for pair in ledgers.chunks(2) {
            let [pushed, mounted] = pair else { continue };
            let client = Client::new(url);
            let mut deeds = Deeds {
                pushed: Hand::new(client.clone(), Arc::clone(pushed)),
                mounted: Hand::new(client, Arc::clone(mounted)),
                others: ledgers.len() as u64 / 2,
                dice: dice.fork(),
                sizes,
            };
            let (stop, gate) = (Arc::clone(&stop), Arc::clone(&gate));
            let work = async move {
                while !stop.load(Ordering::Relaxed) {
                    let _open = gate.read().await;
                    deeds.one().await?;
                }
                Ok(())
            };
            clients.spawn_on(work, runtime.handle());
        }
        Self {
            gate,
            clients,
            stop,
        }
    }

    pub(crate) fn gate(&self) -> Gate {
        Arc::clone(&self.gate)
    }

    /// Nobody works while the answer lives.
    pub(crate) async fn pause(&self) -> OwnedRwLockWriteGuard<()> {
        self.gate().write_owned().await
    }

    pub(crate) fn tell_to_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until a client ends; why it did, if it was not told to.
    pub(crate) async fn next_end(&mut self) -> Option<Result<(), Lost>> {
        self.clients.join_next().await.map(|ended| match ended {
            Ok(ended) => ended,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => panic!("a client was cancelled: {error}"),
            },
        })
    }

    /// Waits for all of them; those that lost their server say so.
    pub(crate) async fn ends(mut self) -> Vec<Lost> {
        let mut lost = Vec::new();
        while let Some(ended) = self.next_end().await {
            lost.extend(ended.err());
        }
        lost
    }
}

/// What one client does at random.
struct Deeds {
    pushed: Hand,
    mounted: Hand,
    others: u64,
    dice: Dice,
    sizes: Sizes,
}

impl Deeds {
    async fn one(&mut self) -> Result<(), Lost> {
        match self.dice.within(0..100) {
            0..40 => self.push_image().await,
            40..60 => self.go_on_with_an_upload().await,
            60..70 => self.mount().await,
            70..80 => self.pull().await,
            80..86 => self.delete_image().await,
            86..92 => self.delete_tag().await,
            92..98 => self.delete_blob().await,
            _ => self.mounted.delete_repository().await,
        }
    }

    /// A layer that others push too, or one of our own.
    fn layer(&mut self) -> Blob {
        let small = self.sizes.small;
        if self.dice.percent(60) {
            let seed = self.dice.within(0..SHARED);
            return Blob::new(seed, small * (seed + 1) / (SHARED + 1));
        }
        Blob::new(self.dice.roll(), self.dice.within(2..small))
    }

    async fn push_image(&mut self) -> Result<(), Lost> {
        if self.pushed.ledger().images(&[Presence::There]).len() >= IMAGES {
            self.delete_image().await?;
        }
        let config = Blob::new(self.dice.roll(), self.dice.within(2..400));
        let layers: Vec<Blob> = (0..self.dice.within(1..4)).map(|_| self.layer()).collect();
        let image = Image::new(config, &layers);
        let tag = self.dice.pick(TAGS).filter(|_| self.dice.percent(80));
        // A collector without grace may take a layer away before the manifest
        // comes, as often as it likes.
        for _ in 0..3 {
            for blob in &*image.blobs {
                if !self.pushed.has(blob).await? {
                    self.push_blob(blob).await?;
                }
            }
            if self.pushed.push_manifest(&image, tag).await? {
                break;
            }
        }
        Ok(())
    }

    async fn push_blob(&mut self, blob: &Blob) -> Result<(), Lost> {
        if self.dice.percent(40) {
            return self.pushed.push_whole(blob).await;
        }
        let path = self.pushed.start_upload(blob).await?;
        let chunks = self.dice.within(0..4);
        for _ in 0..chunks {
            self.pushed
                .send_chunk(&path, blob.size.div_ceil(chunks).max(2))
                .await?;
        }
        self.pushed.finish(&path).await
    }

    async fn go_on_with_an_upload(&mut self) -> Result<(), Lost> {
        let open = self.pushed.ledger().uploads(&[Presence::There]);
        let begin = open.is_empty() || (open.len() < UPLOADS && self.dice.percent(30));
        if begin {
            let blob = Blob::new(self.dice.roll(), self.dice.within(4..self.sizes.chunked));
            self.pushed.start_upload(&blob).await?;
            return Ok(());
        }
        let Some((path, upload)) = self.dice.pick(open) else {
            return Ok(());
        };
        let length = self.dice.within(2..upload.blob.size / 2 + 3);
        match self.dice.within(0..100) {
            0..55 => self.pushed.send_chunk(&path, length).await.map(drop),
            55..70 => self.pushed.break_off(&path, length).await,
            70..90 => self.pushed.finish(&path).await,
            _ => self.pushed.cancel(&path).await,
        }
    }

    async fn mount(&mut self) -> Result<(), Lost> {
        let blobs = self.pushed.ledger().blobs();
        let Some(blob) = self.dice.pick(blobs) else {
            return Ok(());
        };
        if self.dice.percent(60) {
            let must = self.pushed.ledger().blob_expected(&blob.digest) == Presence::There;
            return self.mounted.mount(&blob, &self.pushed.name, must).await;
        }
        let from = format!("load/{}", self.dice.within(0..self.others));
        let blob = self.layer();
        self.mounted.mount(&blob, &from, false).await
    }

    /// Pulls an image as the ledger knows it.
    async fn pull(&mut self) -> Result<(), Lost> {
        let images = self.pushed.ledger().images(&[Presence::There]);
        let Some((image, _)) = self.dice.pick(images) else {
            return Ok(());
        };
        let Hand { client, name, .. } = &self.pushed;
        let path = client::manifest(name, &image.digest.to_string());
        let answer = client.get(&path).await?;
        assert!(
            answer.status == 200 && answer.body == image.manifest,
            "pulling `{name}`: {}",
            answer.told()
        );
        for blob in &*image.blobs {
            verify::pull_blob(client, name, blob).await?;
        }
        Ok(())
    }

    async fn delete_image(&mut self) -> Result<(), Lost> {
        let images = self
            .pushed
            .ledger()
            .images(&[Presence::There, Presence::Maybe]);
        match self.dice.pick(images) {
            Some((image, _)) => self.pushed.delete_image(&image.digest).await,
            None => Ok(()),
        }
    }

    async fn delete_tag(&mut self) -> Result<(), Lost> {
        let tags = self.pushed.ledger().tags();
        match self.dice.pick(tags) {
            Some(tag) => self.pushed.delete_tag(&tag).await,
            None => Ok(()),
        }
    }

    async fn delete_blob(&mut self) -> Result<(), Lost> {
        let hand = if self.dice.percent(70) {
            &self.pushed
        } else {
            &self.mounted
        };
        let blobs = hand.ledger().blobs();
        match self.dice.pick(blobs) {
            Some(blob) => hand.delete_blob(&blob).await,
            None => Ok(()),
        }
    }
}
