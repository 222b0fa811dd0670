#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod copy;
pub mod epoch;
mod error;
pub mod lease;
mod migrate;
pub mod outbox;
mod postgres;
mod row;
mod sqlite;
mod statements;
mod transaction;
mod value;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

pub use error::Error;
pub use migrate::{Migration, MigrationSet};
pub use postgres::PostgresOptions;
pub use row::Row;
pub use statements::statements;
pub use transaction::{ReadTransaction, WriteTransaction};
pub use value::{FromValue, HasKind, ToValue, Value, ValueKind, placeholders};

use sqlite::Urgency;

/// The result of work on the database.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A handle to the metadata database. Cloning it is cheap.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    backend: Backend,
    /// The schema, once this handle has migrated it.
    sets: OnceLock<&'static [MigrationSet]>,
}

/// The databases behind the one interface.
enum Backend {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One file, and one server that uses it.
    Sqlite,
    /// A server of its own, which several servers of Landfall may share.
    Postgres,
}

impl Database {
    /// Opens the SQLite database at `path`, and makes it if it is not there.
    pub fn open_sqlite(path: &Path) -> Result<Self> {
        sqlite::Sqlite::open(path).map(|sqlite| Self::over(Backend::Sqlite(sqlite)))
    }

    /// Opens a PostgreSQL database, which has to be there. Connects once, to
    /// see that it can be used.
    pub async fn open_postgres(options: &PostgresOptions) -> Result<Self> {
        let options = options.clone();
        let opened = tokio::task::spawn_blocking(move || postgres::Postgres::open(&options));
        let postgres = opened.await.unwrap_or(Err(Error::Stopped))?;
        Ok(Self::over(Backend::Postgres(postgres)))
    }

    fn over(backend: Backend) -> Self {
        Self(Arc::new(Inner {
            backend,
            sets: OnceLock::new(),
        }))
    }

    /// Which kind of database this is.
    pub fn kind(&self) -> Kind {
        match &self.0.backend {
            Backend::Sqlite(_) => Kind::Sqlite,
            Backend::Postgres(_) => Kind::Postgres,
        }
    }

    /// Brings the schema up to date: the sets in the order given, each
    /// migration once. A database that a newer Landfall has migrated is
    /// refused and left as it is.
    pub async fn migrate(&self, sets: &'static [MigrationSet]) -> Result<()> {
        self.write(move |tx| migrate::run(tx, sets)).await?;
        // Those that a server starts with stay those of the database.
        let _ = self.0.sets.set(sets);
        Ok(())
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
        match &self.0.backend {
            Backend::Sqlite(sqlite) => sqlite.write(Urgency::Foreground, work).await,
            Backend::Postgres(postgres) => postgres.write(Urgency::Foreground, work).await,
        }
    }

    /// As [`Database::write`], but behind it: on SQLite it runs when nobody
    /// else waits, or rides along with others for a small share of the time.
    /// Keep it to a few milliseconds: whoever comes meanwhile waits for its
    /// end.
    pub async fn write_behind<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&WriteTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match &self.0.backend {
            Backend::Sqlite(sqlite) => sqlite.write(Urgency::Behind, work).await,
            Backend::Postgres(postgres) => postgres.write(Urgency::Behind, work).await,
        }
    }

    /// Runs `work` on a snapshot of the database. On SQLite on the calling
    /// thread: for reads of a few statements, which cost less than a hop to
    /// another thread.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&ReadTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match &self.0.backend {
            Backend::Sqlite(sqlite) => sqlite.read_here(work),
            Backend::Postgres(postgres) => postgres.read(work).await,
        }
    }

    /// The first row that one statement answers, or `None` if there is none:
    /// for what each request looks up. On SQLite it runs at once on the calling
    /// thread; on PostgreSQL, look-ups of many requests go to the server
    /// together.
    pub fn row<T, F>(
        &self,
        sql: &'static str,
        params: &[&dyn ToValue],
        read: F,
    ) -> impl Future<Output = Result<Option<T>>> + Send + use<T, F>
    where
        F: FnOnce(&Row<'_>) -> Result<T> + Send,
        T: Send,
    {
        enum Asked<T, W> {
            Answered(Result<Option<T>>),
            Waiting(W),
        }
        let asked = match &self.0.backend {
            Backend::Sqlite(sqlite) => Asked::Answered(sqlite.row(sql, params, read)),
            Backend::Postgres(postgres) => Asked::Waiting(postgres.row(sql, params, read)),
        };
        async move {
            match asked {
                Asked::Answered(answer) => answer,
                Asked::Waiting(row) => row.await,
            }
        }
    }

    /// Runs `work` on a snapshot of the database, on the blocking pool: for
    /// listings and checks that may take long.
    pub async fn read_long<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&ReadTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        if let Backend::Postgres(postgres) = &self.0.backend {
            return postgres.read_long(work).await;
        }
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || match &inner.backend {
            Backend::Sqlite(sqlite) => sqlite.read_pooled(work),
            Backend::Postgres(_) => Err(Error::Stopped.into()),
        })
        .await
        .unwrap_or_else(|_| Err(Error::Stopped.into()))
    }

    /// Writes a consistent copy of the database to a new file at `path`, while
    /// everything goes on. The copy is a SQLite database, whichever this one is,
    /// and is on the disk when this returns. A PostgreSQL database must have
    /// been migrated by this handle.
    pub async fn copy_to(&self, path: &Path) -> Result<()> {
        let path = path.to_owned();
        if let Backend::Postgres(postgres) = &self.0.backend {
            let sets = self.sets()?;
            let copied = postgres.read_long(move |tx| copy::to_sqlite(tx, &path, sets));
            return copied.await;
        }
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || match &inner.backend {
            Backend::Sqlite(sqlite) => sqlite.copy_to(&path),
            Backend::Postgres(_) => Err(Error::Stopped),
        })
        .await
        .unwrap_or(Err(Error::Stopped))
    }

    /// Fills this database, migrated and empty, with the rows of the SQLite
    /// database at `path`: a copy, brought up to the same schema. All of it or
    /// nothing.
    pub async fn copy_from(&self, path: &Path) -> Result<()> {
        let (path, sets) = (path.to_owned(), self.sets()?);
        self.write(move |tx| copy::from_sqlite(tx, &path, sets))
            .await
    }

    fn sets(&self) -> Result<&'static [MigrationSet]> {
        let unknown = || Error::Failed("a copy of a database that was not migrated".into());
        self.0.sets.get().copied().ok_or_else(unknown)
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut f = f.debug_tuple("Database");
        match &self.0.backend {
            Backend::Sqlite(sqlite) => f.field(&sqlite.path()),
            Backend::Postgres(postgres) => f.field(&postgres.describe()),
        };
        f.finish()
    }
}
