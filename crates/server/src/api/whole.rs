//! A request's body is here before anybody asks who calls.
//!
//! A body may take long to come. Were the caller asked first, a password that
//! is changed meanwhile, or a right that is taken away, would still do what the
//! body says when it has come. So bodies are read whole, in [`LONGEST`] and up
//! to [`LARGEST`], and then the handler asks.
//!
//! Nobody unknown may fill the memory: who sends wrong credentials is answered
//! without the body, and those who send none have a room of their own.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{caller::Call, problem::Problem};
use crate::{Server, auth::refusal::Told, listen::BodyError, registry_api::RETRY_AFTER};

/// How long a body may take to come.
const LONGEST: Duration = Duration::from_secs(10);
/// The largest body, in bytes.
const LARGEST: usize = 2 * 1024 * 1024;
/// What all bodies have at once of those who have said who they are, in bytes.
const ROOM: usize = 64 * 1024 * 1024;
/// The same of all others.
const ROOM_OF_STRANGERS: usize = 16 * 1024 * 1024;

/// The bodies that are in memory.
pub(super) struct Bodies {
    server: Arc<Server>,
    known: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl Bodies {
    pub(super) fn new(server: Arc<Server>) -> Arc<Self> {
        Arc::new(Self {
            server,
            known: Arc::new(Semaphore::new(ROOM)),
            strangers: Arc::new(Semaphore::new(ROOM_OF_STRANGERS)),
        })
    }
}

/// Hands a request on when its body is here.
pub(super) async fn whole(
    State(bodies): State<Arc<Bodies>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method().is_safe() || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    // Only for the room: the handler asks again, and that counts.
    let room = match Call::from_request_parts(&mut parts, &bodies.server).await {
        Ok(call) if call.caller.principal.is_some() => &bodies.known,
        Ok(_) => &bodies.strangers,
        Err(problem) => return problem.into_response(),
    };
    match read(body, room, LONGEST).await {
        Ok((bytes, _held)) => {
            next.run(Request::from_parts(parts, Body::from(bytes)))
                .await
        }
        Err(problem) => problem.into_response(),
    }
}

/// A body, with the room that it takes.
type Held = (Bytes, Option<OwnedSemaphorePermit>);

async fn read(body: Body, room: &Arc<Semaphore>, longest: Duration) -> Result<Held, Problem> {
    match timeout(longest, collect(body, room)).await {
        Ok(read) => read,
        Err(_) => Err(late()),
    }
}

async fn collect(mut body: Body, room: &Arc<Semaphore>) -> Result<Held, Problem> {
    if body.size_hint().lower() > LARGEST as u64 {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    let mut held: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if BodyError::is_stalled(&error) {
                late()
            } else {
                Problem::invalid(&"the body broke off; send it whole")
            }
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > LARGEST {
            return Err(too_large());
        }
        let more = u32::try_from(data.len()).map_err(|_| too_large())?;
        let more = Arc::clone(room).try_acquire_many_owned(more);
        let more = more.map_err(|_| crowded())?;
        match &mut held {
            Some(held) => held.merge(more),
            None => held = Some(more),
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes.freeze(), held))
}

fn late() -> Problem {
    let seconds = LONGEST.as_secs();
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "request-timeout",
        format!("the body has to be here in {seconds} s; send it at once"),
    )
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "invalid-request",
        format!("the body has {LARGEST} bytes at the most; send less at once"),
    )
}

fn crowded() -> Problem {
    let told = Told {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: "too many bodies are being sent; try again".to_owned(),
        retry_after: Some(RETRY_AFTER),
        is_challenge: false,
    };
    told.into()
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

    use super::*;

    fn body(pieces: &[usize]) -> Body {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|size| Bytes::from(vec![7; *size]))
            .collect();
        Body::from_stream(stream::iter(pieces).map(Ok::<_, std::io::Error>))
    }

    async fn status(body: Body, room: &Arc<Semaphore>) -> u16 {
        match read(body, room, Duration::from_millis(50)).await {
            Ok(_) => 200,
            Err(problem) => problem.into_response().status().as_u16(),
        }
    }

    #[tokio::test]
    async fn a_body_is_bounded_in_size_in_time_and_with_all_others() {
        let room = Arc::new(Semaphore::new(LARGEST + 10));
        assert_eq!(status(body(&[LARGEST / 2; 2]), &room).await, 200);
        assert_eq!(status(body(&[LARGEST, 1]), &room).await, 413);
        let whole = Body::from(vec![7; LARGEST + 1]);
        assert_eq!(status(whole, &room).await, 413);
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
        let endless = Body::from_stream(first.chain(stream::pending()));
        assert_eq!(status(endless, &room).await, 408);
        let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("broken"))]);
        assert_eq!(status(Body::from_stream(broken), &room).await, 400);
        let other = read(body(&[LARGEST]), &room, LONGEST).await;
        assert_eq!(status(body(&[6, 5]), &room).await, 503);
        drop(other);
        assert_eq!(room.available_permits(), LARGEST + 10, "all is given back");
    }
}
