//! Two servers on one database: what one takes away, both refuse within two
//! seconds.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::shared;
use crate::{
    backends::Backends,
    server::Server,
    session::{Image, Session, segment},
};

/// Within which time a change is seen by every server.
const LIMIT: Duration = Duration::from_secs(2);
/// What a request and a loaded machine may add to it.
const SLACK: Duration = Duration::from_secs(1);

const PASSWORD: &str = "a password of nobody else";

/// Two servers that share a database and a bucket, and the account `acme` with
/// an image and a user who may read it.
struct World {
    _directory: tempfile::TempDir,
    _servers: [Server; 2],
    sessions: [Session; 2],
}

impl World {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("scratch directory");
        let options = shared(&Backends::services());
        let servers = std::thread::scope(|scope| {
            ["one", "two"]
                .map(|name| {
                    let data = directory.path().join(name);
                    let options = &options;
                    scope.spawn(move || Server::start_with(&data, options))
                })
                .map(|thread| thread.join().expect("it starts"))
        });
        let sessions = servers.each_ref().map(Session::of);
        let world = Self {
            _directory: directory,
            _servers: servers,
            sessions,
        };
        world
            .manage(Method::POST, "/accounts", &json!({ "name": "acme" }))
            .await;
        world
            .manage(
                Method::POST,
                "/principals",
                &json!({ "name": "acme/alice", "kind": "user", "password": PASSWORD }),
            )
            .await;
        world.sessions[0]
            .push("acme/web", "v1", &Image::new(1, 2))
            .await;
        world
            .manage(
                Method::POST,
                "/policies",
                &json!({
                    "name": "acme/readers",
                    "target": { "kind": "account", "name": "acme" },
                    "text": "permit(principal, action == Landfall::Action::\"pull\", resource);",
                }),
            )
            .await;
        world
    }

    /// A request of the management API by the administrator, on the first
    /// server.
    async fn manage(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self.sessions[0].request(method, &format!("/api/v1{path}"));
        let answer = request.json(body).send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("text");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// An authorization token of the user, from the first server.
    async fn token(&self) -> String {
        let request = self.sessions[0].anonymous(Method::POST, "/api/v1/authorization-tokens");
        let request = request.basic_auth("acme/alice", Some(PASSWORD));
        let answer = request.json(&json!({})).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::CREATED);
        let token: Value = answer.json().await.expect("JSON");
        token["token"].as_str().expect("a token").to_owned()
    }

    /// What a pull with the token is answered on each server.
    async fn pulls(&self, token: &str) -> [StatusCode; 2] {
        let mut answers = [StatusCode::OK; 2];
        for (session, answer) in self.sessions.iter().zip(&mut answers) {
            let request = session.anonymous(Method::GET, "/v2/acme/web/manifests/v1");
            let pulled = request.bearer_auth(token).send().await.expect("an answer");
            *answer = pulled.status();
        }
        answers
    }

    /// Waits until both servers answer so, for as long as they may take.
    async fn both(&self, token: &str, expected: StatusCode, since: Instant) {
        loop {
            let asked = since.elapsed();
            let answers = self.pulls(token).await;
            if answers == [expected; 2] {
                return;
            }
            assert!(asked < LIMIT + SLACK, "{answers:?} after {asked:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_seen_by_both_servers_within_two_seconds() {
    let world = World::start().await;
    let (token, other) = (world.token().await, world.token().await);
    world.both(&token, StatusCode::OK, Instant::now()).await;
    let path = format!("/principals/{}/tokens", segment("acme/alice"));
    world.manage(Method::DELETE, &path, &json!({})).await;
    let since = Instant::now();
    // The server that was told knows it at once.
    assert_eq!(world.pulls(&token).await[0], StatusCode::UNAUTHORIZED);
    world.both(&token, StatusCode::UNAUTHORIZED, since).await;
    world.both(&other, StatusCode::UNAUTHORIZED, since).await;
    // A token of now is good on both.
    let later = world.token().await;
    assert_eq!(world.pulls(&later).await, [StatusCode::OK; 2]);
    // So is one of a new key, and one after the old key was revoked.
    world
        .manage(Method::POST, "/signing-keys:rotate", &json!({}))
        .await;
    assert_eq!(world.pulls(&later).await, [StatusCode::OK; 2]);
    let keys = world.sessions[1].json("/api/v1/signing-keys").await;
    let old = keys["items"][0]["id"].as_str().expect("a key").to_owned();
    world
        .manage(Method::DELETE, &format!("/signing-keys/{old}"), &json!({}))
        .await;
    let since = Instant::now();
    world.both(&later, StatusCode::UNAUTHORIZED, since).await;
    let last = world.token().await;
    assert_eq!(world.pulls(&last).await, [StatusCode::OK; 2]);
    for session in &world.sessions {
        let published = session.anonymous(Method::GET, "/.well-known/jwks.json");
        let published = published.send().await.expect("an answer");
        let published: Value = published.json().await.expect("JSON");
        let named: Vec<_> = published["keys"].as_array().expect("keys").iter().collect();
        assert!(named.iter().all(|key| key["kid"] != old.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_policy_acts_on_living_tokens_of_both_servers_within_two_seconds() {
    let world = World::start().await;
    let token = world.token().await;
    world.both(&token, StatusCode::OK, Instant::now()).await;
    let forbid = json!({
        "name": "acme/nobody",
        "target": { "kind": "repository", "name": "acme/web" },
        "text": "forbid(principal, action == Landfall::Action::\"pull\", resource);",
    });
    world.manage(Method::POST, "/policies", &forbid).await;
    let since = Instant::now();
    assert_eq!(world.pulls(&token).await[0], StatusCode::FORBIDDEN);
    world.both(&token, StatusCode::FORBIDDEN, since).await;
    let path = format!("/policies/{}", segment("acme/nobody"));
    world.manage(Method::DELETE, &path, &json!({})).await;
    let since = Instant::now();
    world.both(&token, StatusCode::OK, since).await;
    let path = format!("/principals/{}", segment("acme/alice"));
    let off = json!({ "enabled": false });
    world.manage(Method::PATCH, &path, &off).await;
    let since = Instant::now();
    world.both(&token, StatusCode::UNAUTHORIZED, since).await;
}
