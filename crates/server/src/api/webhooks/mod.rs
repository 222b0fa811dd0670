//! `/api/v1/webhooks`: subscriptions to events.

pub(super) mod deliveries;

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderName, StatusCode, header},
};
use landfall_ids::{AccountId, WebhookId};
use landfall_notify::{
    InvalidPattern, Pattern, Webhook, WebhookChange, WebhookPlan, WebhookSecret,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    caller::{Call, Segments},
    paging::{Content, Listing, Paging, Parameters},
    problem::Problem,
};

/// The longest time for which two secrets sign, and the usual one.
const LONGEST_OVERLAP: Duration = Duration::from_hours(7 * 24);
const USUAL_OVERLAP: Duration = Duration::from_hours(24);

/// A secret is nothing for a cache.
pub(super) type Unstored = [(HeaderName, &'static str); 1];
pub(super) const UNSTORED: Unstored = [(header::CACHE_CONTROL, "no-store")];

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookBody {
    /// Its identity.
    #[schema(value_type = String)]
    id: WebhookId,
    /// The account whose events it gets.
    #[schema(value_type = String)]
    account: AccountId,
    /// Where they go.
    url: String,
    /// The kinds that it wants; all if there are none.
    kinds: Vec<String>,
    /// The repositories whose events it wants; all if there are none.
    repositories: Vec<String>,
    /// Whether events go there.
    enabled: bool,
    /// Why Landfall has disabled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_because: Option<String>,
    /// Since when every try has failed, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    /// Until when the secret before the present one signs too, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotating_until: Option<String>,
    /// Who made it.
    created_by: String,
    /// When it was made, in RFC 3339.
    created: String,
    /// When it was changed last, in RFC 3339.
    updated: String,
}

impl From<Webhook> for WebhookBody {
    fn from(webhook: Webhook) -> Self {
        let texts = |patterns: &[Pattern]| patterns.iter().map(Pattern::to_string).collect();
        Self {
            id: webhook.id,
            account: webhook.account,
            kinds: texts(&webhook.kinds),
            repositories: texts(&webhook.repositories),
            url: webhook.url,
            enabled: webhook.enabled,
            disabled_because: webhook.disabled_because,
            failing_since: webhook.failing_since.map(|time| time.to_string()),
            rotating_until: webhook.rotating_until.map(|time| time.to_string()),
            created_by: webhook.created_by,
            created: webhook.created.to_string(),
            updated: webhook.updated.to_string(),
        }
    }
}

/// A webhook with its secret, which is not shown again.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookWithSecret {
    #[serde(flatten)]
    webhook: WebhookBody,
    /// The key of its signatures, as Standard Webhooks writes it.
    secret: String,
}

impl From<(Webhook, WebhookSecret)> for WebhookWithSecret {
    fn from((webhook, secret): (Webhook, WebhookSecret)) -> Self {
        Self {
            webhook: webhook.into(),
            secret: secret.reveal().to_string(),
        }
    }
}

/// A webhook to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWebhook {
    /// The name of the account whose events it gets; the caller's own if it is
    /// not said.
    #[serde(default)]
    account: Option<String>,
    /// Where events go: `https://...`.
    url: String,
    /// The kinds that it wants, such as `tag.*`; all if there are none.
    #[serde(default)]
    kinds: Vec<String>,
    /// The repositories whose events it wants, such as `acme/*`; all if there
    /// are none.
    #[serde(default)]
    repositories: Vec<String>,
    /// Whether events go there from now on; they do if it is not said.
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// What to change of a webhook; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookChanges {
    /// Where events go.
    url: Option<String>,
    /// The kinds that it wants; all if the list is empty.
    kinds: Option<Vec<String>>,
    /// The repositories whose events it wants; all if the list is empty.
    repositories: Option<Vec<String>>,
    /// Whether events go there. What waits for one that is disabled is given up.
    enabled: Option<bool>,
}

/// How to replace a secret.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rotation {
    /// For how long the old secret signs too, in seconds: at most a week, and a
    /// day if it is not said.
    overlap_seconds: Option<u64>,
}

/// Which webhooks are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WebhookQuery {
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    last: Option<WebhookId>,
    /// Entries of the page, 1 to 1000; 100 if it is not said.
    limit: Option<usize>,
    /// The name of an account.
    account: Option<String>,
}

/// Patterns from their texts.
pub(super) fn patterns(texts: &[String]) -> Result<Vec<Pattern>, Problem> {
    let parsed: Result<_, InvalidPattern> = texts.iter().map(|text| text.parse()).collect();
    parsed.map_err(|error| Problem::invalid(&error))
}

/// Lists webhooks.
#[utoipa::path(get, path = "/webhooks", operation_id = "webhook_list",
    tag = "events", params(WebhookQuery),
    responses((status = 200, body = Listing<WebhookBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    call: Call,
    Parameters(query): Parameters<WebhookQuery>,
) -> Result<Json<Listing<WebhookBody>>, Problem> {
    call.allow_operation().await?;
    let account = match &query.account {
        Some(name) => Some(call.account_named(name).await?),
        None => None,
    };
    let limit = Paging::of(None, query.limit).limit();
    let notify = &call.server.notify;
    let page = notify.webhook_list(account, query.last, limit).await?;
    let page = landfall_registry::Page {
        entries: page.entries,
        more: page.more,
    };
    Ok(Json(Listing::of(page, |webhook: &Webhook| {
        webhook.id.to_string()
    })))
}

/// Makes a webhook. The answer has its secret, which is not shown again.
#[utoipa::path(post, path = "/webhooks", operation_id = "webhook_create",
    tag = "events", request_body = NewWebhook,
    responses((status = 201, body = WebhookWithSecret),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    call: Call,
    content: Content,
) -> Result<(StatusCode, Unstored, Json<WebhookWithSecret>), Problem> {
    call.allow_operation().await?;
    let new: NewWebhook = content.read().await?;
    let account = match (&new.account, &call.caller.principal) {
        (Some(name), _) => call.account_named(name).await?,
        (None, Some(principal)) => principal.account,
        (None, None) => return Err(Problem::invalid(&"`account` has to be named")),
    };
    let plan = WebhookPlan {
        url: new.url,
        kinds: patterns(&new.kinds)?,
        repositories: patterns(&new.repositories)?,
        enabled: new.enabled,
    };
    let notify = &call.server.notify;
    let made = notify
        .webhook_create(account, plan, &call.caller.name())
        .await?;
    Ok((StatusCode::CREATED, UNSTORED, Json(made.into())))
}

/// A webhook.
#[utoipa::path(get, path = "/webhooks/{id}", operation_id = "webhook_show",
    tag = "events",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, body = WebhookBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    call: Call,
    Segments(id): Segments<WebhookId>,
) -> Result<Json<WebhookBody>, Problem> {
    call.allow_operation().await?;
    Ok(Json(call.server.notify.webhook_show(id).await?.into()))
}

/// Changes a webhook. One that is enabled again gets the events from then on.
#[utoipa::path(patch, path = "/webhooks/{id}", operation_id = "webhook_update",
    tag = "events", request_body = WebhookChanges,
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, body = WebhookBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn update(
    call: Call,
    Segments(id): Segments<WebhookId>,
    content: Content,
) -> Result<Json<WebhookBody>, Problem> {
    call.allow_operation().await?;
    let changes: WebhookChanges = content.read().await?;
    let parsed = |texts: Option<Vec<String>>| texts.map(|texts| patterns(&texts)).transpose();
    let change = WebhookChange {
        url: changes.url,
        kinds: parsed(changes.kinds)?,
        repositories: parsed(changes.repositories)?,
        enabled: changes.enabled,
    };
    let updated = call.server.notify.webhook_update(id, change).await?;
    Ok(Json(updated.into()))
}

/// Deletes a webhook with its deliveries.
#[utoipa::path(delete, path = "/webhooks/{id}", operation_id = "webhook_delete",
    tag = "events",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    call: Call,
    Segments(id): Segments<WebhookId>,
) -> Result<StatusCode, Problem> {
    call.allow_operation().await?;
    call.server.notify.webhook_delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a webhook a new secret. The old one signs too for some time.
#[utoipa::path(post, path = "/webhooks/{id}/rotate", operation_id = "webhook_rotate",
    tag = "events", request_body = Rotation,
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, body = WebhookWithSecret),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rotate(
    call: Call,
    Segments(id): Segments<WebhookId>,
    content: Content,
) -> Result<(Unstored, Json<WebhookWithSecret>), Problem> {
    call.allow_operation().await?;
    let rotation: Rotation = content.read().await?;
    let overlap = rotation
        .overlap_seconds
        .map_or(USUAL_OVERLAP, Duration::from_secs);
    let rotated = call
        .server
        .notify
        .webhook_rotate(id, overlap.min(LONGEST_OVERLAP))
        .await?;
    Ok((UNSTORED, Json(rotated.into())))
}
