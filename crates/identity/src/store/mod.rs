//! The tables of identities.

use landfall_clock::Timestamp;
use landfall_database::{
    Database, Migration, MigrationSet, ReadTransaction, Result, WriteTransaction, params,
};
use landfall_ids::{AccountId, PrincipalId};

use crate::Principal;

pub(crate) mod keys;

/// The schema of this domain.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "identity",
    migrations: &[
        Migration {
            name: "accounts and principals",
            sql: ACCOUNTS,
        },
        Migration {
            name: "keys that all servers share",
            sql: KEYS,
        },
    ],
};

const ACCOUNTS: &str = "
create table account(
  id BYTEA primary key,
  name TEXT not null unique,
  created BIGINT not null);
create table principal(
  id BYTEA primary key,
  account BYTEA not null references account(id),
  name TEXT not null,
  administrator BIGINT not null,
  password TEXT not null,
  created BIGINT not null,
  unique (account, name));
create unique index administrator_name on principal(name) where administrator = 1;";

const KEYS: &str = "
create table master_key(
  number BIGINT primary key check (number = 1),
  fingerprint TEXT not null,
  created BIGINT not null);
create table token_key(
  number BIGINT primary key,
  sealed BYTEA not null,
  created BIGINT not null);";

const ACCOUNT: &str = "select id from account where name = ?1";

pub(crate) fn account_find(tx: &ReadTransaction<'_>, name: &str) -> Result<Option<AccountId>> {
    tx.first(ACCOUNT, params![name], |row| row.get(0))
}

/// As [`account_find`], by itself: what each push looks up.
pub(crate) fn account_look_up(
    database: &Database,
    name: &str,
) -> impl Future<Output = Result<Option<AccountId>>> + use<> {
    database.row(ACCOUNT, params![name], |row| row.get(0))
}

pub(crate) fn account_insert(
    tx: &WriteTransaction<'_>,
    id: AccountId,
    name: &str,
    now: Timestamp,
) -> Result<AccountId> {
    tx.execute(
        "insert into account(id, name, created) values (?1, ?2, ?3) on conflict (name) do nothing",
        params![id, name, now],
    )?;
    Ok(account_find(tx, name)?.unwrap_or(id))
}

/// The administrator of that name, and the hash of the password.
pub(crate) fn administrator_find(
    tx: &ReadTransaction<'_>,
    name: &str,
) -> Result<Option<(Principal, String)>> {
    tx.first(
        "select id, account, name, password from principal where administrator = 1 and name = ?1",
        params![name],
        |row| Ok((principal(row, true)?, row.get(3)?)),
    )
}

/// What each request with a token looks up.
pub(crate) fn principal_look_up(
    database: &Database,
    id: PrincipalId,
) -> impl Future<Output = Result<Option<Principal>>> + use<> {
    database.row(
        "select id, account, name, administrator from principal where id = ?1",
        params![id],
        |row| principal(row, row.get(3)?),
    )
}

fn principal(row: &landfall_database::Row<'_>, administrator: bool) -> Result<Principal> {
    Ok(Principal {
        id: row.get(0)?,
        account: row.get(1)?,
        name: row.get(2)?,
        administrator,
    })
}

/// `false` if somebody else was quicker.
pub(crate) fn administrator_insert(
    tx: &WriteTransaction<'_>,
    principal: &Principal,
    password: &str,
    now: Timestamp,
) -> Result<bool> {
    let inserted = tx.execute(
        "insert into principal(id, account, name, administrator, password, created)
         values (?1, ?2, ?3, 1, ?4, ?5) on conflict do nothing",
        params![
            principal.id,
            principal.account,
            principal.name,
            password,
            now
        ],
    )?;
    Ok(inserted == 1)
}

pub(crate) fn administrator_set_password(
    tx: &WriteTransaction<'_>,
    name: &str,
    password: &str,
) -> Result<()> {
    tx.execute(
        "update principal set password = ?2 where administrator = 1 and name = ?1",
        params![name, password],
    )?;
    Ok(())
}
