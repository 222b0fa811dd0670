//! The stream of events: at once, resumable, and no hindrance to a drain.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use super::World;
use crate::session::Session;

/// Events of a stream, as they come.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(session: &Session, last: Option<u64>, query: &str) -> Self {
        let mut request = session
            .request(Method::GET, &format!("/api/v1/events{query}"))
            .header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        Self::of(request).await
    }

    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("a stream");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let (message, rest) = (message.to_owned(), rest.to_owned());
                self.text = rest;
                let data = message.lines().find_map(|line| line.strip_prefix("data: "));
                let Some(data) = data else { continue };
                let event: Value = serde_json::from_str(data).expect("JSON");
                let id = format!("id: {}", event["position"]);
                assert!(message.lines().any(|line| line == id), "{message}");
                return Some(event);
            }
            let piece = tokio::time::timeout(Duration::from_secs(30), self.response.chunk());
            let piece = piece.await.expect("a stream that is silent").ok()??;
            self.text
                .push_str(std::str::from_utf8(&piece).expect("text"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_in_the_stream_at_once() {
    let world = World::start();
    let mut stream = Stream::open(&world.session, None, "?kind=tag.*").await;
    let image = world.push("v1").await;
    let event = stream.next().await.expect("an event");
    assert_eq!(event["kind"], "tag.created");
    assert_eq!(event["data"]["tag"], "v1");
    let mut slowest = Duration::ZERO;
    for tag in 0..10 {
        let begun = Instant::now();
        world.tag(&image, tag..tag + 1).await;
        let event = stream.next().await.expect("an event");
        assert_eq!(event["data"]["tag"], format!("t{tag}"));
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_goes_on_without_loss_or_repetition() {
    let world = World::start();
    let image = world.push("v1").await;
    let pushing = world.tag(&image, 0..60);
    let reading = async {
        let (mut last, mut seen) = (0, Vec::new());
        while seen.len() < 123 {
            let mut stream = Stream::open(&world.session, Some(last), "").await;
            // Cut in the middle of what comes.
            for _ in 0..7 {
                let Some(event) = stream.next().await else {
                    break;
                };
                last = event["position"].as_u64().expect("a position");
                seen.push(last);
                if seen.len() == 123 {
                    break;
                }
            }
        }
        seen
    };
    let ((), seen) = tokio::join!(pushing, reading);
    assert_eq!(seen, (1..=123).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_credential_is_revoked() {
    let world = World::start();
    let image = world.push("v1").await;
    let tokens = "/api/v1/authorization-tokens";
    let made = world.session.request(Method::POST, tokens);
    let made = made.json(&serde_json::json!({})).send().await;
    let token: Value = made.expect("answer").json().await.expect("a token");
    let bearer = token["token"].as_str().expect("a token");
    let request = world
        .session
        .anonymous(Method::GET, "/api/v1/events?kind=tag.*")
        .header("accept", "text/event-stream")
        .bearer_auth(bearer);
    let mut stream = Stream::of(request).await;
    world.tag(&image, 0..1).await;
    assert!(stream.next().await.is_some());

    let id = token["id"].as_str().expect("an id");
    let path = format!("{tokens}/{id}");
    let revoked = world.session.request(Method::DELETE, &path).send().await;
    assert_eq!(revoked.expect("answer").status(), 204);
    let begun = Instant::now();
    for tag in 1.. {
        world.tag(&image, tag..tag + 1).await;
        if stream.next().await.is_none() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "it goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_the_server_drains() {
    let world = World::start();
    let mut stream = Stream::open(&world.session, None, "").await;
    world.push("v1").await;
    assert!(stream.next().await.is_some());
    let begun = Instant::now();
    let server = world.server;
    let stopping = tokio::task::spawn_blocking(move || server.stop());
    while stream.next().await.is_some() {}
    assert!(stopping.await.expect("it runs"), "it ended badly");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}
