//! One try of one delivery, and what follows from it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use landfall_clock::Timestamp;
use landfall_database::{
    WriteTransaction,
    outbox::{self, Event, NewEvent},
};
use landfall_ids::WebhookId;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::{
    Attempt, Delivery, DeliveryState, Webhook, purpose,
    schedule::{self, Failure},
    signing,
};
use crate::{
    Error, Notify, Result, cloud_event,
    egress::Egress,
    store::{
        deliveries,
        lines::{self, Claim},
        webhooks,
    },
};

const DELIVERIES: &str = "landfall_webhook_deliveries_total";

/// A webhook of which every try has failed for so long is disabled when the
/// next delivery is given up. One failed try says nothing about a webhook that
/// was quiet since.
const GIVE_UP: Duration = Duration::from_hours(5 * 24);

/// The answer of a receiver that wants no more.
const GONE: u16 = 410;

/// Why a webhook is disabled that nothing can be signed for.
const SEALED: &str = "its secret can't be opened; rotate it";

/// What a claim is about.
struct Work {
    webhook: Webhook,
    delivery: Delivery,
    /// `None` if it is no longer kept.
    event: Option<Event>,
}

/// What a try has led to.
#[derive(Debug, Clone)]
enum Outcome {
    Delivered,
    /// It failed, and is tried again then.
    Again(Timestamp),
    /// It failed for the last time.
    GivenUp,
    /// The webhook is of no use any more, for this reason.
    Disable(&'static str),
}

impl Outcome {
    fn label(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Again(_) => "failed",
            Self::GivenUp => "dead",
            Self::Disable(_) => "disabled",
        }
    }
}

pub(crate) fn describe_metrics() {
    metrics::describe_counter!(DELIVERIES, "Tries of webhook deliveries, by their outcome.");
}

impl Notify {
    /// Tries the first delivery of the line. Whether the claim is still held,
    /// and another delivery may be made under it.
    pub(crate) async fn deliver_first(&self, claim: &Claim) -> Result<bool> {
        let Some(work) = self.work_of(claim).await? else {
            return self.end(claim).await;
        };
        let Some(event) = &work.event else {
            return self.bury(claim, work, "the event is no longer kept").await;
        };
        if !work.webhook.enabled {
            return self.bury(claim, work, "the webhook was disabled").await;
        }
        let body = cloud_event::render(event, &self.settings.source);
        let id = event.id.to_string();
        let tried = self.try_now(&work.webhook, &id, body);
        let Some(tried) = self.while_held(claim, tried).await? else {
            return Ok(false);
        };
        let (attempt, retry_after) = match tried {
            // Trying again opens nothing.
            Err(Error::Seal(error)) => return self.lock_out(claim, work, &error).await,
            tried => tried?,
        };
        let outcome = self.judge(&work, &attempt, retry_after);
        metrics::counter!(DELIVERIES, "outcome" => outcome.label()).increment(1);
        if let Some(error) = &attempt.error {
            tracing::info!(
                webhook = %work.webhook.id,
                delivery = %work.delivery.id,
                tries = work.delivery.tries + 1,
                outcome = outcome.label(),
                error,
                "a webhook did not take a delivery"
            );
        }
        let (claim, now, lease) = (claim.clone(), self.clock.now(), self.settings.claim);
        let concluded = self.database.write(move |tx| {
            if !lines::line_hold(tx, &claim, lease)? {
                // It took too long, and somebody else has the line.
                return Ok(false);
            }
            conclude(tx, &claim, &work, &attempt, &outcome, now)
        });
        Ok(concluded.await?)
    }

    /// Does something under the claim, which is kept meanwhile; `None` if it was
    /// lost, and what was to be done was cut off. Claims are short, so that what
    /// a dead server had begun is soon made by another.
    async fn while_held<T>(
        &self,
        claim: &Claim,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>> {
        let lease = self.settings.claim;
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(Some(done)),
                () = tokio::time::sleep(lease / 3) => {}
            }
            let claim = claim.clone();
            let held = self
                .database
                .write(move |tx| lines::line_hold(tx, &claim, lease));
            if !held.await? {
                return Ok(None);
            }
        }
    }

    async fn work_of(&self, claim: &Claim) -> Result<Option<Work>> {
        let (id, subject) = (claim.webhook, claim.subject.clone());
        let work = self.database.read(move |tx| {
            let Some(webhook) = webhooks::webhook_find(tx, id)? else {
                return Ok(None);
            };
            let Some(delivery) = deliveries::delivery_first(tx, id, &subject)? else {
                return Ok(None);
            };
            let event = outbox::event_find(tx, delivery.position)?;
            Ok::<_, landfall_database::Error>(Some(Work {
                webhook,
                delivery,
                event,
            }))
        });
        Ok(work.await?)
    }

    /// Takes an empty line away.
    async fn end(&self, claim: &Claim) -> Result<bool> {
        let (claim, lease) = (claim.clone(), self.settings.claim);
        let ended = self.database.write(move |tx| {
            if !lines::line_hold(tx, &claim, lease)? {
                return Ok(false);
            }
            go_on(tx, &claim)
        });
        Ok(ended.await?)
    }

    /// Gives up a delivery that can't be tried.
    async fn bury(&self, claim: &Claim, work: Work, because: &'static str) -> Result<bool> {
        metrics::counter!(DELIVERIES, "outcome" => "dead").increment(1);
        let (claim, lease, id) = (claim.clone(), self.settings.claim, work.delivery.id);
        let buried = self.database.write(move |tx| {
            if !lines::line_hold(tx, &claim, lease)? {
                return Ok(false);
            }
            deliveries::delivery_bury(tx, id, because)?;
            go_on(tx, &claim)
        });
        Ok(buried.await?)
    }

    /// Disables a webhook whose secret can't be opened, unless it has got a new
    /// one in the meantime. Whether the claim is still held.
    async fn lock_out(
        &self,
        claim: &Claim,
        work: Work,
        error: &landfall_seal::Error,
    ) -> Result<bool> {
        let id = work.webhook.id;
        tracing::warn!(webhook = %id, %error, "the secret of a webhook can't be opened");
        let (claim, lease, now) = (claim.clone(), self.settings.claim, self.clock.now());
        let key = Arc::clone(&self.key);
        let locked_out = self.database.write(move |tx| {
            if !lines::line_hold(tx, &claim, lease)? {
                return Ok(false);
            }
            webhooks::webhook_lock(tx, id)?;
            let secrets = webhooks::webhook_secrets(tx, id, now)?;
            let present = secrets.first();
            if present.is_some_and(|sealed| key.open(&purpose(id), sealed).is_err()) {
                disable(tx, &work.webhook, SEALED, now)?;
            }
            go_on(tx, &claim)
        });
        Ok(locked_out.await?)
    }

    /// Sends a message to the webhook, signed with the secrets of now.
    pub(crate) async fn try_now(
        &self,
        webhook: &Webhook,
        id: &str,
        body: Vec<u8>,
    ) -> Result<(Attempt, Option<Duration>)> {
        let secrets = self.secrets(webhook.id).await?;
        let at = self.clock.now();
        let mut headers: HeaderMap = signing::headers(id, at, &body, &secrets);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(cloud_event::CONTENT_TYPE),
        );
        let begun = Instant::now();
        let answered = match Egress::parse(&webhook.url) {
            Ok(url) => self.egress.post(&url, headers, body).await,
            Err(error) => Err(error),
        };
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (status, error, retry_after) = match answered {
            Ok(answer) if answer.is_success() => (Some(answer.status), None, None),
            Ok(answer) => {
                let told = told(answer.status);
                (Some(answer.status), Some(told), answer.retry_after)
            }
            Err(error) => (None, Some(error.to_string()), None),
        };
        let attempt = Attempt {
            at,
            duration_ms,
            status,
            error,
        };
        Ok((attempt, retry_after))
    }

    fn judge(&self, work: &Work, attempt: &Attempt, retry_after: Option<Duration>) -> Outcome {
        if attempt.error.is_none() {
            return Outcome::Delivered;
        }
        let now = self.clock.now();
        if attempt.status == Some(GONE) {
            return Outcome::Disable("the receiver answered 410: it wants no more events");
        }
        let failure = Failure {
            delivery: work.delivery.id,
            tries: work.delivery.tries + 1,
            first: work.delivery.first_try.unwrap_or(attempt.at),
            retry_after,
        };
        if let Some(at) = schedule::next(&failure, now, self.settings.retry_for) {
            return Outcome::Again(at);
        }
        let failing = work.webhook.failing_since;
        if failing.is_some_and(|since| now.since(since) >= GIVE_UP) {
            return Outcome::Disable("every try has failed for five days");
        }
        Outcome::GivenUp
    }
}

/// A redirect is told with the reason why it is none of our successes.
fn told(status: u16) -> String {
    match status {
        300..400 => format!("the receiver answered {status}, and redirects are not followed"),
        _ => format!("the receiver answered {status}"),
    }
}

/// Notes what a try has led to. Whether the claim is still held.
fn conclude(
    tx: &WriteTransaction<'_>,
    claim: &Claim,
    work: &Work,
    attempt: &Attempt,
    outcome: &Outcome,
    now: Timestamp,
) -> landfall_database::Result<bool> {
    let state = match outcome {
        Outcome::Delivered => DeliveryState::Delivered,
        Outcome::Again(_) => DeliveryState::Pending,
        Outcome::GivenUp | Outcome::Disable(_) => DeliveryState::Dead,
    };
    deliveries::delivery_record(tx, work.delivery.id, attempt, state)?;
    match outcome {
        Outcome::Delivered => {
            if work.webhook.failing_since.is_some() {
                webhooks::webhook_working(tx, work.webhook.id)?;
            }
        }
        Outcome::Again(at) => {
            webhooks::webhook_failing(tx, work.webhook.id, now)?;
            lines::line_release(tx, claim, *at)?;
            return Ok(false);
        }
        Outcome::GivenUp => webhooks::webhook_failing(tx, work.webhook.id, now)?,
        Outcome::Disable(because) => disable(tx, &work.webhook, because, now)?,
    }
    go_on(tx, claim)
}

/// Disables a webhook by itself, and tells whoever reads the account's events.
/// They do not learn its URL: often that alone lets one write to the receiver.
fn disable(
    tx: &WriteTransaction<'_>,
    webhook: &Webhook,
    because: &str,
    now: Timestamp,
) -> landfall_database::Result<()> {
    if !webhooks::webhook_disable(tx, webhook.id, because)? {
        return Ok(());
    }
    deliveries::delivery_give_up(tx, webhook.id, "the webhook was disabled")?;
    tracing::warn!(webhook = %webhook.id, reason = because, "a webhook is disabled");
    let data = serde_json::json!({
        "webhook": webhook.id,
        "reason": because,
    });
    outbox::append(
        tx,
        &NewEvent {
            kind: "webhook.disabled",
            account: webhook.account,
            subject: subject_of(webhook.id),
            actor: None,
            data: &data.to_string(),
            now,
        },
    )
}

fn subject_of(webhook: WebhookId) -> String {
    format!("webhook/{webhook}")
}

/// Ends the line if nothing waits in it. The caller has locked its row, so a
/// delivery that comes later makes a new line.
fn go_on(tx: &WriteTransaction<'_>, claim: &Claim) -> landfall_database::Result<bool> {
    let more = deliveries::delivery_waits(tx, claim)?;
    if !more {
        lines::line_end(tx, claim)?;
    }
    Ok(more)
}
