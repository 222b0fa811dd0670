//! `/api/v1/webhooks/{id}/deliveries`: what was sent, and how that went.

use axum::{Json, http::StatusCode};
use landfall_ids::{DeliveryId, EventId, WebhookId};
use landfall_notify::{Attempt, Delivery, DeliveryState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::{
    caller::{Call, Segments},
    paging::{Listing, Paging, Parameters},
    problem::Problem,
};

/// One event on its way to a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct DeliveryBody {
    /// Its identity.
    #[schema(value_type = String)]
    id: DeliveryId,
    /// The event: the `webhook-id` of each try.
    #[schema(value_type = String)]
    event: EventId,
    /// The place of the event in the log.
    position: u64,
    /// What happened.
    kind: String,
    /// What it happened to.
    subject: String,
    /// `pending`, `delivered`, or `dead` if it was given up.
    state: &'static str,
    /// How often it was tried.
    tries: u64,
    /// When it was put in line, in RFC 3339.
    created: String,
    /// When it was tried last, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_try: Option<String>,
    /// When it, or what is before it of the same subject, is tried next, in RFC
    /// 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try: Option<String>,
    /// The status code of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u64>,
    /// Why the last try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// How long the last try took.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            event: delivery.event,
            position: delivery.position,
            kind: delivery.kind,
            subject: delivery.subject,
            state: delivery.state.as_str(),
            tries: delivery.tries,
            created: delivery.created.to_string(),
            last_try: delivery.last_try.map(|time| time.to_string()),
            next_try: delivery.next_try.map(|time| time.to_string()),
            status: delivery.status,
            error: delivery.error,
            duration_ms: delivery.duration_ms,
        }
    }
}

/// How a try went.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct AttemptBody {
    /// Whether the receiver has taken it.
    delivered: bool,
    /// The status code of the answer; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// How long it took.
    duration_ms: u64,
}

impl From<Attempt> for AttemptBody {
    fn from(attempt: Attempt) -> Self {
        Self {
            delivered: attempt.error.is_none(),
            status: attempt.status,
            error: attempt.error,
            duration_ms: attempt.duration_ms,
        }
    }
}

/// Which deliveries are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct DeliveryQuery {
    /// The `next` of the page before.
    last: Option<u64>,
    /// Entries of the page, 1 to 1000; 100 if it is not said.
    limit: Option<usize>,
    /// Only those in this state: `pending`, `delivered` or `dead`.
    state: Option<String>,
}

/// Lists the deliveries of a webhook, the newest first.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", operation_id = "delivery_list",
    tag = "events",
    params(("id" = String, Path, description = "The webhook"), DeliveryQuery),
    responses((status = 200, body = Listing<DeliveryBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(in crate::api) async fn list(
    call: Call,
    Segments(id): Segments<WebhookId>,
    Parameters(query): Parameters<DeliveryQuery>,
) -> Result<Json<Listing<DeliveryBody>>, Problem> {
    call.allow_operation().await?;
    let state = match query.state.as_deref() {
        Some(word) => Some(DeliveryState::parse(word).ok_or_else(|| {
            let detail = format!("`{word}` is none of `pending`, `delivered` and `dead`");
            Problem::invalid(&detail)
        })?),
        None => None,
    };
    let limit = Paging::of(None, query.limit).limit();
    let notify = &call.server.notify;
    let page = notify.delivery_list(id, state, query.last, limit).await?;
    let page = landfall_registry::Page {
        entries: page.entries,
        more: page.more,
    };
    Ok(Json(Listing::of(page, |delivery: &Delivery| {
        delivery.position.to_string()
    })))
}

/// Sends a delivery again, or a pending one at once.
#[utoipa::path(post, path = "/webhooks/{id}/deliveries/{delivery}/redeliver",
    operation_id = "delivery_redeliver", tag = "events",
    params(("id" = String, Path, description = "The webhook"),
           ("delivery" = String, Path, description = "The delivery")),
    responses((status = 202, body = DeliveryBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(in crate::api) async fn redeliver(
    call: Call,
    Segments((id, delivery)): Segments<(WebhookId, DeliveryId)>,
) -> Result<(StatusCode, Json<DeliveryBody>), Problem> {
    call.allow_operation().await?;
    let delivery = call.server.notify.redeliver(id, delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery.into())))
}

/// Sends an event of the kind `webhook.test` now, and answers how that went.
#[utoipa::path(post, path = "/webhooks/{id}/test", operation_id = "webhook_test",
    tag = "events",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, body = AttemptBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(in crate::api) async fn test(
    call: Call,
    Segments(id): Segments<WebhookId>,
) -> Result<Json<AttemptBody>, Problem> {
    call.allow_operation().await?;
    Ok(Json(call.server.notify.webhook_test(id).await?.into()))
}
