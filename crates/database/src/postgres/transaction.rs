//! A transaction: statements on one connection, and what became of them.

use std::cell::{Cell, RefCell};

use super::{
    connection::{Answer, Connection},
    fault::{Fault, Rerun, ServerError},
};
use crate::{Error, Result, Row, ToValue};

/// Rows that are fetched first where a closure takes them one by one.
const FIRST: u32 = 2;
/// Rows that are fetched at once, at the most.
const MOST: u32 = 200;
/// Bytes that a fetch should bring.
const FETCH: usize = 1024 * 1024;

/// How a transaction begins.
///
/// Writers see what others commit meanwhile, statement by statement: that is
/// what a look after a lock needs. Readers see one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Write,
    Read,
}

impl Mode {
    fn begin(self) -> &'static str {
        match self {
            Self::Write => "begin isolation level read committed read write",
            Self::Read => "begin isolation level repeatable read read only",
        }
    }
}

/// A transaction that begins with its first statement.
pub(crate) struct Transaction {
    connection: RefCell<Connection>,
    mode: Mode,
    begun: Cell<bool>,
    /// Portals that were opened so far.
    portals: Cell<u32>,
    /// Whether a statement failed: PostgreSQL takes no other then.
    failed: Cell<bool>,
    /// Why the work may run again.
    rerun: Cell<Option<Rerun>>,
}

/// How a transaction ended that was to be kept.
pub(super) enum Commit {
    Kept,
    Refused(Error),
    /// The connection broke in the middle of the commit.
    Unknown,
}

impl Transaction {
    pub(super) fn new(connection: Connection, mode: Mode) -> Self {
        Self {
            connection: RefCell::new(connection),
            mode,
            begun: Cell::new(false),
            portals: Cell::new(0),
            failed: Cell::new(false),
            rerun: Cell::new(None),
        }
    }

    fn failure(&self, fault: Fault) -> Error {
        self.failed.set(true);
        if self.rerun.get().is_none() {
            self.rerun.set(fault.rerun());
        }
        fault.into()
    }

    fn run(&self, portal: &str, sql: &str, params: &[&dyn ToValue], rows: u32) -> Result<Answer> {
        let begin = (!self.begun.replace(true)).then(|| self.mode.begin());
        let answer = self
            .connection
            .borrow_mut()
            .run(begin, portal, sql, params, rows);
        answer.map_err(|fault| self.failure(fault))
    }

    /// Every row through `read`.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        params: &[&dyn ToValue],
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let answer = self.run("", sql, params, 0)?;
        answer
            .rows()
            .map(|row| read(&Row::postgres(&row)))
            .collect()
    }

    /// The first row, if there is one.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        params: &[&dyn ToValue],
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        // A statement that changes rows runs to its end nevertheless.
        let answer = self.run("", sql, params, 1)?;
        let row = answer.rows().next();
        row.map(|row| read(&Row::postgres(&row))).transpose()
    }

    /// Rows, some at a time, until `visit` says with `false` that it is enough.
    pub(crate) fn each(
        &self,
        sql: &str,
        params: &[&dyn ToValue],
        mut visit: impl FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        let number = self.portals.replace(self.portals.get() + 1);
        let portal = format!("p{number}");
        let mut fetch = FIRST;
        let mut answer = self.run(&portal, sql, params, fetch)?;
        loop {
            fetch = next_fetch(fetch, answer.largest());
            let (columns, suspended) = (answer.columns.clone(), answer.suspended);
            for row in answer.rows() {
                if !visit(&Row::postgres(&row))? {
                    self.connection.borrow_mut().close_portal(&portal);
                    return Ok(());
                }
            }
            if !suspended {
                self.connection.borrow_mut().close_portal(&portal);
                return Ok(());
            }
            let more = self
                .connection
                .borrow_mut()
                .run_on(&portal, &columns, fetch);
            answer = more.map_err(|fault| self.failure(fault))?;
        }
    }

    /// Runs a statement and answers how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, params: &[&dyn ToValue]) -> Result<u64> {
        self.run("", sql, params, 0).map(|answer| answer.changed)
    }

    /// Runs several statements without parameters.
    pub(crate) fn script(&self, sql: &str) -> Result<()> {
        let mut connection = self.connection.borrow_mut();
        let begun = self.begun.replace(true) || {
            let begun = connection.script(self.mode.begin());
            begun.map_err(|fault| self.failure(fault))?;
            true
        };
        debug_assert!(begun, "a script runs inside of the transaction");
        let run = connection.script(&by_bytes(sql));
        run.map(drop).map_err(|fault| self.failure(fault))
    }

    pub(super) fn rerun(&self) -> Option<Rerun> {
        self.rerun.get()
    }

    pub(super) fn commit(&self) -> Commit {
        if !self.begun.get() {
            return Commit::Kept;
        }
        match self.connection.borrow_mut().script("commit") {
            Ok(tag) if tag.starts_with(b"COMMIT") => Commit::Kept,
            Ok(_) => Commit::Refused(Error::Failed(Box::new(ServerError {
                message: "a statement failed, and its transaction went on".to_owned(),
                ..ServerError::default()
            }))),
            Err(Fault::Server(error)) if !error.is_fatal() => {
                Commit::Refused(self.failure(Fault::Server(error)))
            }
            Err(_) => Commit::Unknown,
        }
    }

    /// Ends the transaction without keeping anything, and gives the connection
    /// back if it is of use.
    pub(super) fn into_connection(self, committed: bool) -> Option<Connection> {
        let mut connection = self.connection.into_inner();
        if !committed && self.begun.get() && !connection.is_broken() {
            // A failure breaks the connection, which undoes everything as well.
            let _ = connection.script("rollback");
        }
        (!connection.is_broken()).then_some(connection)
    }
}

/// How many rows to fetch after `fetched`, the largest of which had so many
/// bytes: more if they are small, but not all at once, since the next ones may
/// be larger.
fn next_fetch(fetched: u32, largest: usize) -> u32 {
    let fits = u32::try_from(FETCH / largest.max(1)).unwrap_or(MOST);
    fits.min(fetched.saturating_mul(4)).clamp(1, MOST)
}

/// The statements of a migration, with texts that compare by their bytes as
/// they do in SQLite, whatever language the database was made for.
fn by_bytes(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 64);
    let mut rest = sql;
    while let Some(at) = rest.find("TEXT") {
        let (before, after) = rest.split_at(at);
        let after = &after["TEXT".len()..];
        let alone = !before.ends_with(is_part_of_a_word) && !after.starts_with(is_part_of_a_word);
        out.push_str(before);
        out.push_str(if alone { "TEXT collate \"C\"" } else { "TEXT" });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn is_part_of_a_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::{by_bytes, next_fetch};

    #[test]
    fn small_rows_are_fetched_by_the_hundred_and_large_ones_alone() {
        let mut fetch = 2;
        for expected in [8, 32, 128, 200, 200] {
            fetch = next_fetch(fetch, 100);
            assert_eq!(fetch, expected);
        }
        assert_eq!(next_fetch(200, 100_000), 10);
        assert_eq!(next_fetch(10, 8 << 20), 1);
        assert_eq!(next_fetch(1, 0), 4);
    }

    #[test]
    fn columns_of_text_compare_by_bytes() {
        assert_eq!(
            by_bytes("create table t(a TEXT not null, b BIGINT, c_TEXT BYTEA, d TEXT);"),
            "create table t(a TEXT collate \"C\" not null, b BIGINT, c_TEXT BYTEA, \
             d TEXT collate \"C\");"
        );
    }
}
