//! Opening: the metadata and the bytes must belong together.

use std::{fs, path::Path, sync::Arc};

use futures_util::FutureExt;
use landfall_blobs::{BlobStore, Calls, DiskStore, FaultyStore, Operation};
use landfall_clock::{Clock, SystemClock};
use landfall_database::Database;
use landfall_ids::StoreId;
use landfall_registry::{Error, GarbageOptions, GarbageProgress, Registry};

use crate::world::{Place, SETTINGS, UPLOADS, World, content, digest, repository};

on_both!(
    a_pair_that_belongs_together_opens_again_and_again,
    the_bytes_of_another_store_are_refused,
    a_new_database_over_a_store_that_has_one_is_refused,
    bytes_without_the_mark_of_their_store_are_refused,
    an_opening_that_was_cut_off_before_the_mark_is_repeated,
    an_empty_store_under_a_database_that_knows_blobs_is_refused,
    two_servers_that_start_at_once_open_the_same_pair,
    a_restored_database_takes_the_store_from_the_one_before,
    a_database_whose_store_was_taken_over_deletes_nothing,
);

/// A migrated database; SQLite has it in the folder.
async fn database(folder: &Path) -> Database {
    Place::new(folder).open().await
}

async fn open(database: &Database, store: Arc<dyn BlobStore>) -> Result<StoreId, Error> {
    let opened = Registry::open(database.clone(), store, Arc::new(SystemClock), SETTINGS);
    opened.await.map(|registry| registry.store_id())
}

/// A database and a store in folders of their own.
struct Pair {
    folder: tempfile::TempDir,
    database: Database,
}

impl Pair {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let database = database(folder.path()).await;
        Self { folder, database }
    }

    fn store(&self) -> Arc<DiskStore> {
        let store = DiskStore::open(self.folder.path().join("store"));
        Arc::new(store.expect("a store"))
    }

    /// The identity of a pair that opens.
    async fn opens(&self) -> StoreId {
        let opened = open(&self.database, self.store()).await;
        opened.expect("the two belong together")
    }
}

fn refused(opened: Result<StoreId, Error>) -> String {
    match opened {
        Err(Error::StoreMismatch(reason)) => reason,
        other => panic!("it was not refused: {other:?}"),
    }
}

async fn a_pair_that_belongs_together_opens_again_and_again() {
    let pair = Pair::new().await;
    let id = pair.opens().await;
    assert_eq!(pair.opens().await, id);
    assert_eq!(pair.opens().await, id);
    assert_ne!(Pair::new().await.opens().await, id);
}

async fn the_bytes_of_another_store_are_refused() {
    let (one, two) = (Pair::new().await, Pair::new().await);
    let (first, second) = (one.opens().await, two.opens().await);
    let reason = refused(open(&one.database, two.store()).await);
    assert!(
        reason.contains(&first.to_string()) && reason.contains(&second.to_string()),
        "{reason}"
    );
    assert_eq!(one.opens().await, first, "nothing was written");
    assert_eq!(two.opens().await, second, "nothing was written");
}

/// Another database with all that the first has, in a folder of its own.
async fn backup_of(database: &Database, folder: &Path) -> Database {
    let copy = folder.join("copy.sqlite");
    fs::write(&copy, "").expect("made");
    database.copy_to(&copy).await.expect("copied");
    Database::open_sqlite(&copy).expect("a database")
}

async fn a_restored_database_takes_the_store_from_the_one_before() {
    let pair = Pair::new().await;
    let id = pair.opens().await;
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a scratch folder"));
    let early = backup_of(&pair.database, folders[0].path()).await;
    let late = backup_of(&pair.database, folders[1].path()).await;
    for (restored, before) in [(&early, &pair.database), (&late, &early)] {
        let renewed = landfall_registry::restored(restored, SystemClock.now());
        renewed.await.expect("renewed");
        assert_eq!(open(before, pair.store()).await.expect("still"), id);
        for _ in 0..2 {
            assert_eq!(open(restored, pair.store()).await.expect("opened"), id);
        }
        let reason = refused(open(before, pair.store()).await);
        assert!(reason.contains("restored"), "{reason}");
        assert_eq!(open(restored, pair.store()).await.expect("still"), id);
    }
}

async fn a_database_whose_store_was_taken_over_deletes_nothing() {
    let world = World::new().await;
    let orphan = world.push(&repository("acme/web"), &content(1, 10)).await;
    let file = world.file_of(&orphan).await;
    world.change("delete from repository_blob").await;
    world.change("delete from candidate").await;
    world.change("delete from blob").await;
    // Older than any upload may become, by the clock of the disk as well.
    world.advance(2 * UPLOADS);
    let id = world.store.store_id().await.expect("read").expect("a mark");
    let other = StoreId::new_at(7);
    world.store.reclaim(id, other).await.expect("taken over");
    let registry = world.registry();
    let progress = GarbageProgress::default();
    let run = registry.collect_garbage(GarbageOptions::default(), &progress);
    let run = run.await;
    assert!(matches!(run, Err(Error::StoreMismatch(_))), "{run:?}");
    assert_eq!(world.count("select count(*) from trash").await, 0);
    assert!(file.exists(), "nobody knows whose it is");
    registry.probe().await.expect_err("it is not ready");
}

async fn a_new_database_over_a_store_that_has_one_is_refused() {
    let (one, new) = (Pair::new().await, Pair::new().await);
    let id = one.opens().await;
    for _ in 0..2 {
        let reason = refused(open(&new.database, one.store()).await);
        assert!(reason.contains(&id.to_string()), "{reason}");
    }
    assert_ne!(new.opens().await, id, "it is still new");
}

async fn bytes_without_the_mark_of_their_store_are_refused() {
    let world = World::new().await;
    world.push(&repository("acme/web"), &content(1, 10)).await;
    let (copied, new) = (Pair::new().await, Pair::new().await);
    copy(
        &world.folder().join("store/blobs"),
        &copied.folder.path().join("store/blobs"),
    );
    for database in [&world.database, &new.database] {
        refused(open(database, copied.store()).await);
        assert_eq!(copied.store().store_id().await.expect("read"), None);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

async fn an_opening_that_was_cut_off_before_the_mark_is_repeated() {
    let pair = Pair::new().await;
    let id = pair.opens().await;
    // The database has its identity, the empty store has none yet.
    fs::remove_file(pair.folder.path().join("store/store-id")).expect("the mark");
    assert_eq!(pair.opens().await, id);
    let marked = pair.store().store_id().await;
    assert_eq!(marked.expect("read"), Some(id));
}

async fn an_empty_store_under_a_database_that_knows_blobs_is_refused() {
    // As when the disk of the blobs was not mounted: every pull would mark a
    // blob as damaged, though its bytes are only somewhere else.
    let world = World::new().await;
    let (name, whole) = (repository("acme/web"), content(1, 10));
    world.push(&name, &whole).await;
    let empty = Pair::new().await;
    refused(open(&world.database, empty.store()).await);
    let mark = empty.store().store_id().await;
    assert_eq!(mark.expect("read"), None, "it was not claimed");
    let world = world.restart().await;
    let read = world.read(&name, &digest(&whole)).await;
    assert_eq!(read.expect("bytes"), whole);
}

async fn two_servers_that_start_at_once_open_the_same_pair() {
    let pair = Pair::new().await;
    let store = pair.store();
    let slow = FaultyStore::new(store.clone());
    let (database, other) = (pair.database.clone(), store.clone());
    // The other makes the pair after this one has looked at the database, and
    // before it looks at the store.
    slow.stall(Operation::StoreId, Calls::Nth(1), move |_| {
        let (database, other) = (database.clone(), other.clone());
        async move {
            let first = open(&database, other).await;
            first.expect("it makes the pair");
        }
        .boxed()
    });
    let second = open(&pair.database, Arc::new(slow)).await;
    let marked = store.store_id().await.expect("read");
    assert_eq!(Some(second.expect("it finds the pair")), marked);
}
