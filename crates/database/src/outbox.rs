//! The outbox and the log: events that domains write in their own
//! transactions, and the order that everybody reads them in.
//!
//! # Overview
//!
//! A domain calls [`append`] in the transaction that changes something, so
//! there is an event if and only if the change was made. The row waits in
//! `outbox`, **without a position**: a number that is taken before the commit
//! makes a reader skip whoever commits late. One numberer at a time
//! ([`number`]) moves committed rows to the log `event` and gives each the next
//! position. Consumers read the log by position and remember how far they are
//! ([`cursor_move`]).
//!
//! # Order
//!
//! - **Positions have no gaps, and what is read is complete**: numbering runs
//!   under the lock of the row `event_head`, so whoever sees a position sees all
//!   before it.
//! - **Order holds per subject**: of two transactions that lock a row that they
//!   share before they append, the one that commits first gets the lower
//!   position. `arrival` is a logical clock (Lamport's): one more than every
//!   row that the append can see. If the second transaction saw the first one's
//!   commit, its row is later; if that row was already numbered, all the more.
//!   So: **append after the row that decides has been written or locked.**
//! - Events of one transaction keep the order of their appends.
//!
//! # Crashes
//!
//! A step of numbering is one transaction, so it is made whole or not at all,
//! and can be repeated by anybody. A row leaves `outbox` in the transaction that
//! puts it into `event`.
//!
//! # Retention
//!
//! [`prune`] takes old events away from the low end of the log only, so that
//! what is left has no gaps either. An event goes when it is older than the
//! operator's time, every durable cursor has passed it, and the caller does not
//! hold it (a delivery that is still to be made). Cursors that only a client
//! knows (a tail, a stream) hold nothing: they learn from [`oldest`] that they
//! come too late.

use landfall_clock::Timestamp;
use landfall_ids::{AccountId, EventId};

use crate::{Migration, MigrationSet, ReadTransaction, Result, Row, WriteTransaction, params};

/// The tables of the outbox. First in the list of sets: every domain writes
/// into it.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "outbox",
    migrations: &[Migration {
        name: "the outbox and the log",
        sql: "
            create table outbox(
              arrival BIGINT not null,
              id BYTEA not null,
              kind TEXT not null,
              account BYTEA not null,
              subject TEXT not null,
              actor TEXT,
              data TEXT not null,
              created BIGINT not null,
              primary key (arrival, id));
            create table event(
              position BIGINT primary key,
              arrival BIGINT not null,
              id BYTEA not null unique,
              kind TEXT not null,
              account BYTEA not null,
              subject TEXT not null,
              actor TEXT,
              data TEXT not null,
              created BIGINT not null);
            create index event_account on event(account, position);
            create index event_subject on event(subject, position);
            create table event_head(
              one BIGINT primary key check (one = 1),
              position BIGINT not null);
            insert into event_head(one, position) values (1, 0);
            create table event_cursor(
              consumer TEXT primary key,
              position BIGINT not null);",
    }],
};

/// An event as a domain writes it.
#[derive(Debug, Clone)]
pub struct NewEvent<'a> {
    /// What happened: `tag.moved`.
    pub kind: &'a str,
    /// Whose it is: only who may read this account hears of it.
    pub account: AccountId,
    /// What it happened to, and what the order holds for: the repository's
    /// name.
    pub subject: String,
    /// The name of who did it; `None` if Landfall did, by itself.
    pub actor: Option<String>,
    /// A JSON object with what else there is to know.
    pub data: &'a str,
    /// When it happened.
    pub now: Timestamp,
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the log, from 1, without gaps.
    pub position: u64,
    /// Its identity, for ever.
    pub id: EventId,
    /// What happened: `tag.moved`.
    pub kind: String,
    /// Whose it is.
    pub account: AccountId,
    /// What it happened to.
    pub subject: String,
    /// The name of who did it; `None` if Landfall did.
    pub actor: Option<String>,
    /// A JSON object.
    pub data: String,
    /// When it happened.
    pub created: Timestamp,
}

/// Writes an event in the transaction that makes it true. Call it after the
/// row that decides has been written.
pub fn append(tx: &WriteTransaction<'_>, event: &NewEvent<'_>) -> Result<()> {
    // Never below the head, so that what was numbered and deleted lies to the
    // left in the index, and the look for the highest does not pass over it.
    tx.execute(
        "insert into outbox(arrival, id, kind, account, subject, actor, data, created)
         values ((select max(seen) + 1 from
                    (select max(arrival) as seen from outbox
                     union all select position from event_head) as clock),
                 ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            EventId::new_at(event.now.unix_micros()),
            event.kind,
            event.account,
            event.subject,
            event.actor,
            event.data,
            event.now
        ],
    )?;
    Ok(())
}

/// What a step of numbering did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    /// Events that got a position.
    pub count: u64,
    /// The last position of the log.
    pub head: u64,
}

/// Gives up to `limit` committed events their positions. The caller checks in
/// the same transaction that it still holds the lease of numbering; two at once
/// wait for each other and do no harm.
pub fn number(tx: &WriteTransaction<'_>, limit: usize) -> Result<Numbered> {
    let head = tx.number(
        &format!(
            "select position from event_head where one = 1{}",
            tx.for_update()
        ),
        params![],
    )?;
    // Read by a later statement than the lock: it sees all that was numbered
    // before, and rows that committed meanwhile.
    let count = tx.execute(
        "insert into event(position, arrival, id, kind, account, subject, actor, data, created)
         select ?1 + row_number() over (order by arrival, id),
                arrival, id, kind, account, subject, actor, data, created
         from outbox order by arrival, id limit ?2",
        params![head, limit],
    )?;
    if count > 0 {
        tx.execute(
            "delete from outbox
             where arrival <= (select max(arrival) from event where position > ?1)
               and id in (select id from event where position > ?1)",
            params![head],
        )?;
        tx.execute(
            "update event_head set position = ?1 where one = 1",
            params![head + count],
        )?;
    }
    Ok(Numbered {
        count,
        head: head + count,
    })
}

/// What waits for a position.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pending {
    /// How many events.
    pub count: u64,
    /// When the oldest of them happened.
    pub oldest: Option<Timestamp>,
}

/// What waits for a position.
pub fn pending(tx: &ReadTransaction<'_>) -> Result<Pending> {
    let pending = tx.first(
        "select count(*), min(created) from outbox",
        params![],
        |row| {
            Ok(Pending {
                count: row.get(0)?,
                oldest: row.get(1)?,
            })
        },
    )?;
    Ok(pending.unwrap_or_default())
}

/// Whether anything waits for a position.
pub fn is_pending(tx: &ReadTransaction<'_>) -> Result<bool> {
    tx.exists(
        "select 1 from outbox order by arrival desc limit 1",
        params![],
    )
}

/// The last position of the log; 0 before the first event.
pub fn head(tx: &ReadTransaction<'_>) -> Result<u64> {
    tx.number("select position from event_head where one = 1", params![])
}

/// The first position that is still kept; one past the head if none is.
pub fn oldest(tx: &ReadTransaction<'_>) -> Result<u64> {
    tx.number(
        "select coalesce((select min(position) from event),
                         (select position + 1 from event_head where one = 1))",
        params![],
    )
}

/// Which part of the log to read.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// All of it.
    Everything,
    /// The events of one account.
    Account(AccountId),
    /// The events of one subject.
    Subject(&'a str),
}

/// Events after a position, in order.
pub fn read_after(
    tx: &ReadTransaction<'_>,
    part: Part<'_>,
    position: u64,
    limit: usize,
) -> Result<Vec<Event>> {
    let read = |narrow: &str, params: &[&dyn crate::ToValue]| {
        tx.all(
            &format!(
                "select position, id, kind, account, subject, actor, data, created
                 from event where position > ?1{narrow} order by position limit ?2"
            ),
            params,
            event,
        )
    };
    match part {
        Part::Everything => read("", params![position, limit]),
        Part::Account(account) => read(" and account = ?3", params![position, limit, account]),
        Part::Subject(subject) => read(" and subject = ?3", params![position, limit, subject]),
    }
}

/// Events before a position, the newest first.
pub fn read_before(
    tx: &ReadTransaction<'_>,
    part: Part<'_>,
    position: u64,
    limit: usize,
) -> Result<Vec<Event>> {
    let read = |narrow: &str, params: &[&dyn crate::ToValue]| {
        tx.all(
            &format!(
                "select position, id, kind, account, subject, actor, data, created
                 from event where position < ?1{narrow} order by position desc limit ?2"
            ),
            params,
            event,
        )
    };
    match part {
        Part::Everything => read("", params![position, limit]),
        Part::Account(account) => read(" and account = ?3", params![position, limit, account]),
        Part::Subject(subject) => read(" and subject = ?3", params![position, limit, subject]),
    }
}

/// The event at a position, while it is kept.
pub fn event_find(tx: &ReadTransaction<'_>, position: u64) -> Result<Option<Event>> {
    tx.first(
        "select position, id, kind, account, subject, actor, data, created
         from event where position = ?1",
        params![position],
        event,
    )
}

fn event(row: &Row<'_>) -> Result<Event> {
    Ok(Event {
        position: row.get(0)?,
        id: row.get(1)?,
        kind: row.get(2)?,
        account: row.get(3)?,
        subject: row.get(4)?,
        actor: row.get(5)?,
        data: row.get(6)?,
        created: row.get(7)?,
    })
}

/// How far a consumer is, made at `start` if it is new. The row is locked until
/// the end of the transaction, so two servers don't consume at once.
pub fn cursor_lock(tx: &WriteTransaction<'_>, consumer: &str, start: u64) -> Result<u64> {
    tx.execute(
        "insert into event_cursor(consumer, position) values (?1, ?2)
         on conflict (consumer) do nothing",
        params![consumer, start],
    )?;
    tx.number(
        &format!(
            "select position from event_cursor where consumer = ?1{}",
            tx.for_update()
        ),
        params![consumer],
    )
}

/// How far a consumer is; `None` if it has never consumed.
pub fn cursor_find(tx: &ReadTransaction<'_>, consumer: &str) -> Result<Option<u64>> {
    tx.first(
        "select position from event_cursor where consumer = ?1",
        params![consumer],
        |row| row.get(0),
    )
}

/// Moves a consumer from one position to a later one. `false` if it was not
/// there: somebody else has consumed meanwhile.
pub fn cursor_move(tx: &WriteTransaction<'_>, consumer: &str, from: u64, to: u64) -> Result<bool> {
    let moved = tx.execute(
        "update event_cursor set position = ?3 where consumer = ?1 and position = ?2",
        params![consumer, from, to],
    )?;
    Ok(moved == 1)
}

/// Takes up to `limit` events away from the low end of the log: those that
/// happened before `before`, that all cursors have passed, and that lie before
/// the position `held`. Answers how many went.
pub fn prune(tx: &WriteTransaction<'_>, before: Timestamp, held: u64, limit: usize) -> Result<u64> {
    let passed = tx.first("select min(position) from event_cursor", params![], |row| {
        row.get::<Option<u64>>(0)
    })?;
    let end = held.min(passed.flatten().unwrap_or(u64::MAX).saturating_add(1));
    let oldest: Vec<(u64, Timestamp)> = tx.all(
        "select position, created from event order by position limit ?1",
        params![limit],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let old = |(position, created): &&(u64, Timestamp)| *position < end && *created < before;
    match oldest.iter().take_while(old).last() {
        Some((last, _)) => tx.execute("delete from event where position <= ?1", params![last]),
        None => Ok(0),
    }
}
