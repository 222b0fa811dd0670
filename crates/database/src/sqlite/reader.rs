//! Read-only connections: one for each thread that looks things up, and a few
//! for reads that may take long.
//!
//! A connection sees what was committed before its transaction began, so a
//! read that starts after a write was answered sees that write.

use std::{
    cell::RefCell,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rusqlite::Connection;

use super::open_read_only;
use crate::{Error, ReadTransaction, Result, Row, ToValue};

/// Idle connections for long reads that are kept.
const POOLED: usize = 4;

thread_local! {
    /// The connections of this thread, by the number of their database.
    static MINE: RefCell<HashMap<u64, Connection>> = RefCell::default();
}

static NEXT_DATABASE: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Readers {
    path: PathBuf,
    /// Which of a thread's connections is to this database.
    number: u64,
    /// Idle connections. A std mutex: held for a push or a pop.
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            number: NEXT_DATABASE.fetch_add(1, Ordering::Relaxed),
            idle: Mutex::default(),
        }
    }

    pub(crate) fn on_this_thread<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&ReadTransaction<'_>) -> Result<T, E>,
        E: From<Error>,
    {
        // Taken out while in use, so that work that reads again inside gets a
        // connection of its own instead of a panic.
        let mine = MINE.with_borrow_mut(|mine| mine.remove(&self.number));
        let connection = match mine {
            Some(connection) => connection,
            None => open_read_only(&self.path)?,
        };
        let result = in_snapshot(&connection, work);
        MINE.with_borrow_mut(|mine| mine.insert(self.number, connection));
        result
    }

    /// One statement, on this thread's connection: it is its own snapshot.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        params: &[&dyn ToValue],
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mine = MINE.with_borrow_mut(|mine| mine.remove(&self.number));
        let connection = match mine {
            Some(connection) => connection,
            None => open_read_only(&self.path)?,
        };
        let result = ReadTransaction::sqlite(&connection).first(sql, params, read);
        MINE.with_borrow_mut(|mine| mine.insert(self.number, connection));
        result
    }

    pub(crate) fn on_pooled<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&ReadTransaction<'_>) -> Result<T, E>,
        E: From<Error>,
    {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let pooled = idle().pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => open_read_only(&self.path)?,
        };
        let result = in_snapshot(&connection, work);
        let mut idle = idle();
        if idle.len() < POOLED {
            idle.push(connection);
        }
        result
    }
}

fn in_snapshot<T, E, F>(connection: &Connection, work: F) -> Result<T, E>
where
    F: FnOnce(&ReadTransaction<'_>) -> Result<T, E>,
    E: From<Error>,
{
    let statement =
        |sql| -> Result<()> { Ok(connection.prepare_cached(sql)?.execute([]).map(drop)?) };
    statement("begin")?;
    let result = work(&ReadTransaction::sqlite(connection));
    // Reading changes nothing, so the end can't fail in a way that matters.
    let _ = statement("commit");
    result
}
