//! The table of API keys.

use std::time::Duration;

use landfall_clock::Timestamp;
use landfall_database::{Database, ReadTransaction, Result, Row, WriteTransaction, params};
use landfall_ids::{ApiKeyId, PrincipalId};

use super::principals::{STANDING_COLUMNS, Standing, select_standing, standing};
use crate::ApiKey;

/// What a later migration adds: the first epoch whose tokens of a key are good.
pub(crate) const TOKENS_FROM: &str =
    "alter table api_key add column tokens_from BIGINT not null default 0;";

/// A key as it is stored, with whose it is.
pub(crate) struct StoredKey {
    pub(crate) owner: Standing,
    pub(crate) hash: Vec<u8>,
    pub(crate) expires: Option<Timestamp>,
    /// The hash that it had before its rotation, and until when that is good.
    pub(crate) earlier: Option<(Vec<u8>, Timestamp)>,
    pub(crate) last_used: Option<Timestamp>,
    /// The first epoch whose tokens of the key are good.
    pub(crate) tokens_from: u64,
}

/// What each request with an API key looks up.
pub(crate) fn api_key_look_up(
    database: &Database,
    id: ApiKeyId,
) -> impl Future<Output = Result<Option<StoredKey>>> + use<> {
    database.row(
        select_standing!(
            ", api_key.hash, api_key.expires, api_key.earlier_hash, api_key.earlier_until,
             api_key.last_used, api_key.tokens_from
             from api_key join principal on principal.id = api_key.principal
               join account on account.id = principal.account
             where api_key.id = ?1"
        ),
        params![id],
        |row| {
            let at = STANDING_COLUMNS;
            let earlier: Option<Vec<u8>> = row.get(at + 2)?;
            let until: Option<Timestamp> = row.get(at + 3)?;
            Ok(StoredKey {
                owner: standing(row)?,
                hash: row.get(at)?,
                expires: row.get(at + 1)?,
                earlier: earlier.zip(until),
                last_used: row.get(at + 4)?,
                tokens_from: row.get(at + 5)?,
            })
        },
    )
}

fn api_key(row: &Row<'_>) -> Result<ApiKey> {
    Ok(ApiKey {
        id: row.get(0)?,
        description: row.get(1)?,
        created: row.get(2)?,
        expires: row.get(3)?,
        last_used: row.get(4)?,
    })
}

pub(crate) fn api_key_list(
    tx: &ReadTransaction<'_>,
    principal: PrincipalId,
) -> Result<Vec<ApiKey>> {
    tx.all(
        "select id, description, created, expires, last_used from api_key
         where principal = ?1 order by id",
        params![principal],
        api_key,
    )
}

pub(crate) fn api_key_find(
    tx: &ReadTransaction<'_>,
    principal: PrincipalId,
    id: ApiKeyId,
) -> Result<Option<ApiKey>> {
    tx.first(
        "select id, description, created, expires, last_used from api_key
         where principal = ?1 and id = ?2",
        params![principal, id],
        api_key,
    )
}

/// When a key ends: `None` if there is no such key, `Some(None)` if never.
#[expect(clippy::option_option, reason = "no key, and no end, are two answers")]
pub(crate) fn api_key_expiry(
    tx: &ReadTransaction<'_>,
    id: ApiKeyId,
) -> Result<Option<Option<Timestamp>>> {
    tx.first(
        "select expires from api_key where id = ?1",
        params![id],
        |row| row.get(0),
    )
}

pub(crate) fn api_key_count(tx: &ReadTransaction<'_>, principal: PrincipalId) -> Result<u64> {
    tx.number(
        "select count(*) from api_key where principal = ?1",
        params![principal],
    )
}

pub(crate) fn api_key_insert(
    tx: &WriteTransaction<'_>,
    principal: PrincipalId,
    key: &ApiKey,
    hash: &[u8],
) -> Result<()> {
    tx.execute(
        "insert into api_key(id, principal, description, hash, created, expires)
         values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            key.id,
            principal,
            key.description,
            hash,
            key.created,
            key.expires
        ],
    )?;
    Ok(())
}

/// Gives a key a new secret; the one that it had is good until `until`. `false`
/// if there is no such key.
pub(crate) fn api_key_rotate(
    tx: &WriteTransaction<'_>,
    principal: PrincipalId,
    id: ApiKeyId,
    hash: &[u8],
    until: Timestamp,
) -> Result<bool> {
    let rotated = tx.execute(
        "update api_key set earlier_hash = hash, earlier_until = ?4, hash = ?3
         where principal = ?1 and id = ?2",
        params![principal, id, hash, until],
    )?;
    Ok(rotated == 1)
}

/// `false` if there was none.
pub(crate) fn api_key_delete(
    tx: &WriteTransaction<'_>,
    principal: PrincipalId,
    id: ApiKeyId,
) -> Result<bool> {
    let deleted = tx.execute(
        "delete from api_key where principal = ?1 and id = ?2",
        params![principal, id],
    )?;
    Ok(deleted == 1)
}

/// Notes that the key was used, unless that was noted less than `every` ago.
pub(crate) fn api_key_used(
    tx: &WriteTransaction<'_>,
    id: ApiKeyId,
    now: Timestamp,
    every: Duration,
) -> Result<()> {
    tx.execute(
        "update api_key set last_used = ?2
         where id = ?1 and (last_used is null or last_used <= ?3)",
        params![id, now, now - every],
    )?;
    Ok(())
}
