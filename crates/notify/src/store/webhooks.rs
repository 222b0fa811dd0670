//! The table `webhook`.

use landfall_clock::Timestamp;
use landfall_database::{Error, ReadTransaction, Result, Row, WriteTransaction, params};
use landfall_ids::{AccountId, WebhookId};

use crate::{
    pattern::Pattern,
    webhooks::{Subscription, Webhook, WebhookPlan},
};

const COLUMNS: &str = "id, account, url, kinds, repositories, enabled, disabled_because,
    failing_since, rotating_until, created_by, created, updated";

fn webhook(row: &Row<'_>) -> Result<Webhook> {
    Ok(Webhook {
        id: row.get(0)?,
        account: row.get(1)?,
        url: row.get(2)?,
        kinds: patterns(row, 3)?,
        repositories: patterns(row, 4)?,
        enabled: row.get(5)?,
        disabled_because: row.get(6)?,
        failing_since: row.get(7)?,
        rotating_until: row.get(8)?,
        created_by: row.get(9)?,
        created: row.get(10)?,
        updated: row.get(11)?,
    })
}

/// Patterns stand in one text with spaces between them; they hold none.
fn patterns(row: &Row<'_>, column: usize) -> Result<Vec<Pattern>> {
    let text: String = row.get(column)?;
    let parsed: Result<_, _> = text.split_whitespace().map(str::parse).collect();
    parsed.map_err(|_| Error::Column {
        column,
        expected: "patterns",
        found: format!("`{text}`"),
    })
}

fn joined(patterns: &[Pattern]) -> String {
    let texts: Vec<_> = patterns.iter().map(Pattern::as_str).collect();
    texts.join(" ")
}

/// A new webhook, besides its plan.
pub(crate) struct NewWebhook<'a> {
    pub(crate) id: WebhookId,
    pub(crate) account: AccountId,
    pub(crate) plan: &'a WebhookPlan,
    /// Sealed.
    pub(crate) secret: &'a [u8],
    pub(crate) since: u64,
    pub(crate) created_by: &'a str,
    pub(crate) now: Timestamp,
}

pub(crate) fn webhook_insert(tx: &WriteTransaction<'_>, new: &NewWebhook<'_>) -> Result<()> {
    tx.execute(
        "insert into webhook(id, account, url, kinds, repositories, secret, enabled, since,
           created_by, created, updated)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
        params![
            new.id,
            new.account,
            new.plan.url,
            joined(&new.plan.kinds),
            joined(&new.plan.repositories),
            new.secret,
            new.plan.enabled,
            new.since,
            new.created_by,
            new.now
        ],
    )?;
    Ok(())
}

/// Changes what a person may change. What Landfall knew of failures is
/// forgotten.
pub(crate) fn webhook_update(
    tx: &WriteTransaction<'_>,
    id: WebhookId,
    plan: &WebhookPlan,
    since: Option<u64>,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "update webhook set url = ?2, kinds = ?3, repositories = ?4, enabled = ?5,
           since = coalesce(?6, since), disabled_because = null, failing_since = null,
           updated = ?7
         where id = ?1",
        params![
            id,
            plan.url,
            joined(&plan.kinds),
            joined(&plan.repositories),
            plan.enabled,
            since,
            now
        ],
    )?;
    Ok(())
}

/// Puts a new secret in the place of the old one, which signs too until then.
pub(crate) fn webhook_rotate(
    tx: &WriteTransaction<'_>,
    id: WebhookId,
    secret: &[u8],
    until: Timestamp,
    now: Timestamp,
) -> Result<bool> {
    let rotated = tx.execute(
        "update webhook set previous_secret = secret, secret = ?2, rotating_until = ?3,
           updated = ?4
         where id = ?1",
        params![id, secret, until, now],
    )?;
    Ok(rotated == 1)
}

pub(crate) fn webhook_count(tx: &ReadTransaction<'_>, account: AccountId) -> Result<u64> {
    tx.number(
        "select count(*) from webhook where account = ?1",
        params![account],
    )
}

pub(crate) fn webhook_find(tx: &ReadTransaction<'_>, id: WebhookId) -> Result<Option<Webhook>> {
    tx.first(
        &format!("select {COLUMNS} from webhook where id = ?1"),
        params![id],
        webhook,
    )
}

/// As [`webhook_find`], and nobody else changes it until the end of the
/// transaction.
pub(crate) fn webhook_lock(tx: &WriteTransaction<'_>, id: WebhookId) -> Result<Option<Webhook>> {
    tx.first(
        &format!(
            "select {COLUMNS} from webhook where id = ?1{}",
            tx.for_update()
        ),
        params![id],
        webhook,
    )
}

/// Webhooks of an account, or of all, after `last`, in the order of their ids.
pub(crate) fn webhook_page(
    tx: &ReadTransaction<'_>,
    account: Option<AccountId>,
    last: Option<WebhookId>,
    limit: usize,
) -> Result<Vec<Webhook>> {
    let last = last.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    match account {
        Some(account) => tx.all(
            &format!(
                "select {COLUMNS} from webhook where account = ?1 and id > ?2
                 order by id limit ?3"
            ),
            params![account, last, limit],
            webhook,
        ),
        None => tx.all(
            &format!("select {COLUMNS} from webhook where id > ?1 order by id limit ?2"),
            params![last, limit],
            webhook,
        ),
    }
}

/// Every webhook that gets events.
pub(crate) fn subscriptions(tx: &ReadTransaction<'_>) -> Result<Vec<Subscription>> {
    tx.all(
        "select id, account, kinds, repositories, since from webhook where enabled = 1",
        params![],
        |row| {
            Ok(Subscription {
                id: row.get(0)?,
                account: row.get(1)?,
                kinds: patterns(row, 2)?,
                repositories: patterns(row, 3)?,
                since: row.get(4)?,
            })
        },
    )
}

/// The sealed secrets that sign now: the present one, and the one before it
/// while that is being replaced.
pub(crate) fn webhook_secrets(
    tx: &ReadTransaction<'_>,
    id: WebhookId,
    now: Timestamp,
) -> Result<Vec<Vec<u8>>> {
    let secrets = tx.first(
        "select secret, previous_secret, rotating_until from webhook where id = ?1",
        params![id],
        |row| {
            let until: Option<Timestamp> = row.get(2)?;
            let previous: Option<Vec<u8>> = row.get(1)?;
            let present: Vec<u8> = row.get(0)?;
            let previous = previous.filter(|_| until.is_some_and(|until| now < until));
            Ok([Some(present), previous].into_iter().flatten().collect())
        },
    )?;
    Ok(secrets.unwrap_or_default())
}

/// Notes since when every try has failed.
pub(crate) fn webhook_failing(
    tx: &WriteTransaction<'_>,
    id: WebhookId,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "update webhook set failing_since = ?2 where id = ?1 and failing_since is null",
        params![id, now],
    )?;
    Ok(())
}

/// Notes that a try has not failed.
pub(crate) fn webhook_working(tx: &WriteTransaction<'_>, id: WebhookId) -> Result<()> {
    tx.execute(
        "update webhook set failing_since = null where id = ?1 and failing_since is not null",
        params![id],
    )?;
    Ok(())
}

/// Stops events from going there. `false` if they did not any more.
pub(crate) fn webhook_disable(
    tx: &WriteTransaction<'_>,
    id: WebhookId,
    because: &str,
) -> Result<bool> {
    let disabled = tx.execute(
        "update webhook set enabled = 0, disabled_because = ?2 where id = ?1 and enabled = 1",
        params![id, because],
    )?;
    Ok(disabled == 1)
}

/// Stops events from going anywhere, and forgets the secrets that were replaced.
/// Answers how many webhooks there are.
pub(crate) fn webhook_disable_all(tx: &WriteTransaction<'_>, because: &str) -> Result<u64> {
    tx.execute(
        "update webhook set enabled = 0, disabled_because = ?1, previous_secret = null,
           rotating_until = null",
        params![because],
    )
}

/// Deletes the webhook with its deliveries. `false` if it was not there.
pub(crate) fn webhook_delete(tx: &WriteTransaction<'_>, id: WebhookId) -> Result<bool> {
    tx.execute("delete from webhook_line where webhook = ?1", params![id])?;
    tx.execute(
        "delete from webhook_delivery where webhook = ?1",
        params![id],
    )?;
    Ok(tx.execute("delete from webhook where id = ?1", params![id])? == 1)
}

/// Whether any webhook gets events.
pub(crate) fn any_enabled(tx: &ReadTransaction<'_>) -> Result<bool> {
    tx.exists("select 1 from webhook where enabled = 1 limit 1", params![])
}
