//! Leases: one server at a time does something, by the database's clock.
//!
//! # Overview
//!
//! A lease is a row: a name, who holds it, until when, and a **token** that
//! grows with every new holder. Time is the database's, so servers whose clocks
//! differ agree on when a lease has ended.
//!
//! # What may be relied on
//!
//! - Two holders never have the same token, and of two the later has the higher
//!   one.
//! - A transaction that checks [`lease_is_held`] commits before anybody else
//!   takes the lease, or finds it lost. Work outside of the database has no
//!   such check: its holder stops at two thirds of the lease's time by its own
//!   monotonic clock ([`Lease::is_fresh`]), or carries the token along.
//!
//! # Crashes
//!
//! A holder that dies keeps the others waiting until its lease ends, and no
//! longer.

use std::time::{Duration, Instant};

use landfall_clock::Timestamp;

use crate::{Migration, MigrationSet, ReadTransaction, Result, WriteTransaction, params};

/// The table of leases.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "lease",
    migrations: &[Migration {
        name: "leases",
        sql: "
            create table lease(
              name TEXT primary key,
              holder TEXT not null,
              token BIGINT not null,
              expires BIGINT not null);",
    }],
};

/// A lease that is held.
#[derive(Debug, Clone)]
pub struct Lease {
    name: String,
    token: u64,
    ttl: Duration,
    /// When it was asked for: it can't have begun earlier.
    asked: Instant,
}

impl Lease {
    /// What it is for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Grows with every holder.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// How long it lasts from when it was taken or renewed.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Whether less than two thirds of its time have passed here: until then,
    /// work outside of the database may go on.
    pub fn is_fresh(&self) -> bool {
        self.asked.elapsed() < self.ttl * 2 / 3
    }
}

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The name that the holder gave itself.
    pub holder: String,
    /// Until when, by the database's clock.
    pub expires: Timestamp,
}

/// Takes the lease for `ttl`, if nobody holds it now.
pub fn lease_take(
    tx: &WriteTransaction<'_>,
    name: &str,
    holder: &str,
    ttl: Duration,
) -> Result<Option<Lease>> {
    take(tx, name, holder, ttl, "lease.expires <= ?4")
}

/// As [`lease_take`], and also if whoever holds it has this same name: for a
/// holder who knows that the earlier one of the name is gone.
pub fn lease_take_again(
    tx: &WriteTransaction<'_>,
    name: &str,
    holder: &str,
    ttl: Duration,
) -> Result<Option<Lease>> {
    let free = "(lease.expires <= ?4 or lease.holder = excluded.holder)";
    take(tx, name, holder, ttl, free)
}

fn take(
    tx: &WriteTransaction<'_>,
    name: &str,
    holder: &str,
    ttl: Duration,
    free: &str,
) -> Result<Option<Lease>> {
    let asked = Instant::now();
    let now = tx.now()?;
    let token = tx.first(
        &format!(
            "insert into lease(name, holder, token, expires) values (?1, ?2, 1, ?3)
             on conflict (name) do update
             set holder = excluded.holder, token = lease.token + 1, expires = excluded.expires
             where {free}
             returning token"
        ),
        params![name, holder, now + ttl, now],
        |row| row.get(0),
    )?;
    Ok(token.map(|token| Lease {
        name: name.to_owned(),
        token,
        ttl,
        asked,
    }))
}

/// Prolongs the lease by `ttl` from now; `None` if somebody else has taken it.
pub fn lease_renew(tx: &WriteTransaction<'_>, lease: &Lease) -> Result<Option<Lease>> {
    let asked = Instant::now();
    let now = tx.now()?;
    let renewed = tx.execute(
        "update lease set expires = ?3 where name = ?1 and token = ?2 and expires > 0",
        params![lease.name, lease.token, now + lease.ttl],
    )?;
    Ok((renewed == 1).then(|| Lease {
        asked,
        ..lease.clone()
    }))
}

/// Gives the lease back; `false` if it was not held any more.
pub fn lease_release(tx: &WriteTransaction<'_>, lease: &Lease) -> Result<bool> {
    // The row stays, so that the next token is higher.
    let released = tx.execute(
        "update lease set expires = 0 where name = ?1 and token = ?2 and expires > 0",
        params![lease.name, lease.token],
    )?;
    Ok(released == 1)
}

/// Whether the lease is held by this token. It can't be taken by another until
/// the end of the transaction.
pub fn lease_is_held(tx: &WriteTransaction<'_>, name: &str, token: u64) -> Result<bool> {
    let now = tx.now()?;
    tx.exists(
        &format!(
            "select 1 from lease where name = ?1 and token = ?2 and expires > ?3{}",
            tx.for_share()
        ),
        params![name, token, now],
    )
}

/// Who holds the lease now.
pub fn lease_find(tx: &ReadTransaction<'_>, name: &str) -> Result<Option<Holder>> {
    let now = tx.now()?;
    tx.first(
        "select holder, expires from lease where name = ?1 and expires > ?2",
        params![name, now],
        |row| {
            Ok(Holder {
                holder: row.get(0)?,
                expires: row.get(1)?,
            })
        },
    )
}
