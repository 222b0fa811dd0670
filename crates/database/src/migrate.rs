//! Migrations: each domain owns its tables and brings them up to date.

use crate::{Error, Result, WriteTransaction, params};

/// One step of a schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// What it does, in a few words.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

/// The schema of one domain: its migrations, in order. A migration is never
/// changed after it was released; its number is its place in the list, from 1.
#[derive(Debug, Clone, Copy)]
pub struct MigrationSet {
    /// The domain that owns the tables.
    pub domain: &'static str,
    /// The steps, oldest first.
    pub migrations: &'static [Migration],
}

/// Runs what is missing, in the caller's transaction: all of it or nothing.
/// Of several servers that start at once, one migrates and the others wait.
pub(crate) fn run(tx: &WriteTransaction<'_>, sets: &[MigrationSet]) -> Result<()> {
    tx.lock_exclusive("migrations")?;
    tx.execute_script(
        "create table if not exists schema_migration(
           domain TEXT not null, version BIGINT not null, name TEXT not null,
           primary key (domain, version))",
    )?;
    for set in sets {
        let done = tx.number(
            "select max(version) from schema_migration where domain = ?1",
            params![set.domain],
        )? as usize;
        if done > set.migrations.len() {
            return Err(Error::NewerSchema {
                domain: set.domain.to_owned(),
                found: done as i64,
                known: set.migrations.len() as i64,
            });
        }
        for (index, migration) in set.migrations.iter().enumerate().skip(done) {
            tracing::debug!(domain = set.domain, migration = migration.name, "migrating");
            tx.execute_script(migration.sql)?;
            tx.execute(
                "insert into schema_migration(domain, version, name) values (?1, ?2, ?3)",
                params![set.domain, index + 1, migration.name],
            )?;
        }
    }
    Ok(())
}
