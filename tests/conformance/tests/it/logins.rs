//! The ways to log in, against a registry that is nothing else.

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use landfall_conformance::{Outcome, Target, checks, run_some};
use serde_json::json;
use tokio::net::TcpListener;

/// `Basic` of `admin` with `secret`.
const BASIC: &str = "Basic YWRtaW46c2VjcmV0";

#[derive(Clone)]
struct Door {
    /// What `WWW-Authenticate` says; `{url}` is the URL of this server.
    challenge: &'static str,
    /// The `Authorization` that opens.
    key: &'static str,
    url: String,
}

async fn v2(State(door): State<Door>, headers: HeaderMap) -> Response {
    if headers
        .get("authorization")
        .is_some_and(|given| given == door.key)
    {
        return StatusCode::OK.into_response();
    }
    let challenge = door.challenge.replace("{url}", &door.url);
    (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response()
}

async fn token(headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let known = headers
        .get("authorization")
        .is_some_and(|given| given == BASIC);
    if known && query.as_deref() == Some("service=registry&scope=registry%3Acatalog%3A*") {
        return Json(json!({"token": "sesame"})).into_response();
    }
    StatusCode::UNAUTHORIZED.into_response()
}

/// How the check of `GET /v2/` ends for this password.
async fn outcome(challenge: &'static str, key: &'static str, password: &str) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let door = Door {
        challenge,
        key,
        url: url.clone(),
    };
    let routes = Router::new()
        .route("/v2/", get(v2))
        .route("/token", get(token));
    tokio::spawn(async move { axum::serve(listener, routes.with_state(door)).await });
    let mut selected = checks();
    selected.retain(|check| check.name.ends_with("::get_of_v2_must_be_200"));
    let target = Target::new(&url).with_login("admin", password);
    let mut report = run_some(&target, selected, 1, |_| ())
        .await
        .expect("it runs");
    report.finished.pop().expect("one check").outcome
}

const BEARER: &str =
    "Bearer realm=\"{url}/token\",service=\"registry\",scope=\"registry:catalog:*\"";

#[tokio::test]
async fn a_basic_challenge_is_answered_with_user_and_password() {
    let challenge = "Basic realm=\"here\"";
    assert!(matches!(
        outcome(challenge, BASIC, "secret").await,
        Outcome::Passed
    ));
    assert!(matches!(
        outcome(challenge, BASIC, "wrong").await,
        Outcome::Failed(_)
    ));
}

#[tokio::test]
async fn a_bearer_challenge_is_answered_with_a_token_from_its_realm() {
    assert!(matches!(
        outcome(BEARER, "Bearer sesame", "secret").await,
        Outcome::Passed
    ));
    assert!(matches!(
        outcome(BEARER, "Bearer sesame", "wrong").await,
        Outcome::Failed(_)
    ));
}

#[test]
fn a_target_does_not_show_its_password() {
    let shown = format!(
        "{:?}",
        Target::new("http://h").with_login("admin", "secret")
    );
    assert!(
        shown.contains("admin") && !shown.contains("secret"),
        "{shown}"
    );
}
