//! The table `webhook_line`: what there is to do, and who does it.
//!
//! Whoever puts a delivery in line touches the row of the line, and whoever
//! takes the row away looks, after locking it, whether a delivery is left. So a
//! delivery never stands in a line that is not there.

use std::{collections::HashMap, time::Duration};

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, ToValue, WriteTransaction, params, placeholders};
use landfall_ids::WebhookId;

/// A line that somebody has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) webhook: WebhookId,
    pub(crate) subject: String,
    /// What proves the claim.
    pub(crate) token: u64,
}

/// Makes sure that there is a line for a delivery, which may be made now.
pub(crate) fn line_touch(
    tx: &WriteTransaction<'_>,
    webhook: WebhookId,
    subject: &str,
    now: Timestamp,
) -> Result<()> {
    // An update that changes nothing, for its lock.
    tx.execute(
        "insert into webhook_line(webhook, subject, due, token, claimed_until)
         values (?1, ?2, ?3, 0, 0)
         on conflict (webhook, subject) do update set due = webhook_line.due",
        params![webhook, subject, now],
    )?;
    Ok(())
}

/// As [`line_touch`], and the first delivery is made now even if it was to wait.
pub(crate) fn line_hurry(
    tx: &WriteTransaction<'_>,
    webhook: WebhookId,
    subject: &str,
    now: Timestamp,
) -> Result<()> {
    line_touch(tx, webhook, subject, now)?;
    tx.execute(
        "update webhook_line set due = ?3 where webhook = ?1 and subject = ?2 and due > ?3",
        params![webhook, subject, now],
    )?;
    Ok(())
}

/// Whether a line waits for somebody to claim it.
pub(crate) fn line_is_due(tx: &ReadTransaction<'_>, now: Timestamp) -> Result<bool> {
    tx.exists(
        "select 1 from webhook_line where due <= ?1 limit 1",
        params![now],
    )
}

/// How many lines may be claimed, in all and of one webhook.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) total: usize,
    pub(crate) per_webhook: usize,
}

/// Claims lines that are due, as many as there is room for beside those that are
/// worked on already (`running`, by webhook). What nobody has claimed, or
/// somebody too long ago by the database's clock, can be claimed.
pub(crate) fn line_claim(
    tx: &WriteTransaction<'_>,
    mut running: HashMap<WebhookId, usize>,
    room: Room,
    lease: Duration,
    now: Timestamp,
) -> Result<Vec<Claim>> {
    let instant = tx.now()?;
    let full = |count: &usize| *count >= room.per_webhook;
    let busy: Vec<WebhookId> = running
        .iter()
        .filter_map(|(id, count)| full(count).then_some(*id))
        .collect();
    let narrow = if busy.is_empty() {
        String::new()
    } else {
        format!(" and webhook not in ({})", placeholders(4, busy.len()))
    };
    // More than can be claimed: some may be of one webhook.
    let looked_at = room.total * 4;
    let mut values: Vec<&dyn ToValue> = vec![&now, &instant, &looked_at];
    values.extend(busy.iter().map(|id| id as &dyn ToValue));
    let found = tx.all(
        &format!(
            "select webhook, subject, token from webhook_line
             where due <= ?1 and claimed_until <= ?2{narrow}
             order by due limit ?3{}",
            tx.skip_locked()
        ),
        &values,
        |row| {
            Ok(Claim {
                webhook: row.get(0)?,
                subject: row.get(1)?,
                token: row.get(2)?,
            })
        },
    )?;
    let mut claims = Vec::new();
    for mut claim in found {
        let count = running.entry(claim.webhook).or_default();
        if full(count) || claims.len() >= room.total {
            continue;
        }
        *count += 1;
        claim.token += 1;
        tx.execute(
            "update webhook_line set token = ?3, claimed_until = ?4
             where webhook = ?1 and subject = ?2",
            params![claim.webhook, claim.subject, claim.token, instant + lease],
        )?;
        claims.push(claim);
    }
    Ok(claims)
}

/// Keeps the claim for longer; `false` if it is somebody else's by now. The row
/// is locked from here to the end of the transaction.
pub(crate) fn line_hold(tx: &WriteTransaction<'_>, claim: &Claim, lease: Duration) -> Result<bool> {
    let until = tx.now()? + lease;
    let held = tx.execute(
        "update webhook_line set claimed_until = ?4
         where webhook = ?1 and subject = ?2 and token = ?3",
        params![claim.webhook, claim.subject, claim.token, until],
    )?;
    Ok(held == 1)
}

/// Gives up the claim; anybody may go on from `due`. The caller holds it.
pub(crate) fn line_release(tx: &WriteTransaction<'_>, claim: &Claim, due: Timestamp) -> Result<()> {
    tx.execute(
        "update webhook_line set claimed_until = 0, due = ?4
         where webhook = ?1 and subject = ?2 and token = ?3",
        params![claim.webhook, claim.subject, claim.token, due],
    )?;
    Ok(())
}

/// Takes the line away. The caller holds it, and has seen that no delivery is
/// left in it.
pub(crate) fn line_end(tx: &WriteTransaction<'_>, claim: &Claim) -> Result<()> {
    tx.execute(
        "delete from webhook_line where webhook = ?1 and subject = ?2 and token = ?3",
        params![claim.webhook, claim.subject, claim.token],
    )?;
    Ok(())
}

/// Takes every line away. No delivery is pending, and nobody makes any.
pub(crate) fn line_end_all(tx: &WriteTransaction<'_>) -> Result<()> {
    tx.execute("delete from webhook_line", params![])?;
    Ok(())
}
