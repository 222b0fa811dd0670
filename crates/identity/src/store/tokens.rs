//! The tables of tokens: those for hours, and what ends tokens early.

use std::time::Duration;

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, Row, WriteTransaction, epoch, params};
use landfall_ids::{ApiKeyId, PrincipalId, TokenId};

use crate::token::AuthorizationToken;

/// What the migrations make.
pub(crate) const SCHEMA: &str = "
create table signing_key(
  id BYTEA primary key,
  sealed BYTEA,
  public BYTEA not null,
  created BIGINT not null,
  signs_from BIGINT not null,
  verifies_until BIGINT,
  revoked BIGINT);
create table authorization_token(
  id BYTEA primary key,
  principal BYTEA not null references principal(id),
  api_key BYTEA,
  issued BIGINT not null,
  ends BIGINT not null);
create index authorization_token_principal on authorization_token(principal, id);
create index authorization_token_key on authorization_token(api_key) where api_key is not null;
create index authorization_token_ends on authorization_token(ends);
create table revocation(
  id BYTEA primary key,
  revoked BIGINT not null,
  ends BIGINT not null);
create index revocation_ends on revocation(ends);
create table tokens_from(
  principal BYTEA primary key references principal(id),
  epoch BIGINT not null);";

/// For how long a revocation is kept: longer than any token lasts.
pub(crate) const KEPT: Duration = Duration::from_hours(48);

/// What decides, beside its principal, whether a signed token is still good.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doubts {
    /// It, or what it was made with, was revoked.
    pub(crate) revoked: bool,
    /// The first epoch whose tokens of the principal are good.
    pub(crate) from: u64,
    /// The first epoch whose tokens of the API key are good.
    pub(crate) key_from: u64,
}

/// What speaks against a token that was made with these.
pub(crate) fn token_doubts(
    tx: &ReadTransaction<'_>,
    principal: Option<PrincipalId>,
    token: TokenId,
    authorization: Option<TokenId>,
    api_key: Option<ApiKeyId>,
) -> Result<Doubts> {
    // A bearer token that was made with an authorization token names no key; the
    // authorization token's row does.
    let api_key = match (api_key, authorization) {
        (None, Some(authorization)) => tx
            .first(
                "select api_key from authorization_token where id = ?1",
                params![authorization],
                |row| row.get(0),
            )?
            .flatten(),
        (api_key, _) => api_key,
    };
    let revoked = tx.exists(
        "select 1 from revocation where id in (?1, ?2, ?3)",
        params![token, authorization, api_key],
    )?;
    let key_from = match api_key {
        Some(api_key) => tx.number(
            "select tokens_from from api_key where id = ?1",
            params![api_key],
        )?,
        None => 0,
    };
    let from = match principal {
        Some(principal) => tx.number(
            "select epoch from tokens_from where principal = ?1",
            params![principal],
        )?,
        None => 0,
    };
    Ok(Doubts {
        revoked,
        from,
        key_from,
    })
}

/// Notes an authorization token. What has ended is forgotten.
pub(crate) fn authorization_token_insert(
    tx: &WriteTransaction<'_>,
    token: &AuthorizationToken,
    api_key: Option<ApiKeyId>,
) -> Result<()> {
    tx.execute(
        "delete from authorization_token where ends <= ?1",
        params![token.issued],
    )?;
    tx.execute(
        "insert into authorization_token(id, principal, api_key, issued, ends)
         values (?1, ?2, ?3, ?4, ?5)",
        params![
            token.id,
            token.principal,
            api_key,
            token.issued,
            token.expires
        ],
    )?;
    Ok(())
}

pub(crate) fn authorization_token_find(
    tx: &ReadTransaction<'_>,
    id: TokenId,
    now: Timestamp,
) -> Result<Option<AuthorizationToken>> {
    tx.first(
        "select token.id, token.principal, token.issued, token.ends, revocation.revoked
         from authorization_token token left join revocation on revocation.id = token.id
         where token.id = ?1 and token.ends > ?2",
        params![id, now],
        authorization_token,
    )
}

/// The tokens of a principal that have not ended, oldest first, after `last`.
pub(crate) fn authorization_token_list(
    tx: &ReadTransaction<'_>,
    principal: PrincipalId,
    last: Option<TokenId>,
    now: Timestamp,
    most: usize,
) -> Result<Vec<AuthorizationToken>> {
    let after: &[u8] = last.as_ref().map_or(&[], |last| last.as_bytes());
    tx.all(
        "select token.id, token.principal, token.issued, token.ends, revocation.revoked
         from authorization_token token left join revocation on revocation.id = token.id
         where token.principal = ?1 and token.ends > ?2 and token.id > ?3
         order by token.id limit ?4",
        params![principal, now, after, most],
        authorization_token,
    )
}

fn authorization_token(row: &Row<'_>) -> Result<AuthorizationToken> {
    Ok(AuthorizationToken {
        id: row.get(0)?,
        principal: row.get(1)?,
        issued: row.get(2)?,
        expires: row.get(3)?,
        revoked: row.get(4)?,
    })
}

/// Ends a token, and what was made with it. `false` if it was ended before.
pub(crate) fn token_revoke(tx: &WriteTransaction<'_>, id: TokenId, now: Timestamp) -> Result<bool> {
    forget(tx, now)?;
    let inserted = tx.execute(
        "insert into revocation(id, revoked, ends) values (?1, ?2, ?3)
         on conflict (id) do nothing",
        params![id, now, now + KEPT],
    )?;
    if inserted == 1 {
        epoch::bump(tx, epoch::ACCESS)?;
    }
    Ok(inserted == 1)
}

/// Ends all tokens that were made with an API key, for ever: the key is gone.
/// Begins an epoch.
pub(crate) fn api_key_tokens_end(
    tx: &WriteTransaction<'_>,
    key: ApiKeyId,
    now: Timestamp,
) -> Result<()> {
    authorization_tokens_end(tx, key, now)?;
    tx.execute(
        "insert into revocation(id, revoked, ends) values (?1, ?2, ?3)
         on conflict (id) do nothing",
        params![key, now, now + KEPT],
    )?;
    epoch::bump(tx, epoch::ACCESS)
}

/// Ends all tokens that were made with an API key before the epoch that begins
/// here, by whichever server. Those that its new secret makes are good.
pub(crate) fn api_key_tokens_renew(
    tx: &WriteTransaction<'_>,
    key: ApiKeyId,
    now: Timestamp,
) -> Result<()> {
    authorization_tokens_end(tx, key, now)?;
    epoch::bump(tx, epoch::ACCESS)?;
    let begun = epoch::find(tx, epoch::ACCESS)?;
    // Its row is locked since its secret was exchanged.
    tx.execute(
        "update api_key set tokens_from = ?2 where id = ?1",
        params![key, begun],
    )?;
    Ok(())
}

/// Ends the authorization tokens that there are of an API key.
fn authorization_tokens_end(
    tx: &WriteTransaction<'_>,
    key: ApiKeyId,
    now: Timestamp,
) -> Result<()> {
    forget(tx, now)?;
    tx.execute(
        "insert into revocation(id, revoked, ends)
         select id, ?2, ?3 from authorization_token where api_key = ?1
         on conflict (id) do nothing",
        params![key, now, now + KEPT],
    )?;
    Ok(())
}

/// Ends all tokens of a principal: those that were made before the epoch that
/// begins here, by whichever server.
pub(crate) fn principal_tokens_end(
    tx: &WriteTransaction<'_>,
    principal: PrincipalId,
) -> Result<()> {
    epoch::bump(tx, epoch::ACCESS)?;
    let begun = epoch::find(tx, epoch::ACCESS)?;
    tx.execute(
        "insert into tokens_from(principal, epoch) values (?1, ?2)
         on conflict (principal) do update set epoch = excluded.epoch",
        params![principal, begun],
    )?;
    Ok(())
}

/// Forgets revocations of what has ended by itself.
fn forget(tx: &WriteTransaction<'_>, now: Timestamp) -> Result<()> {
    tx.execute("delete from revocation where ends <= ?1", params![now])?;
    Ok(())
}
