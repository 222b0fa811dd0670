//! The token service, in both forms in which clients ask.

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    server::{PASSWORD, Server},
    session::{Image, Session},
};

/// What a form is answered.
async fn ask(session: &Session, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let pairs = form.iter().map(|(name, value)| {
        let value = value.replace(' ', "+");
        format!("{name}={value}")
    });
    let answer = session
        .anonymous(Method::POST, "/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(pairs.collect::<Vec<_>>().join("&"))
        .send()
        .await
        .expect("an answer");
    assert!(
        !answer.status().is_success() || answer.headers()["cache-control"] == "no-store",
        "a token may be stored"
    );
    (answer.status(), answer.json().await.expect("JSON"))
}

async fn pulls(session: &Session, token: &str) -> StatusCode {
    let request = session.anonymous(Method::GET, "/v2/acme/web/manifests/v1");
    let answer = request.bearer_auth(token).send().await;
    answer.expect("an answer").status()
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_default().to_owned()
}

fn start() -> (TempDir, Server, Session) {
    let directory = tempfile::tempdir().expect("scratch directory");
    let server = Server::start(&directory.path().join("data"));
    let session = Session::of(&server);
    (directory, server, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_for_later_gives_a_token_that_gives_tokens() {
    let (_directory, _server, session) = start();
    session.push("acme/web", "v1", &Image::new(1, 2)).await;
    let both = "repository:acme/web:pull repository:acme/other:pull,push";
    let login = [
        ("grant_type", "password"),
        ("service", "landfall"),
        ("client_id", "test"),
        ("username", "admin"),
        ("password", PASSWORD),
        ("scope", both),
    ];
    let (status, body) = ask(&session, &login).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(text(&body, "scope"), both);
    assert!(body["expires_in"].as_u64().is_some_and(|time| time >= 60));
    assert!(body.get("refresh_token").is_none(), "nobody asked for one");
    assert_eq!(
        pulls(&session, &text(&body, "access_token")).await,
        StatusCode::OK
    );

    let mut later = login.to_vec();
    later.push(("access_type", "offline"));
    let (_, body) = ask(&session, &later).await;
    let refresh = text(&body, "refresh_token");
    let again = [
        ("grant_type", "refresh_token"),
        ("service", "landfall"),
        ("client_id", "test"),
        ("refresh_token", refresh.as_str()),
        ("scope", "repository:acme/web:pull"),
        ("access_type", "offline"),
    ];
    let (status, body) = ask(&session, &again).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(body.get("refresh_token").is_none(), "it renews itself");
    let token = text(&body, "access_token");
    assert_eq!(pulls(&session, &token).await, StatusCode::OK);
    // The refresh token is the password of who logged in.
    let request = session.anonymous(Method::GET, "/v2/acme/web/manifests/v1");
    let answer = request.basic_auth("admin", Some(&refresh)).send().await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
    // A bearer token refreshes nothing, nor is it good for another repository.
    let wrong = [("grant_type", "refresh_token"), ("refresh_token", &token)];
    assert_eq!(ask(&session, &wrong).await.0, StatusCode::UNAUTHORIZED);
    let request = session.anonymous(Method::GET, "/v2/acme/other/tags/list");
    let answer = request.bearer_auth(&token).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let challenge = answer.headers()["www-authenticate"].to_str().expect("text");
    assert!(
        challenge.contains("scope=\"repository:acme/other:pull\"")
            && challenge.contains("error=\"insufficient_scope\""),
        "{challenge}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn get_gives_no_refresh_token_also_if_it_is_asked_to() {
    let (_directory, _server, session) = start();
    let path = "/token?offline_token=true&account=admin&client_id=docker&service=landfall";
    let body = session.json(path).await;
    assert!(body.get("refresh_token").is_none(), "{body}");
    assert_eq!(body["token"], body["access_token"]);
    let unknown = session.json("/token?scope=repository:acme/web:fly,pull&scope=cloud:x:y");
    let token = text(&unknown.await, "token");
    // What is not known is left out, and the rest is good.
    let request = session.anonymous(Method::GET, "/v2/acme/web/tags/list");
    let answer = request.bearer_auth(token).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}
