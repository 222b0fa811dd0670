//! What a closure can do: run statements, read rows.
//!
//! The same for both databases. What they don't share is a closed list here:
//! the clauses that lock rows, the time, and the lock of the migrations.

use std::ops::Deref;

use landfall_clock::Timestamp;
use rusqlite::Connection;

use crate::{Result, Row, ToValue, params, postgres, statements};

/// A snapshot of the database.
pub struct ReadTransaction<'c> {
    source: Source<'c>,
}

/// A transaction that can change the database.
pub struct WriteTransaction<'c> {
    read: ReadTransaction<'c>,
}

enum Source<'c> {
    Sqlite(&'c Connection),
    Postgres(&'c postgres::Transaction),
}

impl<'c> ReadTransaction<'c> {
    pub(crate) fn sqlite(connection: &'c Connection) -> Self {
        Self {
            source: Source::Sqlite(connection),
        }
    }

    pub(crate) fn postgres(transaction: &'c postgres::Transaction) -> Self {
        Self {
            source: Source::Postgres(transaction),
        }
    }

    /// Every row of the answer, through `read`.
    pub fn all<T, F>(&self, sql: &str, params: &[&dyn ToValue], mut read: F) -> Result<Vec<T>>
    where
        F: FnMut(&Row<'_>) -> Result<T>,
    {
        if let Source::Postgres(transaction) = self.source {
            statements::count();
            return transaction.all(sql, params, read);
        }
        let mut found = Vec::new();
        self.visit(sql, params, |row| {
            found.push(read(row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// The rows of the answer up to the first of which `read` says, with
    /// `false`, that it is enough. That one is the last of them.
    pub fn all_while<T, F>(&self, sql: &str, params: &[&dyn ToValue], mut read: F) -> Result<Vec<T>>
    where
        F: FnMut(&Row<'_>) -> Result<(T, bool)>,
    {
        let mut found = Vec::new();
        self.visit(sql, params, |row| {
            let (value, more) = read(row)?;
            found.push(value);
            Ok(more)
        })?;
        Ok(found)
    }

    /// Hands every row of the answer to `visit`, holding a few at a time.
    pub fn each<F>(&self, sql: &str, params: &[&dyn ToValue], mut visit: F) -> Result<()>
    where
        F: FnMut(&Row<'_>) -> Result<()>,
    {
        self.visit(sql, params, |row| visit(row).map(|()| true))
    }

    fn visit<F>(&self, sql: &str, params: &[&dyn ToValue], mut visit: F) -> Result<()>
    where
        F: FnMut(&Row<'_>) -> Result<bool>,
    {
        statements::count();
        let connection = match self.source {
            Source::Sqlite(connection) => connection,
            Source::Postgres(transaction) => return transaction.each(sql, params, visit),
        };
        let mut statement = connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if !visit(&Row::sqlite(row))? {
                break;
            }
        }
        Ok(())
    }

    /// The first row of the answer, or `None` if there is none.
    pub fn first<T, F>(&self, sql: &str, params: &[&dyn ToValue], read: F) -> Result<Option<T>>
    where
        F: FnOnce(&Row<'_>) -> Result<T>,
    {
        statements::count();
        let connection = match self.source {
            Source::Sqlite(connection) => connection,
            Source::Postgres(transaction) => return transaction.first(sql, params, read),
        };
        let mut statement = connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        let mut rows = statement.raw_query();
        rows.next()?.map(|row| read(&Row::sqlite(row))).transpose()
    }

    /// Whether the answer has a row.
    pub fn exists(&self, sql: &str, params: &[&dyn ToValue]) -> Result<bool> {
        self.first(sql, params, |_| Ok(())).map(|row| row.is_some())
    }

    /// The one number that the statement answers, 0 where it is null.
    pub fn number(&self, sql: &str, params: &[&dyn ToValue]) -> Result<u64> {
        let number = self.first(sql, params, |row| row.get::<Option<u64>>(0))?;
        Ok(number.flatten().unwrap_or(0))
    }

    /// The time by the clock of the database, which all servers share. SQLite
    /// has one server, so there it is the clock of the machine.
    pub fn now(&self) -> Result<Timestamp> {
        let sql = match self.source {
            Source::Sqlite(_) => "select cast(unixepoch('subsec') * 1000000 as integer)",
            Source::Postgres(_) => {
                "select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)"
            }
        };
        let now = self.first(sql, params![], |row| row.get(0))?;
        now.ok_or(crate::Error::Stopped)
    }
}

impl<'c> WriteTransaction<'c> {
    pub(crate) fn sqlite(connection: &'c Connection) -> Self {
        Self {
            read: ReadTransaction::sqlite(connection),
        }
    }

    pub(crate) fn postgres(transaction: &'c postgres::Transaction) -> Self {
        Self {
            read: ReadTransaction::postgres(transaction),
        }
    }

    /// Runs a statement and answers how many rows it changed.
    pub fn execute(&self, sql: &str, params: &[&dyn ToValue]) -> Result<u64> {
        statements::count();
        let connection = match self.source {
            Source::Sqlite(connection) => connection,
            Source::Postgres(transaction) => return transaction.execute(sql, params),
        };
        let mut statement = connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        Ok(statement.raw_execute()? as u64)
    }

    /// Runs several statements without parameters, as migrations hold them. On
    /// PostgreSQL, columns declared as `TEXT` compare by their bytes, as they
    /// do in SQLite.
    pub fn execute_script(&self, sql: &str) -> Result<()> {
        statements::count();
        match self.source {
            Source::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Source::Postgres(transaction) => transaction.script(sql),
        }
    }

    /// The clause, or nothing on SQLite, which has one writer.
    fn clause(&self, clause: &'static str) -> &'static str {
        match self.source {
            Source::Sqlite(_) => "",
            Source::Postgres(_) => clause,
        }
    }

    /// The clause that locks the selected rows and passes over rows that
    /// somebody else holds. SQLite has one writer, so there it is empty.
    pub fn skip_locked(&self) -> &'static str {
        self.clause(" for update skip locked")
    }

    /// The clause that locks the selected rows against change until the end of
    /// the transaction. SQLite has one writer, so there it is empty.
    pub fn for_update(&self) -> &'static str {
        self.clause(" for update")
    }

    /// The clause that keeps the selected rows from changing until the end of
    /// the transaction, while others may do the same. SQLite has one writer,
    /// so there it is empty.
    pub fn for_share(&self) -> &'static str {
        self.clause(" for share")
    }

    /// The clause that keeps the selected rows from being deleted, or locked by
    /// [`WriteTransaction::for_update`], until the end of the transaction. What
    /// a foreign key takes; others may take it too, and may change other
    /// columns than the key. SQLite has one writer, so there it is empty.
    pub fn for_key_share(&self) -> &'static str {
        self.clause(" for key share")
    }

    /// Holds a name until the end of the transaction, together with others who
    /// hold it in this way. Waits for one who has it alone. For rules between
    /// transactions that no row stands for. SQLite has one writer, so there it
    /// does nothing.
    pub fn lock_shared(&self, name: &str) -> Result<()> {
        self.lock_name("select pg_advisory_xact_lock_shared(?1)", name)
    }

    /// Holds a name alone until the end of the transaction. Waits for everybody
    /// who holds it. SQLite has one writer, so there it does nothing.
    pub fn lock_exclusive(&self, name: &str) -> Result<()> {
        self.lock_name("select pg_advisory_xact_lock(?1)", name)
    }

    fn lock_name(&self, sql: &str, name: &str) -> Result<()> {
        let Source::Postgres(transaction) = self.source else {
            return Ok(());
        };
        // PostgreSQL locks numbers; this one is made of ours (FNV-1a).
        let number = format!("landfall {name}")
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |number, byte| {
                (number ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            });
        transaction.execute(sql, params![number as i64]).map(drop)
    }
}

/// A write transaction reads its own writes.
impl<'c> Deref for WriteTransaction<'c> {
    type Target = ReadTransaction<'c>;
    fn deref(&self) -> &Self::Target {
        &self.read
    }
}

fn bind(statement: &mut rusqlite::Statement<'_>, params: &[&dyn ToValue]) -> Result<()> {
    for (index, param) in params.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, param.to_value())?;
    }
    Ok(())
}
