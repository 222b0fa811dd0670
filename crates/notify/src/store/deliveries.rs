//! The table `webhook_delivery`.

use landfall_clock::Timestamp;
use landfall_database::{
    Error, ReadTransaction, Result, Row, WriteTransaction, outbox::Event, params,
};
use landfall_ids::{DeliveryId, WebhookId};

use super::lines::{self, Claim};
use crate::webhooks::{Attempt, Delivery, DeliveryState};

const COLUMNS: &str = "d.id, d.webhook, d.position, d.event, d.kind, d.subject, d.state, d.tries,
    d.created, d.first_try, d.last_try, l.due, d.status, d.error, d.duration_ms";
const TABLES: &str = "webhook_delivery d
    left join webhook_line l
      on d.state = 'pending' and l.webhook = d.webhook and l.subject = d.subject";

fn delivery(row: &Row<'_>) -> Result<Delivery> {
    let word: String = row.get(6)?;
    let state = DeliveryState::parse(&word).ok_or_else(|| Error::Column {
        column: 6,
        expected: "a state",
        found: format!("`{word}`"),
    })?;
    Ok(Delivery {
        id: row.get(0)?,
        webhook: row.get(1)?,
        position: row.get(2)?,
        event: row.get(3)?,
        kind: row.get(4)?,
        subject: row.get(5)?,
        state,
        tries: row.get(7)?,
        created: row.get(8)?,
        first_try: row.get(9)?,
        last_try: row.get(10)?,
        next_try: row.get(11)?,
        status: row.get(12)?,
        error: row.get(13)?,
        duration_ms: row.get(14)?,
    })
}

/// Puts an event in line for a webhook.
pub(crate) fn delivery_insert(
    tx: &WriteTransaction<'_>,
    webhook: WebhookId,
    event: &Event,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "insert into webhook_delivery(id, webhook, position, event, kind, subject, state, tries,
           created)
         values (?1, ?2, ?3, ?4, ?5, ?6, 'pending', 0, ?7)
         on conflict (webhook, position) do nothing",
        params![
            DeliveryId::new_at(now.unix_micros()),
            webhook,
            event.position,
            event.id,
            event.kind,
            event.subject,
            now
        ],
    )?;
    lines::line_touch(tx, webhook, &event.subject, now)
}

/// The first pending delivery of a line.
pub(crate) fn delivery_first(
    tx: &ReadTransaction<'_>,
    webhook: WebhookId,
    subject: &str,
) -> Result<Option<Delivery>> {
    tx.first(
        &format!(
            "select {COLUMNS} from {TABLES}
             where d.webhook = ?1 and d.subject = ?2 and d.state = 'pending'
             order by d.position limit 1"
        ),
        params![webhook, subject],
        delivery,
    )
}

/// Whether the line of a claim still holds a pending delivery.
pub(crate) fn delivery_waits(tx: &ReadTransaction<'_>, claim: &Claim) -> Result<bool> {
    tx.exists(
        "select 1 from webhook_delivery
         where webhook = ?1 and subject = ?2 and state = 'pending' limit 1",
        params![claim.webhook, claim.subject],
    )
}

pub(crate) fn delivery_find(
    tx: &ReadTransaction<'_>,
    webhook: WebhookId,
    id: DeliveryId,
) -> Result<Option<Delivery>> {
    tx.first(
        &format!("select {COLUMNS} from {TABLES} where d.id = ?1 and d.webhook = ?2"),
        params![id, webhook],
        delivery,
    )
}

/// Deliveries of a webhook before a position, the newest first.
pub(crate) fn delivery_page(
    tx: &ReadTransaction<'_>,
    webhook: WebhookId,
    state: Option<DeliveryState>,
    before: u64,
    limit: usize,
) -> Result<Vec<Delivery>> {
    match state {
        // The word stands in the statement, so that the partial indexes serve.
        Some(state) => tx.all(
            &format!(
                "select {COLUMNS} from {TABLES}
                 where d.webhook = ?1 and d.position < ?2 and d.state = '{}'
                 order by d.position desc limit ?3",
                state.as_str()
            ),
            params![webhook, before, limit],
            delivery,
        ),
        None => tx.all(
            &format!(
                "select {COLUMNS} from {TABLES} where d.webhook = ?1 and d.position < ?2
                 order by d.position desc limit ?3"
            ),
            params![webhook, before, limit],
            delivery,
        ),
    }
}

/// Notes how a try went, and the state that follows from it.
pub(crate) fn delivery_record(
    tx: &WriteTransaction<'_>,
    id: DeliveryId,
    attempt: &Attempt,
    state: DeliveryState,
) -> Result<()> {
    tx.execute(
        "update webhook_delivery set state = ?2, tries = tries + 1,
           first_try = coalesce(first_try, ?3), last_try = ?3, status = ?4, error = ?5,
           duration_ms = ?6
         where id = ?1",
        params![
            id,
            state.as_str(),
            attempt.at,
            attempt.status.map(u64::from),
            attempt.error,
            attempt.duration_ms
        ],
    )?;
    Ok(())
}

/// Puts a delivery in line again, as if it had never been tried.
pub(crate) fn delivery_renew(tx: &WriteTransaction<'_>, id: DeliveryId) -> Result<()> {
    tx.execute(
        "update webhook_delivery set state = 'pending', tries = 0, first_try = null
         where id = ?1",
        params![id],
    )?;
    Ok(())
}

/// Gives up every pending delivery of a webhook, and answers how many.
pub(crate) fn delivery_give_up(
    tx: &WriteTransaction<'_>,
    webhook: WebhookId,
    because: &str,
) -> Result<u64> {
    tx.execute(
        "update webhook_delivery set state = 'dead', error = ?2
         where webhook = ?1 and state = 'pending'",
        params![webhook, because],
    )
}

/// Gives up every pending delivery of all webhooks.
pub(crate) fn delivery_give_up_all(tx: &WriteTransaction<'_>, because: &str) -> Result<()> {
    tx.execute(
        "update webhook_delivery set state = 'dead', error = ?1 where state = 'pending'",
        params![because],
    )?;
    Ok(())
}

/// Gives up one delivery that can't be tried at all.
pub(crate) fn delivery_bury(
    tx: &WriteTransaction<'_>,
    id: DeliveryId,
    because: &str,
) -> Result<()> {
    tx.execute(
        "update webhook_delivery set state = 'dead', error = ?2 where id = ?1",
        params![id, because],
    )?;
    Ok(())
}

/// The first position that a pending delivery needs.
pub(crate) fn delivery_oldest_position(tx: &ReadTransaction<'_>) -> Result<Option<u64>> {
    let oldest = tx.first(
        "select min(position) from webhook_delivery where state = 'pending'",
        params![],
        |row| row.get(0),
    )?;
    Ok(oldest.flatten())
}

/// How many deliveries are pending, and since when the first of them is.
pub(crate) fn delivery_backlog(tx: &ReadTransaction<'_>) -> Result<(u64, Option<Timestamp>)> {
    let count = tx.number(
        "select count(*) from webhook_delivery where state = 'pending'",
        params![],
    )?;
    let oldest = tx.first(
        "select created from webhook_delivery where state = 'pending' order by position limit 1",
        params![],
        |row| row.get(0),
    )?;
    Ok((count, oldest))
}

/// Deletes deliveries whose events are no longer kept.
pub(crate) fn delivery_forget(tx: &WriteTransaction<'_>, oldest: u64, limit: usize) -> Result<u64> {
    tx.execute(
        "delete from webhook_delivery where id in
           (select id from webhook_delivery where position < ?1 and state <> 'pending'
            order by position limit ?2)",
        params![oldest, limit],
    )
}
