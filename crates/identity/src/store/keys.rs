//! The tables of keys: which master key it is, and what is sealed under it.

use std::time::Duration;

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, Row, WriteTransaction, epoch, params};
use landfall_ids::SigningKeyId;

pub(crate) fn master_key_find(tx: &ReadTransaction<'_>) -> Result<Option<String>> {
    tx.first(
        "select fingerprint from master_key where number = 1",
        params![],
        |row| row.get(0),
    )
}

/// Notes the fingerprint if there is none; the one that there is then.
pub(crate) fn master_key_ensure(
    tx: &WriteTransaction<'_>,
    fingerprint: &str,
    now: Timestamp,
) -> Result<String> {
    tx.execute(
        "insert into master_key(number, fingerprint, created) values (1, ?1, ?2)
         on conflict (number) do nothing",
        params![fingerprint, now],
    )?;
    Ok(master_key_find(tx)?.unwrap_or_else(|| fingerprint.to_owned()))
}

pub(crate) fn master_key_forget(tx: &WriteTransaction<'_>) -> Result<()> {
    tx.execute("delete from token_key", params![])?;
    tx.execute("delete from signing_key", params![])?;
    tx.execute("delete from master_key", params![])?;
    epoch::bump(tx, epoch::ACCESS)
}

/// The one key of an earlier version, sealed.
pub(crate) fn token_key_find(tx: &ReadTransaction<'_>) -> Result<Option<Vec<u8>>> {
    tx.first(
        "select sealed from token_key where number = 1",
        params![],
        |row| row.get(0),
    )
}

/// A key that signs tokens, as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct StoredKey {
    pub(crate) id: SigningKeyId,
    /// The private key; gone once the key was revoked.
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) public: Vec<u8>,
    pub(crate) created: Timestamp,
    /// From when on it signs, until a later one does.
    pub(crate) signs_from: Timestamp,
    /// Until when it verifies, once another one has taken over.
    pub(crate) verifies_until: Option<Timestamp>,
    pub(crate) revoked: Option<Timestamp>,
}

fn stored_key(row: &Row<'_>) -> Result<StoredKey> {
    Ok(StoredKey {
        id: row.get(0)?,
        sealed: row.get(1)?,
        public: row.get(2)?,
        created: row.get(3)?,
        signs_from: row.get(4)?,
        verifies_until: row.get(5)?,
        revoked: row.get(6)?,
    })
}

/// All of them, oldest first.
pub(crate) fn signing_key_list(tx: &ReadTransaction<'_>) -> Result<Vec<StoredKey>> {
    tx.all(
        "select id, sealed, public, created, signs_from, verifies_until, revoked
         from signing_key order by signs_from, id",
        params![],
        stored_key,
    )
}

fn signing_key_insert(tx: &WriteTransaction<'_>, key: &StoredKey) -> Result<()> {
    tx.execute(
        "insert into signing_key(id, sealed, public, created, signs_from)
         values (?1, ?2, ?3, ?4, ?5)",
        params![key.id, key.sealed, key.public, key.created, key.signs_from],
    )?;
    Ok(())
}

/// Changes of keys come one after another: two that make one each, or one that
/// revokes the key that the other relies on, must see each other.
fn one_at_a_time(tx: &WriteTransaction<'_>) -> Result<()> {
    tx.lock_exclusive("signing keys")
}

/// Makes this the first key, if there is none.
pub(crate) fn signing_key_ensure(tx: &WriteTransaction<'_>, first: &StoredKey) -> Result<()> {
    one_at_a_time(tx)?;
    if !signing_key_list(tx)?.is_empty() {
        return Ok(());
    }
    signing_key_insert(tx, first)?;
    tx.execute("delete from token_key", params![])?;
    epoch::bump(tx, epoch::ACCESS)
}

/// Adds a key that signs when it has been known for `known`: from now on, or from
/// when the latest one signs, if that was told by a clock that is ahead. The
/// others verify for `after` more, and those that have ended go. The key as it
/// is then.
pub(crate) fn signing_key_rotate(
    tx: &WriteTransaction<'_>,
    next: &StoredKey,
    known: Duration,
    after: Duration,
) -> Result<StoredKey> {
    one_at_a_time(tx)?;
    let latest = tx.first(
        "select signs_from from signing_key where verifies_until is null and revoked is null
         order by signs_from desc limit 1",
        params![],
        |row| row.get(0),
    )?;
    let signs_from = latest.map_or(next.created, |latest| next.created.max(latest)) + known;
    let until = signs_from + after;
    let next = StoredKey {
        signs_from,
        ..next.clone()
    };
    tx.execute(
        "delete from signing_key where verifies_until <= ?1",
        params![next.created],
    )?;
    tx.execute(
        "update signing_key set verifies_until = ?1 where verifies_until is null",
        params![until],
    )?;
    signing_key_insert(tx, &next)?;
    epoch::bump(tx, epoch::ACCESS)?;
    Ok(next)
}

/// What became of a wish to revoke a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyRevoked {
    /// There is no such key.
    Unknown,
    /// It was revoked before.
    Already,
    /// It is.
    Now,
}

/// Revokes a key, and forgets its private part. If none is left that signs,
/// `next` does, at once.
pub(crate) fn signing_key_revoke(
    tx: &WriteTransaction<'_>,
    id: SigningKeyId,
    next: &StoredKey,
    until: Timestamp,
) -> Result<KeyRevoked> {
    one_at_a_time(tx)?;
    let revoked = tx.execute(
        "update signing_key set revoked = ?2, verifies_until = ?3, sealed = null
         where id = ?1 and revoked is null",
        params![id, next.created, until],
    )?;
    if revoked == 0 {
        let known = tx.exists("select 1 from signing_key where id = ?1", params![id])?;
        return Ok(if known {
            KeyRevoked::Already
        } else {
            KeyRevoked::Unknown
        });
    }
    let left = tx.exists(
        "select 1 from signing_key where revoked is null and verifies_until is null",
        params![],
    )?;
    if !left {
        signing_key_insert(tx, next)?;
    }
    epoch::bump(tx, epoch::ACCESS)?;
    Ok(KeyRevoked::Now)
}
