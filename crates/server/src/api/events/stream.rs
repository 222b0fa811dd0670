//! Server-sent events (the WHATWG's HTML standard, section 9.2).
//!
//! A stream never repeats an event and never leaves one out: each carries its
//! position as `id`, and a client that comes back says the last one it saw.
//! Where a filter lets nothing through, a beat carries the position instead, so
//! that a client does not have to come back to where it started.
//!
//! It ends when the server drains, when its reader may not read it any more
//! ([`Lasting`]), and after [`LONGEST`].

use std::{fmt::Write, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use landfall_notify::{Event, EventFilter, Tail};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::EventBody;
use crate::auth::Lasting;

pub(super) const CONTENT_TYPE: &str = "text/event-stream";

/// How often something is sent, if nothing happens: proxies close what is
/// silent.
const BEAT: Duration = Duration::from_secs(15);
/// How long a stream lasts.
const LONGEST: Duration = Duration::from_mins(15);
/// What a stream begins with: a client that loses it comes back after so many
/// milliseconds.
const OPENING: &str = "retry: 1000\n\n";

/// What is known of a stream between two pieces of its body.
struct Streaming {
    tail: Tail,
    filter: EventFilter,
    right: Lasting,
    end: Instant,
    /// Whether the opening was sent.
    open: bool,
}

/// The answer that follows the tail.
pub(super) fn respond(tail: Tail, filter: EventFilter, right: Lasting) -> Response {
    let streaming = Streaming {
        tail,
        filter,
        right,
        end: Instant::now() + LONGEST,
        open: false,
    };
    let pieces = stream::unfold(streaming, |mut streaming| async move {
        let piece = streaming.next().await?;
        if let Err(rejection) = streaming.right.still_may().await {
            let reason = rejection.told().message;
            tracing::info!(reason, "a stream of events ends");
            return None;
        }
        Some((Ok::<_, std::convert::Infallible>(piece), streaming))
    });
    let headers = [
        (header::CONTENT_TYPE, CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
        // What a proxy collects comes late.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, Body::from_stream(pieces)).into_response()
}

impl Streaming {
    /// The next piece of the body; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.open {
            self.open = true;
            return Some(Bytes::from_static(OPENING.as_bytes()));
        }
        let beat = (Instant::now() + BEAT).min(self.end);
        loop {
            let events = match timeout_at(beat, self.tail.next()).await {
                Ok(Ok(Some(events))) => events,
                // The server drains.
                Ok(Ok(None)) => return None,
                Ok(Err(error)) => {
                    tracing::info!(%error, "a stream of events ends");
                    return None;
                }
                Err(_) if beat == self.end => {
                    // Where there is nothing to do before the end.
                    sleep_until(self.end).await;
                    return None;
                }
                Err(_) => {
                    let position = self.tail.position();
                    return Some(Bytes::from(format!(": beat\nid: {position}\n\n")));
                }
            };
            let wanted = events.iter().filter(|event| self.filter.wants(event));
            let text: String = wanted.map(|event| message(event)).collect();
            if !text.is_empty() {
                return Some(Bytes::from(text));
            }
        }
    }
}

fn message(event: &Event) -> String {
    // One line: JSON as it is rendered has no line breaks.
    let data = serde_json::to_string(&EventBody::from(event)).unwrap_or_default();
    let mut text = String::with_capacity(data.len() + 64);
    let (position, kind) = (event.position, &event.kind);
    // A `String` takes all that is written.
    let _ = write!(text, "id: {position}\nevent: {kind}\ndata: {data}\n\n");
    text
}
