//! The tables of webhooks.
//!
//! ```text
//! event ─ ─> webhook_delivery >── webhook ──< webhook_line
//! ```
//!
//! - `webhook`: who wants to hear of what. `since` is the last position of the
//!   log that it does not get: the head when it was made or enabled.
//! - `webhook_delivery`: one event for one webhook. The event itself stays in
//!   the log, which keeps it as long as the delivery is pending.
//! - `webhook_line`, **the unit that is claimed**: all pending deliveries of one
//!   subject to one webhook, in the order of their positions. There is a row as
//!   long as there is a pending delivery. `due` is when its first delivery is
//!   tried; whoever raised `token` last may try it, until `claimed_until`.

use landfall_database::{Migration, MigrationSet};

/// The schema of this domain.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "notify",
    migrations: &[Migration {
        name: "webhooks",
        sql: WEBHOOKS,
    }],
};

const WEBHOOKS: &str = "
create table webhook(
  id BYTEA primary key,
  account BYTEA not null,
  url TEXT not null,
  kinds TEXT not null,
  repositories TEXT not null,
  secret BYTEA not null,
  previous_secret BYTEA,
  rotating_until BIGINT,
  enabled BIGINT not null check (enabled in (0, 1)),
  disabled_because TEXT,
  since BIGINT not null,
  failing_since BIGINT,
  created_by TEXT not null,
  created BIGINT not null,
  updated BIGINT not null);
create index webhook_account on webhook(account, id);

create table webhook_delivery(
  id BYTEA primary key,
  webhook BYTEA not null references webhook(id),
  position BIGINT not null,
  event BYTEA not null,
  kind TEXT not null,
  subject TEXT not null,
  state TEXT not null check (state in ('pending', 'delivered', 'dead')),
  tries BIGINT not null,
  created BIGINT not null,
  first_try BIGINT,
  last_try BIGINT,
  status BIGINT,
  error TEXT,
  duration_ms BIGINT,
  unique (webhook, position));
create index webhook_delivery_position on webhook_delivery(position);
create index webhook_delivery_pending on webhook_delivery(webhook, subject, position)
  where state = 'pending';
create index webhook_delivery_waiting on webhook_delivery(position) where state = 'pending';
create index webhook_delivery_dead on webhook_delivery(webhook, position) where state = 'dead';

create table webhook_line(
  webhook BYTEA not null references webhook(id),
  subject TEXT not null,
  due BIGINT not null,
  token BIGINT not null,
  claimed_until BIGINT not null,
  primary key (webhook, subject));
create index webhook_line_due on webhook_line(due);
";
