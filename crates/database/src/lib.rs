#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod migrate;
mod sqlite;
mod transaction;
mod value;

use std::{path::Path, sync::Arc};

pub use error::Error;
pub use migrate::{Migration, MigrationSet};
pub use transaction::{ReadTransaction, WriteTransaction};
pub use value::{FromValue, Row, ToValue, Value, placeholders};

/// The result of work on the database.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A handle to the metadata database. Cloning it is cheap.
#[derive(Clone)]
pub struct Database(Arc<sqlite::Sqlite>);

impl Database {
    /// Opens the SQLite database at `path`, and makes it if it is not there.
    pub fn open_sqlite(path: &Path) -> Result<Self> {
        sqlite::Sqlite::open(path).map(|sqlite| Self(Arc::new(sqlite)))
    }

    /// Brings the schema up to date: the sets in the order given, each
    /// migration once. A database that a newer Landfall has migrated is
    /// refused and left as it is.
    pub async fn migrate(&self, sets: &'static [MigrationSet]) -> Result<()> {
        self.write(move |tx| migrate::run(tx, sets)).await
    }

    /// Runs `work` in a write transaction and answers when it is durable.
    ///
    /// An error of `work` undoes what it did. `work` may run again after a
    /// conflict, so it must do nothing outside the database.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&WriteTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.0.write(sqlite::Urgency::Foreground, work).await
    }

    /// As [`Database::write`], but only when no foreground work waits. Keep it
    /// to a few milliseconds: whoever comes meanwhile waits for its end.
    pub async fn write_behind<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&WriteTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.0.write(sqlite::Urgency::Behind, work).await
    }

    /// Runs `work` on a snapshot of the database, on the calling thread: for
    /// point look-ups, which cost less than a hop to another thread.
    #[expect(
        clippy::unused_async,
        reason = "a database over a network will wait here"
    )]
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&ReadTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.0.read_here(work)
    }

    /// Runs `work` on a snapshot of the database, on the blocking pool: for
    /// listings and checks that may take long.
    pub async fn read_long<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&ReadTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let sqlite = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || sqlite.read_pooled(work))
            .await
            .unwrap_or_else(|_| Err(Error::Stopped.into()))
    }

    /// Writes a consistent copy of the database to a new file at `path`, while
    /// everything goes on. The copy is on the disk when this returns.
    pub async fn copy_to(&self, path: &Path) -> Result<()> {
        let (sqlite, path) = (Arc::clone(&self.0), path.to_owned());
        tokio::task::spawn_blocking(move || sqlite.copy_to(&path))
            .await
            .unwrap_or(Err(Error::Stopped))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Database").field(&self.0.path()).finish()
    }
}
