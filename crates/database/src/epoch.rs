//! Epochs: numbers that grow when something changes that servers remember.
//!
//! # Overview
//!
//! A server keeps in memory what it would otherwise read for each request, and
//! with it the number of the epoch that it was read in. Whoever changes what
//! lies behind it calls [`bump`] in the same transaction. A server that reads
//! another number ([`read`]) forgets what it kept.
//!
//! # What may be relied on
//!
//! - The number changes if and only if a change was committed. It may be
//!   compared for equality only: a database that was restored has an earlier one.
//! - Who reads number N and **then** reads what lies behind it gets the state of
//!   N, or a later one. What was read before the number may be older.
//!
//! # Two at once
//!
//! The row is locked from the bump to the commit, so changes of one epoch wait
//! for each other. **Bump last**: rows that a transaction locks after the bump
//! could be held by one that waits for it.

use crate::{Database, Migration, MigrationSet, ReadTransaction, Result, WriteTransaction, params};

/// The epoch of all that access depends on: who there is, with which
/// credentials, and what policies say.
pub const ACCESS: &str = "access";

/// The table of epochs.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "epoch",
    migrations: &[Migration {
        name: "epochs",
        sql: "
            create table epoch(
              name TEXT primary key,
              number BIGINT not null);",
    }],
};

const FIND: &str = "select number from epoch where name = ?1";

/// Begins the next epoch of this name, when the transaction commits.
pub fn bump(tx: &WriteTransaction<'_>, name: &str) -> Result<()> {
    tx.execute(
        "insert into epoch(name, number) values (?1, 1)
         on conflict (name) do update set number = epoch.number + 1",
        params![name],
    )?;
    Ok(())
}

/// The epoch of this name, from 0.
pub fn find(tx: &ReadTransaction<'_>, name: &str) -> Result<u64> {
    tx.number(FIND, params![name])
}

/// As [`find`], by itself: what each server asks all the time.
pub async fn read(database: &Database, name: &str) -> Result<u64> {
    let number = database.row(FIND, params![name], |row| row.get(0)).await?;
    Ok(number.unwrap_or(0))
}
