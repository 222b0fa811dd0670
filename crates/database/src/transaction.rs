//! What a closure can do: run statements, read rows.

use std::ops::Deref;

use rusqlite::Connection;

use crate::{Result, Row, ToValue};

/// A snapshot of the database.
pub struct ReadTransaction<'c> {
    connection: &'c Connection,
}

/// A transaction that can change the database.
pub struct WriteTransaction<'c> {
    read: ReadTransaction<'c>,
}

impl<'c> ReadTransaction<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self { connection }
    }

    /// Every row of the answer, through `read`.
    pub fn all<T, F>(&self, sql: &str, params: &[&dyn ToValue], mut read: F) -> Result<Vec<T>>
    where
        F: FnMut(&Row<'_>) -> Result<T>,
    {
        let mut found = Vec::new();
        self.each(sql, params, |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The rows of the answer up to the first of which `read` says, with
    /// `false`, that it is enough. That one is the last of them.
    pub fn all_while<T, F>(&self, sql: &str, params: &[&dyn ToValue], mut read: F) -> Result<Vec<T>>
    where
        F: FnMut(&Row<'_>) -> Result<(T, bool)>,
    {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (value, more) = read(&Row(row))?;
            found.push(value);
            if !more {
                break;
            }
        }
        Ok(found)
    }

    /// Hands every row of the answer to `visit`, holding one at a time.
    pub fn each<F>(&self, sql: &str, params: &[&dyn ToValue], mut visit: F) -> Result<()>
    where
        F: FnMut(&Row<'_>) -> Result<()>,
    {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            visit(&Row(row))?;
        }
        Ok(())
    }

    /// The first row of the answer, or `None` if there is none.
    pub fn first<T, F>(&self, sql: &str, params: &[&dyn ToValue], read: F) -> Result<Option<T>>
    where
        F: FnOnce(&Row<'_>) -> Result<T>,
    {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        let mut rows = statement.raw_query();
        rows.next()?.map(|row| read(&Row(row))).transpose()
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
}

impl<'c> WriteTransaction<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self {
            read: ReadTransaction::new(connection),
        }
    }

    /// Runs a statement and answers how many rows it changed.
    pub fn execute(&self, sql: &str, params: &[&dyn ToValue]) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        Ok(statement.raw_execute()? as u64)
    }

    /// Runs several statements without parameters, as migrations hold them.
    pub fn execute_script(&self, sql: &str) -> Result<()> {
        Ok(self.connection.execute_batch(sql)?)
    }

    /// The clause that locks the selected rows and passes over rows that
    /// somebody else holds. SQLite has one writer, so there it is empty.
    pub fn skip_locked(&self) -> &'static str {
        ""
    }

    /// The clause that locks the selected rows against change until the end of
    /// the transaction. SQLite has one writer, so there it is empty.
    pub fn for_update(&self) -> &'static str {
        ""
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
