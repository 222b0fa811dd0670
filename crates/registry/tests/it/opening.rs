//! Opening: the metadata and the bytes must belong together.

use std::{fs, path::Path, sync::Arc};

use futures_util::FutureExt;
use landfall_blobs::{BlobStore, Calls, DiskStore, FaultyStore, Operation};
use landfall_clock::SystemClock;
use landfall_database::Database;
use landfall_ids::StoreId;
use landfall_registry::{Error, Registry};

use crate::world::{Place, SETTINGS, World, content, digest, repository};

on_both!(
    a_pair_that_belongs_together_opens_again_and_again,
    the_bytes_of_another_store_are_refused,
    a_new_database_over_a_store_that_has_one_is_refused,
    bytes_without_the_mark_of_their_store_are_refused,
    an_opening_that_was_cut_off_before_the_mark_is_repeated,
    an_empty_store_under_a_database_that_knows_blobs_is_refused,
    two_servers_that_start_at_once_open_the_same_pair,
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
