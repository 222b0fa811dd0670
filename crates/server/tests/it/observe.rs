//! Request ids, events and metrics around a router.

use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::{Extension, Router, body::Body, routing};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use landfall_server::observe::{Metrics, Observe, RequestId};
use tower::ServiceExt as _;
use tracing::instrument::WithSubscriber as _;

fn router() -> Observe<Router> {
    let router = Router::new()
        .route(
            "/v2/a/b/tags/list",
            routing::get(|Extension(id): Extension<RequestId>| async move { id.to_string() }),
        )
        .route(
            "/v2/a/b/blobs/sha256:0",
            routing::get(|| async { Body::from(vec![0; 120_000]) }),
        )
        .route(
            "/v2/a/b/manifests/broken",
            routing::get(|| async {
                tracing::warn!("a handler says something");
                http::StatusCode::INTERNAL_SERVER_ERROR
            }),
        );
    let metrics = Metrics::install().expect("no other recorder");
    Observe::new(metrics, router)
}

/// The lines that were logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().expect("no panic").clone());
        let text = text.expect("text");
        text.lines().map(str::to_owned).collect()
    }
}

async fn ask(request: Request<Body>) -> (Response<Body>, Log) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer(move || writer.clone())
        .finish();
    let answer = router().oneshot(request).with_subscriber(subscriber).await;
    (answer.expect("infallible"), log)
}

fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).expect("a request")
}

async fn text(answer: Response<Body>) -> String {
    let body = answer.into_body().collect().await.expect("a body");
    String::from_utf8(body.to_bytes().to_vec()).expect("text")
}

#[tokio::test]
async fn a_sane_id_is_taken_over_and_told_to_handler_and_client() {
    let mut request = get("/v2/a/b/tags/list");
    let sent = http::HeaderValue::from_static("my-id.1");
    request.headers_mut().insert("x-request-id", sent);
    let (answer, _) = ask(request).await;
    assert_eq!(answer.headers()["x-request-id"], "my-id.1");
    assert_eq!(text(answer).await, "my-id.1");
}

#[tokio::test]
async fn an_odd_id_is_replaced() {
    let mut request = get("/v2/a/b/tags/list");
    let sent = http::HeaderValue::from_static("{\"x\":1}");
    request.headers_mut().insert("x-request-id", sent);
    let (answer, _) = ask(request).await;
    let id = answer.headers()["x-request-id"].to_str().expect("text");
    assert_eq!(id.len(), 16, "{id}");
}

#[tokio::test]
async fn a_request_is_one_event_without_credentials() {
    let mut request = get("/v2/a/b/tags/list?token=hunter2");
    let secret = http::HeaderValue::from_static("Basic aHVudGVyMg==");
    request.headers_mut().insert("authorization", secret);
    let (answer, log) = ask(request).await;
    let id = answer.headers()["x-request-id"].to_str().expect("text");
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        r#""level":"INFO""#,
        r#""target":"landfall::request""#,
        r#""method":"GET""#,
        r#""path":"/v2/a/b/tags/list""#,
        r#""route":"/v2/{name}/tags/list""#,
        r#""status":200"#,
        r#""bytes":16"#,
        r#""duration_ms":"#,
        r#""complete":true"#,
        id,
    ] {
        assert!(lines[0].contains(part), "no {part} in {}", lines[0]);
    }
    for secret in ["hunter2", "aHVudGVyMg", "authorization"] {
        assert!(!lines[0].contains(secret), "{}", lines[0]);
    }
}

#[tokio::test]
async fn what_a_handler_logs_carries_the_request_id() {
    let mut request = get("/v2/a/b/manifests/broken");
    let sent = http::HeaderValue::from_static("find-me");
    request.headers_mut().insert("x-request-id", sent);
    let (_, log) = ask(request).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("a handler says something"), "{lines:?}");
    assert!(lines[0].contains("find-me"), "{lines:?}");
    assert!(lines[1].contains(r#""level":"ERROR""#), "{lines:?}");
}

#[tokio::test]
async fn a_large_answer_is_logged_when_it_has_left_or_was_given_up() {
    let (answer, log) = ask(get("/v2/a/b/blobs/sha256:0")).await;
    assert!(log.lines().is_empty(), "the answer has not left yet");
    let subscriber = tracing_subscriber::fmt().json();
    let writer = log.clone();
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    assert_eq!(
        text(answer).with_subscriber(subscriber).await.len(),
        120_000
    );
    let lines = log.lines();
    assert!(lines[0].contains(r#""bytes":120000"#), "{lines:?}");
    assert!(lines[0].contains(r#""complete":true"#), "{lines:?}");

    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json();
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    let (answer, _) = ask(get("/v2/a/b/blobs/sha256:0")).await;
    tracing::subscriber::with_default(subscriber, || drop(answer));
    let lines = log.lines();
    assert!(lines[0].contains(r#""complete":false"#), "{lines:?}");
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_status() {
    let (answer, _) = ask(get("/v2/who/knows/referrers/x")).await;
    assert_eq!(answer.status(), 404);
    let metrics = Metrics::install().expect("the same metrics").render();
    let series = r#"landfall_http_requests_total{route="/v2/{name}/referrers/{digest}",method="GET",status="404"} 1"#;
    assert!(metrics.contains(series), "{metrics}");
    assert!(!metrics.contains("who/knows"), "a path is no label");
    assert!(metrics.contains("landfall_http_requests_in_flight"));
}
