//! SQLite behind the interface: one writer thread, readers on every thread.

mod diagnosis;
mod reader;
mod writer;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{Error, ReadTransaction, Result, Row, ToValue, WriteTransaction};

pub(crate) use writer::Urgency;

/// Statements that a connection keeps prepared.
const PREPARED_STATEMENTS: usize = 256;
/// How long a connection waits for a lock that only a program from outside
/// could hold, in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 10_000;

/// An open SQLite database.
pub(crate) struct Sqlite {
    path: PathBuf,
    writer: writer::Writer,
    readers: reader::Readers,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        set_up(&connection)?;
        connection.execute_batch(
            "pragma journal_mode = wal;
             pragma synchronous = full;
             pragma foreign_keys = on;
             pragma journal_size_limit = 67108864;
             pragma wal_autocheckpoint = 4000;
             pragma cache_size = -32768;",
        )?;
        // The first read makes the write-ahead log. Its name, and that of the
        // database, must be on the disk before a commit to it counts.
        connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
        sync_directory(path).map_err(|_| Error::ReadOnly)?;
        Ok(Self {
            path: path.to_owned(),
            writer: writer::Writer::start(connection)?,
            readers: reader::Readers::new(path),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) async fn write<T, E, F>(&self, urgency: Urgency, work: F) -> Result<T, E>
    where
        F: FnMut(&WriteTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (answer, receiver) = tokio::sync::oneshot::channel();
        self.writer.submit(
            urgency,
            Box::new(writer::Closure {
                work,
                outcome: None,
                answer,
            }),
        );
        receiver
            .await
            .unwrap_or_else(|_| Err(Error::Stopped.into()))
    }

    pub(crate) fn read_here<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&ReadTransaction<'_>) -> Result<T, E>,
        E: From<Error>,
    {
        self.readers.on_this_thread(work)
    }

    pub(crate) fn row<T>(
        &self,
        sql: &str,
        params: &[&dyn ToValue],
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.readers.row(sql, params, read)
    }

    pub(crate) fn read_pooled<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&ReadTransaction<'_>) -> Result<T, E>,
        E: From<Error>,
    {
        self.readers.on_pooled(work)
    }

    pub(crate) fn copy_to(&self, path: &Path) -> Result<()> {
        let source = open_read_only(&self.path)?;
        source.execute("vacuum into ?1", [path.to_string_lossy()])?;
        let copied = std::fs::File::open(path).and_then(|file| file.sync_all());
        copied.map_err(|_| Error::ReadOnly)
    }
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    std::fs::File::open(directory)?.sync_all()
}

fn open_read_only(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> Result<()> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    // Plans don't depend on the values of parameters. Otherwise a statement
    // near a partial index is compiled again each time its values change, which
    // costs more than the look-up itself.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}
