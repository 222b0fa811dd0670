//! Webhooks: what a person does to them. The way of an event is `fan_out`, then
//! `courier`, then `deliver`.

pub(crate) mod courier;
pub(crate) mod deliver;
pub(crate) mod fan_out;
mod model;
mod schedule;
mod signing;

use std::time::Duration;

use landfall_clock::Timestamp;
use landfall_database::{
    Database,
    outbox::{self, Event},
};
use landfall_ids::{AccountId, DeliveryId, EventId, WebhookId};
use zeroize::Zeroizing;

pub(crate) use model::Subscription;
pub use model::{Attempt, Delivery, DeliveryState, Webhook, WebhookChange, WebhookPlan};
pub use signing::WebhookSecret;

use crate::{
    Error, Notify, Result, cloud_event,
    egress::Egress,
    store::{
        deliveries, lines,
        webhooks::{self, NewWebhook},
    },
};

/// Webhooks of one account, at the most.
const MOST: u64 = 100;
/// Patterns of one kind in a webhook, at the most.
const MOST_PATTERNS: usize = 32;
/// Why webhooks are disabled whose secrets were forgotten.
const FORGOTTEN: &str = "its secret was not in the backup; rotate it";
/// How far ahead of every position a page of deliveries may begin.
const NEWEST: u64 = i64::MAX as u64;

/// Some of a listing, and whether there is more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries, in order.
    pub entries: Vec<T>,
    /// Whether there are more behind them.
    pub more: bool,
}

impl<T> Page<T> {
    /// From one entry more than was asked for, if there are as many.
    fn of(mut entries: Vec<T>, limit: usize) -> Self {
        let more = entries.len() > limit;
        entries.truncate(limit);
        Self { entries, more }
    }
}

/// A transaction's answer, with our own error in it.
type Nested<T> = landfall_database::Result<Result<T>>;

impl Notify {
    /// Makes a webhook, and the secret that it signs with. The URL has to lead
    /// to where requests may go.
    pub async fn webhook_create(
        &self,
        account: AccountId,
        plan: WebhookPlan,
        created_by: &str,
    ) -> Result<(Webhook, WebhookSecret)> {
        self.check(&plan).await?;
        let now = self.clock.now();
        let id = WebhookId::new_at(now.unix_micros());
        let secret = WebhookSecret::make().ok_or(Error::NoRandomBytes)?;
        let sealed = self.key.seal(&purpose(id), secret.as_bytes());
        let created_by = created_by.to_owned();
        let made = self.database.write(move |tx| -> Nested<Webhook> {
            // Two at once may make one too many; it is no invariant.
            if webhooks::webhook_count(tx, account)? >= MOST {
                return Ok(Err(Error::TooManyWebhooks(MOST)));
            }
            let new = NewWebhook {
                id,
                account,
                plan: &plan,
                secret: &sealed,
                since: outbox::head(tx)?,
                created_by: &created_by,
                now,
            };
            webhooks::webhook_insert(tx, &new)?;
            let made = webhooks::webhook_find(tx, id)?;
            Ok(made.ok_or(Error::WebhookUnknown(id)))
        });
        Ok((made.await??, secret))
    }

    /// A webhook.
    pub async fn webhook_show(&self, id: WebhookId) -> Result<Webhook> {
        let found = self
            .database
            .read(move |tx| webhooks::webhook_find(tx, id))
            .await?;
        found.ok_or(Error::WebhookUnknown(id))
    }

    /// Webhooks of an account, or of all, after `last`.
    pub async fn webhook_list(
        &self,
        account: Option<AccountId>,
        last: Option<WebhookId>,
        limit: usize,
    ) -> Result<Page<Webhook>> {
        let found = self
            .database
            .read(move |tx| webhooks::webhook_page(tx, account, last, limit + 1))
            .await?;
        Ok(Page::of(found, limit))
    }

    /// Changes a webhook. One that is enabled again gets the events from then
    /// on; when one is disabled, what waits for it becomes dead letters.
    pub async fn webhook_update(&self, id: WebhookId, change: WebhookChange) -> Result<Webhook> {
        let known = self.webhook_show(id).await?;
        let url_changes = change.url.as_ref().is_some_and(|url| *url != known.url);
        let planned = changed(&known, &change);
        check_patterns(&planned)?;
        if url_changes {
            self.check(&planned).await?;
        }
        let now = self.clock.now();
        let updated = self.database.write(move |tx| -> Nested<Webhook> {
            let Some(before) = webhooks::webhook_lock(tx, id)? else {
                return Ok(Err(Error::WebhookUnknown(id)));
            };
            let plan = changed(&before, &change);
            let since = (plan.enabled && !before.enabled)
                .then(|| outbox::head(tx))
                .transpose()?;
            webhooks::webhook_update(tx, id, &plan, since, now)?;
            if before.enabled && !plan.enabled {
                deliveries::delivery_give_up(tx, id, "the webhook was disabled")?;
            }
            let after = webhooks::webhook_find(tx, id)?;
            Ok(after.ok_or(Error::WebhookUnknown(id)))
        });
        updated.await?
    }

    /// Gives a webhook a new secret. The old one signs too for the time of
    /// `overlap`.
    pub async fn webhook_rotate(
        &self,
        id: WebhookId,
        overlap: Duration,
    ) -> Result<(Webhook, WebhookSecret)> {
        let now = self.clock.now();
        let secret = WebhookSecret::make().ok_or(Error::NoRandomBytes)?;
        let sealed = self.key.seal(&purpose(id), secret.as_bytes());
        let rotated = self
            .database
            .write(move |tx| webhooks::webhook_rotate(tx, id, &sealed, now + overlap, now))
            .await?;
        if !rotated {
            return Err(Error::WebhookUnknown(id));
        }
        Ok((self.webhook_show(id).await?, secret))
    }

    /// Deletes a webhook with its deliveries.
    pub async fn webhook_delete(&self, id: WebhookId) -> Result<()> {
        let deleted = self
            .database
            .write(move |tx| webhooks::webhook_delete(tx, id))
            .await?;
        deleted.then_some(()).ok_or(Error::WebhookUnknown(id))
    }

    /// Sends an event of the kind `webhook.test` at once, enabled or not, and
    /// tells how that went. It is not remembered.
    pub async fn webhook_test(&self, id: WebhookId) -> Result<Attempt> {
        let webhook = self.webhook_show(id).await?;
        let now = self.clock.now();
        let event = Event {
            position: 0,
            id: EventId::new_at(now.unix_micros()),
            kind: "webhook.test".to_owned(),
            account: webhook.account,
            subject: format!("webhook/{id}"),
            actor: None,
            data: serde_json::json!({ "webhook": id }).to_string(),
            created: now,
        };
        let body = cloud_event::render(&event, &self.settings.source);
        let (attempt, _) = self.try_now(&webhook, &event.id.to_string(), body).await?;
        Ok(attempt)
    }

    /// Deliveries of a webhook, the newest first, before the position `last`.
    pub async fn delivery_list(
        &self,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        last: Option<u64>,
        limit: usize,
    ) -> Result<Page<Delivery>> {
        let before = last.unwrap_or(NEWEST);
        let found = self.database.read_long(move |tx| -> Nested<_> {
            if webhooks::webhook_find(tx, webhook)?.is_none() {
                return Ok(Err(Error::WebhookUnknown(webhook)));
            }
            deliveries::delivery_page(tx, webhook, state, before, limit + 1).map(Ok)
        });
        Ok(Page::of(found.await??, limit))
    }

    /// Puts a delivery in line again, or makes a pending one hurry. It goes
    /// before what else waits of its subject.
    pub async fn redeliver(&self, webhook: WebhookId, id: DeliveryId) -> Result<Delivery> {
        let now = self.clock.now();
        let renewed = self.database.write(move |tx| -> Nested<Delivery> {
            let Some(receiver) = webhooks::webhook_lock(tx, webhook)? else {
                return Ok(Err(Error::WebhookUnknown(webhook)));
            };
            if !receiver.enabled {
                return Ok(Err(Error::WebhookDisabled(webhook)));
            }
            let Some(delivery) = deliveries::delivery_find(tx, webhook, id)? else {
                return Ok(Err(Error::DeliveryUnknown(id)));
            };
            if outbox::event_find(tx, delivery.position)?.is_none() {
                return Ok(Err(Error::EventGone));
            }
            if delivery.state != DeliveryState::Pending {
                deliveries::delivery_renew(tx, id)?;
            }
            lines::line_hurry(tx, webhook, &delivery.subject, now)?;
            let delivery = deliveries::delivery_find(tx, webhook, id)?;
            Ok(delivery.ok_or(Error::DeliveryUnknown(id)))
        });
        let renewed = renewed.await??;
        self.bell.notify_one();
        Ok(renewed)
    }

    /// The secrets that sign for the webhook now, the newest first. The one
    /// before the present one is left out if it can't be opened.
    pub(crate) async fn secrets(&self, id: WebhookId) -> Result<Vec<WebhookSecret>> {
        let now: Timestamp = self.clock.now();
        let sealed = self
            .database
            .read(move |tx| webhooks::webhook_secrets(tx, id, now))
            .await?;
        let mut secrets = Vec::new();
        for (age, sealed) in sealed.iter().enumerate() {
            let opened: Result<Zeroizing<Vec<u8>>, _> = self.key.open(&purpose(id), sealed);
            match opened {
                Ok(opened) => secrets.push(WebhookSecret::from_bytes(opened)),
                Err(error) if age == 0 => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(webhook = %id, %error, "a previous secret can't be opened");
                }
            }
        }
        Ok(secrets)
    }

    async fn check(&self, plan: &WebhookPlan) -> Result<()> {
        check_patterns(plan)?;
        let url = Egress::parse(&plan.url)?;
        Ok(self.egress.check(&url).await?)
    }
}

/// Does without the secrets of all webhooks, which are sealed under a key that
/// is lost: each is disabled until a person gives it a new secret and enables
/// it, and what waits for it becomes dead letters. For a database that no server
/// works on; answers how many webhooks there are.
pub async fn webhook_secrets_forget(database: &Database) -> Result<u64> {
    let forgotten = database.write(|tx| {
        deliveries::delivery_give_up_all(tx, "the webhook was disabled")?;
        lines::line_end_all(tx)?;
        webhooks::webhook_disable_all(tx, FORGOTTEN)
    });
    Ok(forgotten.await?)
}

fn check_patterns(plan: &WebhookPlan) -> Result<()> {
    let most = plan.kinds.len().max(plan.repositories.len());
    if most > MOST_PATTERNS {
        return Err(Error::TooManyPatterns(most));
    }
    Ok(())
}

fn changed(webhook: &Webhook, change: &WebhookChange) -> WebhookPlan {
    let or = |new: &Option<Vec<_>>, old: &Vec<_>| new.as_ref().unwrap_or(old).clone();
    WebhookPlan {
        url: change.url.as_ref().unwrap_or(&webhook.url).clone(),
        kinds: or(&change.kinds, &webhook.kinds),
        repositories: or(&change.repositories, &webhook.repositories),
        enabled: change.enabled.unwrap_or(webhook.enabled),
    }
}

/// What a webhook's secret is sealed for: in another webhook's row it is worth
/// nothing.
fn purpose(id: WebhookId) -> String {
    format!("webhook secret {id}")
}
