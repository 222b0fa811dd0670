//! Accounts that are made, disabled and deleted, and what they own.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    World,
    identities::{ALICE, PASSWORD},
    items, problem,
};
use crate::session::{Image, digest};

/// A policy that lets a principal manage principals, itself too.
const MANAGES: &str =
    "permit (principal, action == Landfall::Action::\"manage-principals\", resource);";

impl World {
    /// The rows of an action in the audit log.
    async fn rows_of(&self, action: &str) -> Vec<Value> {
        let log = self.session.json("/api/v1/audit?limit=1000").await;
        let rows = items(&log).iter();
        rows.filter(|row| row["action"] == action)
            .cloned()
            .collect()
    }
}

#[tokio::test]
async fn an_account_that_owns_repositories_is_not_deleted() {
    let world = World::with_accounts().await;
    world
        .session
        .push("acme/web", "v1", &Image::new(1, 2))
        .await;
    let account = "/api/v1/accounts/acme";
    let told = problem(world.call(Method::DELETE, account).await, 409, "in-use").await;
    assert!(told.contains("`acme/web`"), "{told}");
    let gone = world
        .call(Method::DELETE, "/api/v1/repositories/acme%2Fweb")
        .await;
    assert!(gone.status().is_success(), "{}", gone.status());
    let gone = world.call(Method::DELETE, account).await;
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);

    // A push below its name is told so, and makes nothing.
    let start = world
        .call(Method::POST, "/v2/acme/web/blobs/uploads/")
        .await;
    assert_eq!(start.status(), StatusCode::NOT_FOUND);
    let body: Value = start.json().await.expect("JSON");
    assert_eq!(body["errors"][0]["code"], "NAME_UNKNOWN", "{body}");
    let message = body["errors"][0]["message"].as_str().expect("a message");
    assert!(message.contains("`acme` was deleted"), "{message}");
    let made = world
        .post("/api/v1/repositories", &json!({ "name": "acme/web" }))
        .await;
    let told = problem(made, 404, "not-found").await;
    assert!(told.contains("`acme` was deleted"), "{told}");
}

#[tokio::test]
async fn a_push_writes_down_that_it_makes_an_account_and_a_check_of_layers_makes_none() {
    let world = World::start();
    let layer = digest(b"a layer").to_string();
    let path = "/api/v1/repositories/fresh%2Fweb/layers:check";
    let answer = world.post(path, &json!({ "digests": [layer] })).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let checked: Value = answer.json().await.expect("JSON");
    assert_eq!(checked["new"], 1, "{checked}");
    let none = world.call(Method::GET, "/api/v1/accounts/fresh").await;
    problem(none, 404, "not-found").await;

    world
        .session
        .push("fresh/web", "v1", &Image::new(1, 2))
        .await;
    let rows = world.rows_of("account.create").await;
    let made: Vec<_> = rows
        .iter()
        .filter(|row| row["resource"]["name"] == "fresh")
        .collect();
    assert_eq!(made.len(), 1, "{rows:?}");
    assert_eq!(made[0]["principal"]["name"], "admin", "{rows:?}");
}

#[tokio::test]
async fn a_smaller_token_is_no_way_around_what_guards_ones_own_credentials() {
    let world = World::with_accounts().await;
    let policy = json!({
        "name": "acme/managers",
        "target": { "kind": "principal", "name": "acme/alice" },
        "text": MANAGES,
    });
    let made = world.post("/api/v1/policies", &policy).await;
    assert_eq!(made.status(), StatusCode::CREATED);
    let token = world
        .answer(
            ALICE,
            Method::POST,
            "/authorization-tokens",
            &json!({}),
            201,
        )
        .await;
    let stolen = token["token"].as_str().expect("a token");
    let smaller = world
        .session
        .anonymous(Method::GET, "/token?scope=account:acme:manage-principals")
        .basic_auth("token", Some(stolen));
    let smaller = smaller.send().await.expect("answer");
    let smaller: Value = smaller.json().await.expect("JSON");
    let smaller = smaller["token"].as_str().expect("a token");

    let password = json!({ "password": PASSWORD });
    for (action, method, path, body) in [
        (
            "principal.set-password",
            Method::PUT,
            "/principals/acme%2Falice/password",
            &password,
        ),
        (
            "api-key.create",
            Method::POST,
            "/principals/acme%2Falice/api-keys",
            &json!({}),
        ),
    ] {
        for token in [smaller, stolen] {
            let request = world
                .session
                .anonymous(method.clone(), &format!("/api/v1{path}"));
            let answer = request.bearer_auth(token).json(body).send().await;
            problem(answer.expect("answer"), 403, "denied").await;
        }
        // What is refused is in the audit log.
        let rows = world.rows_of(action).await;
        let refused: Vec<_> = rows
            .iter()
            .filter(|row| row["outcome"] == "refused")
            .collect();
        assert_eq!(refused.len(), 2, "{rows:?}");
        for row in refused {
            assert_eq!(row["principal"]["name"], "acme/alice", "{row}");
            assert_eq!(row["resource"]["name"], "acme/alice", "{row}");
        }
    }
    // Another's are what the token is for.
    let request = world
        .session
        .anonymous(Method::PUT, "/api/v1/principals/acme%2Fbob/password");
    let answer = request.bearer_auth(smaller).json(&password).send().await;
    assert_eq!(answer.expect("answer").status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_key_that_gets_no_longer_lived_one_is_written_down() {
    let world = World::with_accounts().await;
    let keys = "/principals/~/api-keys";
    let long = world
        .answer(ALICE, Method::POST, keys, &json!({}), 201)
        .await;
    let short = json!({ "lifetime_seconds": 3600 });
    let short = world.answer(ALICE, Method::POST, keys, &short, 201).await;
    let with_short = ("acme/alice", short["key"].as_str().expect("a key"));
    let path = format!("{keys}/{}/rotate", long["id"].as_str().expect("an id"));
    let answer = world.by(with_short, Method::POST, &path, &json!({})).await;
    problem(answer, 403, "denied").await;
    let rows = world.rows_of("api-key.rotate").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["outcome"], "refused", "{rows:?}");
}
