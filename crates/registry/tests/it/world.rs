//! A registry to test: a database and a store in a scratch folder, a clock
//! that stands still, and a store that can be told to fail.

use std::{
    cell::Cell,
    fs, io,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use landfall_blobs::FaultyStore;
use landfall_clock::{Clock, ManualClock, SystemClock};
use landfall_database::{Database, Kind, PostgresOptions};
use landfall_ids::AccountId;
use landfall_oci::{Algorithm, Digest, Reference, RepositoryName, Tag};
use landfall_registry::{
    Body, Error, FsckOptions, FsckProgress, FsckReport, GarbageOptions, GarbageProgress,
    GarbageReport, LayerState, PushTarget, PushedManifest, Registry, Result, Settings,
};
use landfall_services::postgres::{self, PostgresUrl};
use tempfile::TempDir;

use crate::shelf::Shelf;

/// The promise of every world, unless a test says otherwise.
pub(crate) const PROMISE: Duration = Duration::from_hours(1);
/// The undo window.
pub(crate) const UNDO: Duration = Duration::from_hours(10);
/// How long it is remembered what happened to a tag.
pub(crate) const HISTORY: Duration = Duration::from_hours(10_000);
/// The life of an upload that lies still.
pub(crate) const UPLOADS: Duration = Duration::from_hours(100);
/// The delay of the trash.
pub(crate) const TRASH: Duration = Duration::from_mins(10);
/// Longer than any promise that was given, with its reserve.
pub(crate) const LONG: Duration = Duration::from_mins(91);

/// What the worlds start from.
pub(crate) const SETTINGS: Settings = Settings {
    max_manifest_size: 64 * 1024,
    max_blob_size: Some(1024 * 1024),
    promise: PROMISE,
    undo_window: UNDO,
    tag_history: HISTORY,
    upload_lifetime: UPLOADS,
    trash_delay: TRASH,
    untagged_after: None,
};

thread_local! {
    /// The kind of database that worlds of this thread stand on.
    static KIND: Cell<Kind> = const { Cell::new(Kind::Sqlite) };
}

/// From now on, worlds of this thread stand on this kind of database.
pub(crate) fn on(kind: Kind) {
    KIND.set(kind);
}

/// The kind of database that worlds of this thread stand on.
pub(crate) fn kind() -> Kind {
    KIND.get()
}

/// Where a database is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    File(PathBuf),
    Server(PostgresUrl),
}

impl Place {
    /// A place for a new database of this thread's kind.
    pub(crate) fn new(folder: &Path) -> Self {
        match kind() {
            Kind::Sqlite => Self::File(folder.join("registry.sqlite")),
            Kind::Postgres => Self::Server(postgres::fresh()),
        }
    }

    /// Opens the database as it is.
    pub(crate) async fn connect(&self) -> Database {
        let database = match self {
            Self::File(path) => Database::open_sqlite(path),
            Self::Server(url) => {
                let options = PostgresOptions::new(&**url);
                Database::open_postgres(&options).await
            }
        };
        database.expect("a database")
    }

    /// Opens and migrates the database.
    pub(crate) async fn open(&self) -> Database {
        let database = self.connect().await;
        let migrated = database
            .migrate(&[
                landfall_database::lease::MIGRATIONS,
                landfall_database::epoch::MIGRATIONS,
                landfall_database::outbox::MIGRATIONS,
                landfall_registry::MIGRATIONS,
            ])
            .await;
        migrated.expect("the schema");
        database
    }
}

/// A registry with all that it stands on.
pub(crate) struct World {
    registry: Arc<Registry>,
    /// For looking behind the registry's back.
    pub(crate) database: Database,
    /// The store, which fails by rule.
    pub(crate) store: FaultyStore,
    /// The time that the registry sees. Starts at the time of the machine, so
    /// that files are as old as they look.
    pub(crate) clock: Arc<ManualClock>,
    /// The owner of whatever is pushed without another being named.
    pub(crate) account: AccountId,
    settings: Settings,
    folder: TempDir,
    place: Place,
    shelf: Shelf,
}

/// A scratch folder. In memory where the machine has such a place: syncing is
/// tested elsewhere, and here it would only cost time.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir())
    } else {
        tempfile::tempdir()
    };
    made.expect("a scratch folder")
}

/// Opens a migrated database, and a store.
pub(crate) async fn open_parts(place: &Place, shelf: &Shelf) -> (Database, FaultyStore) {
    let database = place.open().await;
    (database, FaultyStore::new(shelf.open()))
}

impl World {
    /// As the server does it: the sources first.
    pub(crate) async fn layers_check(
        &self,
        name: &RepositoryName,
        account: AccountId,
        digests: &[Digest],
        may_read: impl Fn(&RepositoryName) -> bool,
    ) -> Result<Vec<(Digest, LayerState)>> {
        let sources = self.registry.layer_sources(account, digests).await?;
        self.registry
            .layers_check(name, account, digests, sources, may_read)
            .await
    }

    pub(crate) async fn new() -> Self {
        Self::with(SETTINGS).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let account = AccountId::new_at(0);
        let folder = scratch();
        let place = Place::new(folder.path());
        let shelf = Shelf::new(folder.path());
        Self::open((folder, place, shelf), settings, clock, account).await
    }

    async fn open(
        (folder, place, shelf): (TempDir, Place, Shelf),
        settings: Settings,
        clock: Arc<ManualClock>,
        account: AccountId,
    ) -> Self {
        let (database, store) = open_parts(&place, &shelf).await;
        let opened = Registry::open(
            database.clone(),
            Arc::new(store.clone()),
            clock.clone(),
            settings,
        );
        let registry = Arc::new(opened.await.expect("database and store belong together"));
        Self {
            registry,
            database,
            store,
            clock,
            account,
            settings,
            folder,
            place,
            shelf,
        }
    }

    /// The server stops and starts again: nothing stays in memory.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            registry,
            database,
            store,
            clock,
            account,
            settings,
            folder,
            place,
            shelf,
        } = self;
        drop((registry, database, store));
        Self::open((folder, place, shelf), settings, clock, account).await
    }

    /// Another server over the same database and store; only on PostgreSQL.
    pub(crate) async fn another_server(&self) -> Arc<Registry> {
        let opened = Registry::open(
            self.place.open().await,
            Arc::new(self.store.clone()),
            self.clock.clone(),
            self.settings,
        );
        Arc::new(opened.await.expect("another server"))
    }

    /// The registry, to be moved into a task.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Moves the clock to the last moment before `by` has passed.
    pub(crate) fn advance_almost(&self, by: Duration) {
        self.clock
            .advance(by.saturating_sub(Duration::from_micros(1)));
    }

    /// Pushes a blob in one request.
    pub(crate) async fn push(&self, name: &RepositoryName, bytes: &Bytes) -> Digest {
        let digest = digest(bytes);
        let pushed = self.blob_push(name, self.account, &digest, body(bytes));
        pushed.await.expect("the blob is taken");
        digest
    }

    /// Pushes a blob for another account.
    pub(crate) async fn push_as(
        &self,
        account: AccountId,
        name: &RepositoryName,
        bytes: &Bytes,
    ) -> Digest {
        let digest = digest(bytes);
        let pushed = self.blob_push(name, account, &digest, body(bytes));
        pushed.await.expect("the blob is taken");
        digest
    }

    /// Puts a manifest under some tags.
    pub(crate) async fn put(
        &self,
        name: &RepositoryName,
        tags: &[&str],
        content: &Bytes,
    ) -> Result<PushedManifest> {
        let target = PushTarget {
            digest: None,
            tags: tags.iter().map(|tag| self::tag(tag)).collect(),
        };
        self.manifest_put(name, self.account, target, None, content.clone())
            .await
    }

    /// Whether the registry says that the repository has the blob, without a
    /// promise.
    pub(crate) async fn holds(&self, name: &RepositoryName, digest: &Digest) -> bool {
        match self.blob_find(name, digest).await {
            Ok(_) => true,
            Err(Error::BlobUnknown(_)) => false,
            Err(error) => panic!("looking for {digest} failed: {error}"),
        }
    }

    /// The bytes of a blob, as GET gives them.
    pub(crate) async fn read(&self, name: &RepositoryName, digest: &Digest) -> Result<Vec<u8>> {
        let (blob, source) = self.blob_open(name, digest).await?;
        let frames: Vec<Bytes> = source.read(0..blob.size).try_collect().await?;
        Ok(frames.concat())
    }

    pub(crate) async fn collect(&self) -> GarbageReport {
        self.collect_with(GarbageOptions::default()).await
    }

    pub(crate) async fn collect_with(&self, options: GarbageOptions) -> GarbageReport {
        let progress = GarbageProgress::default();
        let run = self.collect_garbage(options, &progress);
        run.await.expect("the run ends well")
    }

    /// A run that grants nothing to nobody.
    pub(crate) async fn collect_all(&self) -> GarbageReport {
        self.collect_with(GarbageOptions {
            grace: Some(Duration::ZERO),
            ..GarbageOptions::default()
        })
        .await
    }

    pub(crate) async fn check(&self, options: FsckOptions) -> FsckReport {
        let progress = FsckProgress::default();
        let check = self.fsck(options, &progress);
        check.await.expect("the check ends well")
    }

    /// The number that a statement answers.
    pub(crate) async fn count(&self, sql: &str) -> u64 {
        let sql = sql.to_owned();
        let read = self.database.read_long(move |tx| tx.number(&sql, &[]));
        let number: landfall_database::Result<u64> = read.await;
        number.expect("a number")
    }

    /// Every text that a statement answers.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = sql.to_owned();
        let read = self
            .database
            .read_long(move |tx| tx.all(&sql, &[], |row| row.get(0)));
        let texts: landfall_database::Result<Vec<String>> = read.await;
        texts.expect("texts")
    }

    /// Changes the database behind the registry's back.
    pub(crate) async fn change(&self, sql: &str) {
        let sql = sql.to_owned();
        let write = self.database.write(move |tx| tx.execute_script(&sql));
        let changed: landfall_database::Result<()> = write.await;
        changed.expect("the statement runs");
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of a location. In a bucket it is no file, but has a name all
    /// the same.
    pub(crate) fn file(&self, location: &str) -> PathBuf {
        match &self.shelf {
            Shelf::Folder(folder) => folder.join("store/blobs").join(location),
            Shelf::Bucket(_) => Path::new("store/blobs").join(location),
        }
    }

    /// Whether there is such a file.
    pub(crate) fn has(&self, file: &Path) -> bool {
        match &self.shelf {
            Shelf::Folder(_) => file.exists(),
            Shelf::Bucket(_) => self.files("blobs").iter().any(|found| found == file),
        }
    }

    /// The bytes are gone, and nobody was told.
    pub(crate) async fn lose(&self, digest: &Digest) {
        let location = self.location_of(digest).await;
        match &self.shelf {
            Shelf::Folder(_) => fs::remove_file(self.file(&location)).expect("a file"),
            Shelf::Bucket(_) => {
                let location = location.parse().expect("a location");
                let deleted = self.shelf.open().delete(&location).await;
                deleted.expect("deleted");
            }
        }
    }

    /// How many bytes there are at a location.
    pub(crate) async fn size_at(&self, location: &str) -> u64 {
        match &self.shelf {
            Shelf::Folder(_) => fs::metadata(self.file(location)).expect("a file").len(),
            Shelf::Bucket(_) => {
                let location = location.parse().expect("a location");
                let opened = self.shelf.open().open(&location).await;
                opened.expect("an object").size()
            }
        }
    }

    /// The location that a blob's row names.
    async fn location_of(&self, digest: &Digest) -> String {
        let sql = format!("select location from blob where digest = '{digest}'");
        let mut found = self.texts(&sql).await;
        found.pop().expect("the blob has a row")
    }

    /// The file that a blob's row names.
    pub(crate) async fn file_of(&self, digest: &Digest) -> PathBuf {
        self.file(&self.location_of(digest).await)
    }

    /// Every file under the store's folder `part`: `blobs`, `staging`,
    /// `quarantine`.
    pub(crate) fn files(&self, part: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        match &self.shelf {
            Shelf::Folder(folder) => walk(&folder.join("store").join(part), &mut found),
            Shelf::Bucket(_) => found = self.shelf.objects(part),
        }
        found.sort();
        found
    }
}

impl Deref for World {
    type Target = Registry;
    fn deref(&self) -> &Registry {
        &self.registry
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => panic!("listing failed: {error}"),
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

pub(crate) fn repository(name: &str) -> RepositoryName {
    name.parse().expect("a name of a repository")
}

pub(crate) fn tag(name: &str) -> Tag {
    name.parse().expect("a tag")
}

/// A tag or a digest.
pub(crate) fn reference(text: &(impl ToString + ?Sized)) -> Reference {
    text.to_string().parse().expect("a reference")
}

/// `length` bytes; other seeds give other bytes.
pub(crate) fn content(seed: u8, length: usize) -> Bytes {
    let mut state = u32::from(seed) * 2_654_435 + 1;
    let bytes = (0..length).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    bytes.collect::<Vec<u8>>().into()
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

/// The body of a request, in frames of at most a hundred bytes.
pub(crate) fn body(bytes: &[u8]) -> Body<'static> {
    let frames: Vec<_> = bytes.chunks(100).map(Bytes::copy_from_slice).collect();
    stream::iter(frames.into_iter().map(Ok)).boxed()
}

/// A body that breaks off after `bytes`.
pub(crate) fn broken_body(bytes: &[u8]) -> Body<'static> {
    let end = stream::iter([Err("the client hung up".to_owned())]);
    body(bytes).chain(end).boxed()
}
