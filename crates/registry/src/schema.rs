//! The tables of the registry, and how they hold each other.
//!
//! ```text
//! tag ──> manifest ──< manifest_blob >── repository_blob ──> blob ──> (bytes at a location)
//!            ^  └──< manifest_child ─ ─> (a manifest of that digest)
//!          pin                              candidate ─ ─> trash
//! ```
//!
//! - `blob`: one row for each digest that is stored; its `location` is used
//!   once in the life of the store.
//! - `repository_blob`, the **link**: this repository may see that blob.
//!   `keep_until` is the promise given with the last positive answer;
//!   `deleted` hides it at once. `account` is that of the repository, for finding
//!   the links of one account without a look at those of others.
//! - `manifest_blob`, the **reference**: a foreign key to the link, so a blob
//!   that a manifest needs can't go, whatever a collector believes.
//! - `manifest_child`: an index names an image of its repository by digest, and
//!   holds it while both can be seen. An image may be deleted under its index;
//!   when it is pushed again, the index holds it again.
//! - `candidate`: something may have become garbage when it is due. Append-only;
//!   the collector looks at nothing else and never scans the store.
//! - `trash`: locations that no row names any more, until their bytes are gone.
//! - `manifest.deleted` hides a manifest; at `purge_due` its references go.
//!   `held_until` is when it was last pushed, or lost an index, a subject or a
//!   pin: the time of a manifest without any counts from there, and from when
//!   it last lost a tag, which `tag_history` knows.
//! - `tag_history`: what happened to each tag, numbered for each tag. Its rows
//!   name manifests by digest, so that they hold nothing when their time is
//!   over; while they can be undone, the collector takes them for roots.
//! - `deletion` joins what one act took away, manifests and tags, so that one
//!   act brings it back.
//! - `repository_usage`: what was pulled, added up by every server.
//! - `store.incarnation`: which of the databases of one identity this is. A
//!   restored one has a new one, which its first start writes into the marker of
//!   the blob store; databases that were never restored have none.
//! - `run`: the last collections and checks, and the lease's token of each.

use landfall_database::{Migration, MigrationSet};

/// The schema of this domain.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "registry",
    migrations: &[
        Migration {
            name: "the registry",
            sql: REGISTRY,
        },
        Migration {
            name: "tags with rules and a history; undo; usage",
            sql: TAGS,
        },
        Migration {
            name: "where the blob store has the bytes of an upload",
            sql: UPLOAD_STATE,
        },
        Migration {
            name: "runs that all servers know",
            sql: RUNS,
        },
        Migration {
            name: "databases that were restored from a backup",
            sql: INCARNATION,
        },
        Migration {
            name: "whose links they are",
            sql: ACCOUNTS_OF_LINKS,
        },
    ],
};

const REGISTRY: &str = "
create table store(
  id BYTEA primary key,
  created BIGINT not null);

create table repository(
  id BYTEA primary key,
  account BYTEA not null,
  name TEXT not null,
  created BIGINT not null,
  deleted BIGINT);
create unique index repository_name on repository(name) where deleted is null;
create index repository_account on repository(account);
create index repository_deleted on repository(deleted) where deleted is not null;

create table blob(
  digest TEXT primary key,
  size BIGINT not null,
  location TEXT not null unique,
  state TEXT not null check (state in ('live', 'damaged')),
  created BIGINT not null);

create table repository_blob(
  repository BYTEA not null references repository(id),
  digest TEXT not null references blob(digest),
  keep_until BIGINT not null,
  deleted BIGINT,
  primary key (repository, digest));
create index repository_blob_digest on repository_blob(digest);

create table manifest(
  id BYTEA primary key,
  repository BYTEA not null references repository(id),
  digest TEXT not null,
  media_type TEXT not null,
  artifact_type TEXT,
  subject TEXT,
  annotations TEXT,
  size BIGINT not null,
  created BIGINT not null,
  held_until BIGINT not null,
  deleted BIGINT,
  purge_due BIGINT,
  content BYTEA not null,
  unique (repository, digest));
create index manifest_subject on manifest(repository, subject, digest) where subject is not null;
create index manifest_purge on manifest(purge_due) where purge_due is not null;

create table manifest_blob(
  manifest BYTEA not null references manifest(id),
  repository BYTEA not null,
  digest TEXT not null,
  primary key (manifest, digest),
  foreign key (repository, digest) references repository_blob(repository, digest));
create index manifest_blob_link on manifest_blob(repository, digest);

create table manifest_child(
  manifest BYTEA not null references manifest(id),
  repository BYTEA not null,
  digest TEXT not null,
  primary key (manifest, digest));
create index manifest_child_digest on manifest_child(repository, digest);

create table tag(
  repository BYTEA not null references repository(id),
  name TEXT not null,
  manifest BYTEA not null references manifest(id),
  created BIGINT not null,
  updated BIGINT not null,
  primary key (repository, name));
create index tag_manifest on tag(manifest);

create table pin(
  owner TEXT not null,
  manifest BYTEA not null references manifest(id),
  until BIGINT not null,
  primary key (owner, manifest));
create index pin_manifest on pin(manifest);

create table upload(
  id BYTEA primary key,
  repository BYTEA not null references repository(id),
  received BIGINT not null,
  token BIGINT not null,
  hasher BYTEA not null,
  started BIGINT not null,
  touched BIGINT not null);
create index upload_touched on upload(touched);
create index upload_repository on upload(repository);

create table candidate(
  id BYTEA primary key,
  digest TEXT not null,
  due BIGINT not null);
create index candidate_due on candidate(due);
create index candidate_digest on candidate(digest);

create table trash(
  location TEXT primary key,
  size BIGINT not null,
  not_before BIGINT not null);
create index trash_not_before on trash(not_before);
";

const TAGS: &str = "
alter table repository add column tags_immutable BIGINT not null default 0;
alter table repository add column tag_exceptions TEXT not null default '';
alter table repository add column purge_due BIGINT;
update repository set purge_due = deleted;
create index repository_purge on repository(purge_due) where purge_due is not null;

alter table manifest add column deletion BYTEA;
create index manifest_deletion on manifest(deletion) where deletion is not null;

create table tag_history(
  repository BYTEA not null references repository(id),
  name TEXT not null,
  number BIGINT not null,
  act TEXT not null check (act in ('created', 'moved', 'deleted', 'restored')),
  digest_before TEXT,
  digest_after TEXT,
  actor TEXT,
  happened BIGINT not null,
  undoes BIGINT,
  deletion BYTEA,
  primary key (repository, name, number));
create index tag_history_before on tag_history(repository, digest_before)
  where digest_before is not null;
create index tag_history_happened on tag_history(happened);
create index tag_history_deletion on tag_history(deletion) where deletion is not null;

create table repository_usage(
  repository BYTEA primary key references repository(id),
  pulls BIGINT not null,
  bytes BIGINT not null,
  last_pull BIGINT);
";

const UPLOAD_STATE: &str = "
alter table upload add column state BYTEA;
";

const RUNS: &str = "
create table run(
  id BYTEA primary key,
  kind TEXT not null,
  token BIGINT not null,
  touched BIGINT not null,
  ended BIGINT,
  document TEXT not null);
create index run_kind on run(kind, id);
";

const INCARNATION: &str = "
alter table store add column incarnation BYTEA;
alter table store add column incarnation_is_new BIGINT not null default 0;
";

const ACCOUNTS_OF_LINKS: &str = "
alter table repository_blob add column account BYTEA;
update repository_blob
  set account = (select r.account from repository r where r.id = repository_blob.repository);
create index repository_blob_account on repository_blob(account, digest);
";
