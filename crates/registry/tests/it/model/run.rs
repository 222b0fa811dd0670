//! A registry and the model side by side: does what an operation says to both,
//! and compares.

mod clients;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use landfall_clock::Clock;
use landfall_ids::UploadId;
use landfall_registry::{Error, FsckOptions, GarbageOptions, GarbageReport, Settings};

use super::{
    operations::{Harm, Operation},
    promises::{Expected, Model, Shown},
    universe::{BLOBS, CLIENTS, MANIFESTS, REPOSITORIES, TAGS, UNIVERSE},
};
use crate::world::{SETTINGS, UPLOADS, World, reference, tag};

/// The session of a client.
#[derive(Debug, Clone, Copy)]
struct Session {
    id: UploadId,
    repository: usize,
    blob: usize,
    sent: usize,
    touched: landfall_clock::Timestamp,
}

/// What is wrong with the bytes of a blob, as far as the test has harmed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    None,
    /// Nobody has noticed yet.
    Silent(Harm),
    /// It answers as if it were not there.
    Marked,
}

pub(crate) struct Run {
    /// `None` only while it restarts.
    world: Option<World>,
    model: Model,
    sessions: [Option<Session>; CLIENTS],
    /// Files that the test has harmed. A location is used once, so a file of a
    /// later push is never in here.
    harmed: BTreeMap<PathBuf, Harm>,
}

impl Run {
    /// With `undo` as the undo window.
    pub(crate) async fn new(undo: Duration) -> Self {
        let settings = Settings {
            undo_window: undo,
            ..SETTINGS
        };
        let world = World::with(settings).await;
        let model = Model::new(world.clock.now(), undo);
        Self {
            world: Some(world),
            model,
            sessions: [None; CLIENTS],
            harmed: BTreeMap::new(),
        }
    }

    pub(crate) fn world(&self) -> &World {
        self.world.as_ref().expect("it does not restart now")
    }

    /// What the row of the blob and the test's own doing say about its bytes.
    async fn damage(&self, blob: usize) -> Damage {
        let wanted = &UNIVERSE.blobs[blob].digest;
        let sql = format!("select state || ' ' || location from blob where digest = '{wanted}'");
        let rows = self.world().texts(&sql).await;
        let Some((state, location)) = rows.first().and_then(|row| row.split_once(' ')) else {
            return Damage::None;
        };
        let harm = self.harmed.get(&self.world().file(location));
        match (state, harm) {
            ("live", None) => Damage::None,
            ("live", Some(harm)) => Damage::Silent(*harm),
            ("damaged", Some(_)) => Damage::Marked,
            (state, harm) => panic!("{wanted} is {state}, and the disk did {harm:?}"),
        }
    }

    /// Whether a look-up must, must not, or may find the blob.
    async fn expected(&self, repository: usize, blob: usize) -> Expected {
        match self.damage(blob).await {
            Damage::Marked => Expected::Gone,
            Damage::None | Damage::Silent(_) => self.model.expected(repository, blob),
        }
    }

    /// Compares an answer about a blob with the model, and notes it there.
    async fn answered(&mut self, repository: usize, blob: usize, there: bool) {
        match (self.expected(repository, blob).await, there) {
            (Expected::There, false) => panic!("blob {blob} of {repository} is lost"),
            (Expected::Gone, true) => panic!("blob {blob} of {repository} came back"),
            (Expected::Either, false) => self.model.forget(repository, blob),
            (_, true) => self.model.saw(repository, blob),
            (Expected::Gone, false) => {}
        }
    }

    /// Does what the operation says, and compares the answer.
    pub(crate) async fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Push { repository, blob } => {
                let (name, bytes) = (&UNIVERSE.names[repository], &UNIVERSE.blobs[blob].bytes);
                let account = UNIVERSE.accounts[repository];
                self.world().push_as(account, name, bytes).await;
                self.model.promise(repository, blob);
            }
            Operation::Start {
                client,
                repository,
                blob,
            } => self.start(client, repository, blob).await,
            Operation::Append { client } => self.append(client).await,
            Operation::Finish { client, lie } => self.finish(client, lie).await,
            Operation::Mount { from, to, blob } => self.mount(from, to, blob).await,
            Operation::Head { repository, blob } => self.head(repository, blob).await,
            Operation::Get { repository, blob } => self.get(repository, blob).await,
            Operation::Check { repository } => self.check(repository).await,
            Operation::Put {
                repository,
                manifest,
                tag,
            } => self.put(repository, manifest, tag).await,
            Operation::DeleteTag { repository, tag } => self.delete_tag(repository, tag).await,
            Operation::DeleteManifest {
                repository,
                manifest,
            } => self.delete_manifest(repository, manifest).await,
            Operation::DeleteImage {
                repository,
                tag,
                purge,
            } => self.delete_image(repository, tag, purge).await,
            Operation::UndoTag { repository, tag } => self.undo_tag(repository, tag).await,
            Operation::RestoreImage {
                repository,
                manifest,
            } => self.restore_image(repository, manifest).await,
            Operation::DeleteBlob { repository, blob } => self.delete_blob(repository, blob).await,
            Operation::DeleteRepository { repository } => self.delete_repository(repository).await,
            Operation::Advance(by) => {
                self.world().advance(by);
                self.model.now = self.world().clock.now();
            }
            Operation::Collect { grace } => {
                self.collect(grace).await;
            }
            Operation::Damage { blob, harm } => self.harm(blob, harm).await,
            Operation::Repair => {
                let repair = FsckOptions {
                    repair: true,
                    quick: false,
                };
                self.world().check(repair).await;
                for blob in 0..BLOBS {
                    let damage = self.damage(blob).await;
                    assert!(!matches!(damage, Damage::Silent(_)), "{blob}: {damage:?}");
                }
            }
            Operation::Restart => {
                let world = self.world.take().expect("it runs");
                self.world = Some(world.restart().await);
            }
        }
    }

    async fn put(&mut self, repository: usize, manifest: usize, tagged: Option<usize>) {
        let template = &UNIVERSE.manifests[manifest];
        let name = &UNIVERSE.names[repository];
        let target = landfall_registry::PushTarget {
            digest: None,
            tags: tagged.iter().map(|at| tag(TAGS[*at])).collect(),
        };
        let account = UNIVERSE.accounts[repository];
        let put = self
            .world()
            .manifest_put(name, account, target, None, template.bytes.clone())
            .await;
        let missing = match put {
            Ok(put) => {
                assert_eq!(put.digest, template.digest);
                Vec::new()
            }
            Err(Error::ManifestBlobsUnknown(missing)) => missing,
            Err(error) => panic!("{error}"),
        };
        for blob in &template.blobs {
            let there = !missing.contains(&UNIVERSE.blobs[*blob].digest);
            self.answered(repository, *blob, there).await;
        }
        for child in &template.children {
            let shown = self.model.repositories[repository].manifests[*child];
            let there = !missing.contains(&UNIVERSE.manifests[*child].digest);
            assert_eq!(there, shown == Shown::Visible, "child {child}");
        }
        if missing.is_empty() {
            self.model.put(repository, manifest, tagged);
        }
    }

    async fn delete_tag(&mut self, repository: usize, at: usize) {
        let name = &UNIVERSE.names[repository];
        let deleted = self.world().tag_delete(name, &tag(TAGS[at])).await;
        let tagged = self.model.repositories[repository].tags[at];
        self.model.set_tag(repository, at, None, None);
        assert_eq!(deleted.is_ok(), tagged.is_some(), "{deleted:?}");
    }

    async fn delete_manifest(&mut self, repository: usize, manifest: usize) {
        let name = &UNIVERSE.names[repository];
        let wanted = &UNIVERSE.manifests[manifest].digest;
        let deleted = self.world().manifest_delete(name, wanted).await;
        let shown = self.model.repositories[repository].manifests[manifest];
        assert_eq!(deleted.is_ok(), shown == Shown::Visible, "{deleted:?}");
        if deleted.is_ok() {
            self.model.hide(repository, manifest, false);
        }
    }

    async fn delete_image(&mut self, repository: usize, at: usize, purge: bool) {
        let name = &UNIVERSE.names[repository];
        let by = reference(&TAGS[at]);
        let deleted = self.world().image_delete(name, &by, purge).await;
        let expected = self.model.hide_image(repository, at, purge);
        let expected = expected.map(|manifests| {
            let digests = manifests.iter().map(|at| UNIVERSE.manifests[*at].digest);
            digests.collect::<BTreeSet<_>>()
        });
        match deleted {
            Ok(gone) => assert_eq!(Some(gone.into_iter().collect()), expected),
            Err(Error::ManifestUnknown(_)) => assert_eq!(expected, None),
            Err(error) => panic!("{error}"),
        }
    }

    async fn undo_tag(&mut self, repository: usize, at: usize) {
        let name = &UNIVERSE.names[repository];
        let undone = self.world().tag_undo(name, &tag(TAGS[at]), None).await;
        let expected = self.model.undo_tag(repository, at);
        assert_eq!(undone.is_ok(), expected, "{undone:?}");
    }

    async fn restore_image(&mut self, repository: usize, manifest: usize) {
        let name = &UNIVERSE.names[repository];
        let wanted = &UNIVERSE.manifests[manifest].digest;
        let restored = self.world().image_restore(name, wanted).await;
        let expected = self.model.restore(repository, manifest);
        let restored = restored.map(|restored| {
            let digests = restored.manifests.into_iter();
            let tags = restored.tags.iter().map(ToString::to_string);
            (digests.collect::<BTreeSet<_>>(), tags.collect::<Vec<_>>())
        });
        let expected = expected.map(|(manifests, tags)| {
            let digests = manifests.iter().map(|at| UNIVERSE.manifests[*at].digest);
            let tags = tags.iter().map(|at| TAGS[*at].to_owned());
            (digests.collect(), tags.collect())
        });
        match restored {
            Ok(restored) => assert_eq!(Some(restored), expected),
            Err(error) => assert_eq!(None, expected, "{error}"),
        }
    }

    async fn delete_blob(&mut self, repository: usize, blob: usize) {
        let name = &UNIVERSE.names[repository];
        let wanted = &UNIVERSE.blobs[blob].digest;
        match self.world().blob_delete(name, wanted).await {
            Ok(()) => {
                self.answered(repository, blob, true).await;
                assert!(!self.model.repositories[repository].uses(blob));
                self.model.forget(repository, blob);
            }
            Err(Error::BlobInUse(_)) => {
                assert!(self.model.repositories[repository].uses(blob));
            }
            Err(Error::BlobUnknown(_)) => self.answered(repository, blob, false).await,
            Err(error) => panic!("{error}"),
        }
    }

    async fn delete_repository(&mut self, repository: usize) {
        let name = &UNIVERSE.names[repository];
        match self.world().repository_delete(name, true).await {
            Ok(()) | Err(Error::RepositoryUnknown(_)) => {}
            Err(error) => panic!("{error}"),
        }
        self.model.delete_repository(repository);
        for session in &mut self.sessions {
            session.take_if(|session| session.repository == repository);
        }
    }

    /// Runs the collector.
    pub(crate) async fn collect(&mut self, grace: Option<Duration>) -> GarbageReport {
        let options = GarbageOptions {
            skip_orphans: false,
            dry_run: false,
            grace,
        };
        let report = self.world().collect_with(options).await;
        self.model.collected(grace);
        let now = self.model.now;
        for session in &mut self.sessions {
            session.take_if(|session| session.touched + UPLOADS <= now);
        }
        report
    }

    async fn harm(&mut self, blob: usize, harm: Harm) {
        if self.damage(blob).await != Damage::None {
            return;
        }
        let wanted = &UNIVERSE.blobs[blob].digest;
        let sql = format!("select location from blob where digest = '{wanted}'");
        let Some(location) = self.world().texts(&sql).await.pop() else {
            return;
        };
        let file = self.world().file(&location);
        do_harm(&file, harm);
        self.harmed.insert(file, harm);
    }

    /// Compares everything that can be seen with the model, without changing
    /// anything.
    pub(crate) async fn agrees(&mut self, after: &Operation) {
        self.world().tables_agree().await;
        for repository in 0..REPOSITORIES {
            for blob in 0..BLOBS {
                let name = &UNIVERSE.names[repository];
                let wanted = &UNIVERSE.blobs[blob];
                let there = self.world().holds(name, &wanted.digest).await;
                self.answered(repository, blob, there).await;
                if there && self.damage(blob).await == Damage::None {
                    let read = self.world().read(name, &wanted.digest).await;
                    let read = read.unwrap_or_else(|error| panic!("after {after:?}: {error}"));
                    assert_eq!(read, wanted.bytes);
                }
            }
            self.manifests_agree(repository).await;
        }
    }

    async fn manifests_agree(&self, repository: usize) {
        let name = &UNIVERSE.names[repository];
        let model = &self.model.repositories[repository];
        let by_digest = (0..MANIFESTS).map(|at| {
            let visible = model.manifests[at] == Shown::Visible;
            (
                UNIVERSE.manifests[at].digest.to_string(),
                visible.then_some(at),
            )
        });
        let by_tag = (0..TAGS.len()).map(|at| (TAGS[at].to_owned(), model.tags[at]));
        for (by, expected) in by_digest.chain(by_tag) {
            match self.world().manifest_get(name, &reference(&by)).await {
                Ok(found) => {
                    let expected = expected.unwrap_or_else(|| panic!("{by} came back"));
                    assert_eq!(found.content, UNIVERSE.manifests[expected].bytes);
                }
                Err(Error::ManifestUnknown(_)) => assert_eq!(expected, None, "{by} is lost"),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Deletes everything; then nothing must be left.
    pub(crate) async fn drains(&self) {
        self.world().drains().await;
    }
}

fn do_harm(file: &Path, harm: Harm) {
    let mut bytes = fs::read(file).expect("the bytes of a blob");
    match harm {
        Harm::Remove => return fs::remove_file(file).expect("removed"),
        Harm::Cut => bytes.truncate(bytes.len() / 2),
        Harm::Flip => bytes[7] ^= 1,
    }
    fs::write(file, bytes).expect("harmed");
}
