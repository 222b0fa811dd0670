//! The tables of keys: which master key it is, and what is sealed under it.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, WriteTransaction, params};

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
    tx.execute("delete from master_key", params![])?;
    Ok(())
}

pub(crate) fn token_key_find(tx: &ReadTransaction<'_>) -> Result<Option<Vec<u8>>> {
    tx.first(
        "select sealed from token_key where number = 1",
        params![],
        |row| row.get(0),
    )
}

/// Keeps the sealed key if there is none; the one that there is then.
pub(crate) fn token_key_ensure(
    tx: &WriteTransaction<'_>,
    sealed: &[u8],
    now: Timestamp,
) -> Result<Vec<u8>> {
    tx.execute(
        "insert into token_key(number, sealed, created) values (1, ?1, ?2)
         on conflict (number) do nothing",
        params![sealed, now],
    )?;
    Ok(token_key_find(tx)?.unwrap_or_else(|| sealed.to_vec()))
}
