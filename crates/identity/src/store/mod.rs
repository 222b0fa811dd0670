//! The tables of identities.

use landfall_database::{Migration, MigrationSet};

pub(crate) mod accounts;
pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod policies;
pub(crate) mod principals;
pub(crate) mod tokens;

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
        Migration {
            name: "kinds of principals, groups and API keys",
            sql: PEOPLE,
        },
        Migration {
            name: "the audit log",
            sql: audit::SCHEMA,
        },
        Migration {
            name: "tokens and keys that sign them",
            sql: tokens::SCHEMA,
        },
        Migration {
            name: "policies",
            sql: policies::SCHEMA,
        },
        Migration {
            name: "tokens of rotated API keys",
            sql: api_keys::TOKENS_FROM,
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

/// Deleted accounts and principals keep their rows, so that their names and
/// identities are never used again. A principal without a password has an empty
/// one, which no password hashes to.
const PEOPLE: &str = "
alter table account add column disabled BIGINT not null default 0;
alter table account add column deleted BIGINT;
alter table principal add column kind TEXT not null default 'user';
alter table principal add column disabled BIGINT not null default 0;
alter table principal add column deleted BIGINT;
create table principal_group(
  id BYTEA primary key,
  account BYTEA not null references account(id),
  name TEXT not null,
  created BIGINT not null,
  unique (account, name));
create table group_member(
  principal BYTEA not null references principal(id),
  member_of BYTEA not null references principal_group(id),
  primary key (principal, member_of));
create index group_member_group on group_member(member_of, principal);
create table api_key(
  id BYTEA primary key,
  principal BYTEA not null references principal(id),
  description TEXT not null,
  hash BYTEA not null,
  earlier_hash BYTEA,
  earlier_until BIGINT,
  created BIGINT not null,
  expires BIGINT,
  last_used BIGINT);
create index api_key_principal on api_key(principal, id);";
