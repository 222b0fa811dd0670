//! `/api/v1/events`: the log, page by page or as a stream.

mod stream;

use std::sync::Arc;

use axum::{
    Json,
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Response},
};
use landfall_identity::Action;
use landfall_ids::{AccountId, EventId};
use landfall_notify::{Event, EventFilter, EventPage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    caller::Call,
    paging::{Paging, Parameters},
    problem::Problem,
    webhooks::patterns,
};
use crate::auth::Lasting;

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventBody {
    /// Its place in the log: from 1, without gaps, in order for each subject.
    position: u64,
    /// Its identity.
    #[schema(value_type = String)]
    id: EventId,
    /// What happened: `tag.moved`.
    kind: String,
    /// The account that it belongs to.
    #[schema(value_type = String)]
    account: AccountId,
    /// What it happened to: a repository's name.
    subject: String,
    /// Who did it; absent if Landfall did, by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// When it happened, in RFC 3339.
    time: String,
    /// What else there is to know.
    #[schema(value_type = Object)]
    data: Value,
}

impl From<&Event> for EventBody {
    fn from(event: &Event) -> Self {
        Self {
            position: event.position,
            id: event.id,
            kind: event.kind.clone(),
            account: event.account,
            subject: event.subject.clone(),
            actor: event.actor.clone(),
            time: event.created.to_string(),
            data: landfall_notify::data(event),
        }
    }
}

/// Some of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventListing {
    /// The events, in the order of their positions.
    items: Vec<EventBody>,
    /// The `last` of the next page; absent at the end of the log. A page with a
    /// filter may have a next one although it holds few events, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// How far the log was read: what comes later is behind it.
    position: u64,
}

impl From<EventPage> for EventListing {
    fn from(page: EventPage) -> Self {
        Self {
            items: page.events.iter().map(EventBody::from).collect(),
            next: page.more.then(|| page.position.to_string()),
            position: page.position,
        }
    }
}

/// Which events are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    /// The `next` of the page before, or any position; 0 is the beginning of
    /// what is kept. Without it, a page has the newest events, and a stream those
    /// to come.
    last: Option<u64>,
    /// Events of a page, 1 to 1000; 100 if it is not said.
    limit: Option<usize>,
    /// Kinds, separated by commas; `*` stands for any text: `tag.*`.
    kind: Option<String>,
    /// Repositories, in the same way: `acme/*`.
    repository: Option<String>,
    /// The name of an account.
    account: Option<String>,
}

impl EventQuery {
    async fn filter(&self, call: &Call) -> Result<EventFilter, Problem> {
        let split = |text: &Option<String>| -> Vec<String> {
            let texts = text.as_deref().unwrap_or_default().split(',');
            let texts = texts.filter(|text| !text.is_empty());
            texts.map(str::to_owned).collect()
        };
        let account = match &self.account {
            Some(name) => Some(call.account_named(name).await?),
            None => None,
        };
        Ok(EventFilter {
            account,
            kinds: patterns(&split(&self.kind))?,
            repositories: patterns(&split(&self.repository))?,
        })
    }
}

/// Lists events, or follows them: a request that accepts `text/event-stream`
/// gets server-sent events as they happen, with their positions as ids, so that
/// `Last-Event-ID` resumes.
#[utoipa::path(get, path = "/events", operation_id = "event_list",
    tag = "events", params(EventQuery),
    responses((status = 200, content((EventListing = "application/json"),
                                     (String = "text/event-stream"))),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    call: Call,
    parts: Parts,
    Parameters(query): Parameters<EventQuery>,
) -> Result<Response, Problem> {
    call.allow_operation().await?;
    let filter = query.filter(&call).await?;
    let notify = &call.server.notify;
    if wants_stream(&parts.headers) {
        let after = resumed(&parts.headers)?.or(query.last);
        let tail = notify.tail(after).await?;
        let right = Lasting::new(Arc::clone(&call.server), parts, Action::Administer, None);
        return Ok(stream::respond(tail, filter, right));
    }
    let limit = Paging::of(None, query.limit).limit();
    let page = match query.last {
        Some(last) => notify.event_page(filter, last, limit).await?,
        None => notify.event_newest(filter, limit).await?,
    };
    Ok(Json(EventListing::from(page)).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains(stream::CONTENT_TYPE))
}

/// The position that a stream was cut off at.
fn resumed(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    match position {
        Some(position) => Ok(Some(position)),
        None => Err(Problem::invalid(
            &"`Last-Event-ID` is no position of the event log",
        )),
    }
}
