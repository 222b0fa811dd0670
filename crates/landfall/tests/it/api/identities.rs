//! Accounts, principals, groups and credentials over the API: what works, and
//! what is refused.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{World, items, problem};

/// The password of everybody here.
pub(super) const PASSWORD: &str = "a password of the tests";

/// Somebody's credentials: a name, and what is sent as its password.
pub(super) type Who<'a> = (&'a str, &'a str);

/// The administrator of `acme`, and one of its users.
pub(super) const ALICE: Who<'static> = ("acme/alice", PASSWORD);
pub(super) const BOB: Who<'static> = ("acme/bob", PASSWORD);

impl World {
    /// A server with the accounts `acme` and `umbrella`; `acme/alice` and
    /// `umbrella/eve` are the administrators, `acme/bob` may do nothing.
    pub(super) async fn with_accounts() -> Self {
        let world = Self::start();
        for (account, user) in [("acme", "alice"), ("acme", "bob"), ("umbrella", "eve")] {
            let _ = world
                .post("/api/v1/accounts", &json!({ "name": account }))
                .await;
            let body = json!({ "name": format!("{account}/{user}"), "password": PASSWORD });
            let made = world.post("/api/v1/principals", &body).await;
            assert_eq!(made.status(), StatusCode::CREATED, "{user}");
            if user == "bob" {
                continue;
            }
            let policy = json!({
                "name": format!("{account}/admins"),
                "target": { "kind": "principal", "name": format!("{account}/{user}") },
                "text": "permit (principal, action, resource);",
            });
            let made = world.post("/api/v1/policies", &policy).await;
            assert_eq!(made.status(), StatusCode::CREATED, "{account}");
        }
        world
    }

    /// Sends a request as somebody; a body that is null is none.
    pub(super) async fn by(
        &self,
        who: Who<'_>,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Response {
        let request = self.session.anonymous(method, &format!("/api/v1{path}"));
        let request = request.basic_auth(who.0, Some(who.1));
        let request = match body {
            Value::Null => request,
            body => request.json(body),
        };
        request.send().await.expect("answer")
    }

    /// The JSON of an answer with this status.
    pub(super) async fn answer(
        &self,
        who: Who<'_>,
        method: Method,
        path: &str,
        body: &Value,
        status: u16,
    ) -> Value {
        let answer = self.by(who, method, path, body).await;
        let found = answer.status();
        let text = answer.text().await.expect("a body");
        assert_eq!(found.as_u16(), status, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one story, and a list of what is refused in it"
)]
#[tokio::test]
async fn an_administrator_manages_its_own_account_and_no_other() {
    let world = World::with_accounts().await;
    let ci = json!({ "name": "acme/ci", "kind": "robot" });
    let made = world
        .answer(ALICE, Method::POST, "/principals", &ci, 201)
        .await;
    assert_eq!(
        (&made["name"], &made["kind"]),
        (&json!("acme/ci"), &json!("robot"))
    );
    world
        .answer(
            ALICE,
            Method::POST,
            "/groups",
            &json!({ "name": "acme/devs" }),
            201,
        )
        .await;
    let member = "/groups/acme%2Fdevs/members/acme%2Fbob";
    world
        .answer(ALICE, Method::PUT, member, &Value::Null, 204)
        .await;
    let group = world
        .answer(ALICE, Method::GET, "/groups/acme%2Fdevs", &Value::Null, 200)
        .await;
    assert_eq!(group["members"], json!(["acme/bob"]));
    let listed = world
        .answer(ALICE, Method::GET, "/principals", &Value::Null, 200)
        .await;
    let names: Vec<_> = items(&listed)
        .iter()
        .map(|each| each["name"].clone())
        .collect();
    assert_eq!(names, ["acme/alice", "acme/bob", "acme/ci"]);

    // The same in another account, and in one that is not there.
    for account in ["umbrella", "nowhere"] {
        for (method, path, body) in [
            (Method::GET, format!("/accounts/{account}"), Value::Null),
            (
                Method::GET,
                format!("/principals?account={account}"),
                Value::Null,
            ),
            (
                Method::GET,
                format!("/principals/{account}%2Feve"),
                Value::Null,
            ),
            (
                Method::PATCH,
                format!("/principals/{account}%2Feve"),
                json!({ "enabled": false }),
            ),
            (
                Method::PUT,
                format!("/principals/{account}%2Feve/password"),
                json!({ "password": PASSWORD }),
            ),
            (
                Method::DELETE,
                format!("/principals/{account}%2Feve"),
                Value::Null,
            ),
            (
                Method::DELETE,
                format!("/principals/{account}%2Feve/tokens"),
                Value::Null,
            ),
            (
                Method::POST,
                format!("/principals/{account}%2Feve/api-keys"),
                json!({}),
            ),
            (
                Method::GET,
                format!("/principals/{account}%2Feve/api-keys"),
                Value::Null,
            ),
            (
                Method::POST,
                "/principals".to_owned(),
                json!({ "name": format!("{account}/x") }),
            ),
            (
                Method::POST,
                "/groups".to_owned(),
                json!({ "name": format!("{account}/x") }),
            ),
            (
                Method::PUT,
                format!("/groups/{account}%2Fx/members/acme%2Fbob"),
                Value::Null,
            ),
            (
                Method::GET,
                format!("/policies?account={account}"),
                Value::Null,
            ),
            (
                Method::GET,
                format!("/audit?account={account}"),
                Value::Null,
            ),
        ] {
            let answer = world.by(ALICE, method.clone(), &path, &body).await;
            let told = problem(answer, 403, "denied").await;
            assert_eq!(told, "this caller may not do that", "{method} {path}");
        }
    }
    // What the operator alone does.
    for (method, path, body) in [
        (Method::GET, "/accounts", Value::Null),
        (Method::POST, "/accounts", json!({ "name": "more" })),
        (Method::PATCH, "/accounts/acme", json!({ "enabled": false })),
        (Method::DELETE, "/accounts/acme", Value::Null),
        (Method::GET, "/signing-keys", Value::Null),
        (Method::POST, "/signing-keys:rotate", Value::Null),
        (Method::GET, "/audit", Value::Null),
        (Method::GET, "/audit:export", Value::Null),
    ] {
        let answer = world.by(ALICE, method, path, &body).await;
        problem(answer, 403, "denied").await;
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one story, and a list of what is refused in it"
)]
#[tokio::test]
async fn everybody_has_its_own_credentials_in_hand_and_nobody_elses() {
    let world = World::with_accounts().await;
    let oneself = world
        .answer(BOB, Method::GET, "/principals/~", &Value::Null, 200)
        .await;
    assert_eq!(oneself["name"], "acme/bob");
    assert_eq!(oneself["administrator"], false);
    let wanted = json!({ "description": "laptop", "lifetime_seconds": 3600 });
    let key = world
        .answer(BOB, Method::POST, "/principals/~/api-keys", &wanted, 201)
        .await;
    let (id, secret) = (
        key["id"].as_str().expect("id"),
        key["key"].as_str().expect("key"),
    );
    assert!(secret.starts_with("lfk_"), "{key}");
    let listed = world
        .answer(
            BOB,
            Method::GET,
            "/principals/~/api-keys",
            &Value::Null,
            200,
        )
        .await;
    assert_eq!(items(&listed)[0]["id"], id);
    assert!(
        !listed.to_string().contains(secret),
        "the secret is shown again"
    );

    // A key that is made with a key ends no later than that one.
    let with_key = ("acme/bob", secret);
    let second = world
        .answer(
            with_key,
            Method::POST,
            "/principals/~/api-keys",
            &json!({}),
            201,
        )
        .await;
    let end = |key: &Value| key["expires"].as_str().expect("an end").to_owned();
    assert!(end(&second) <= end(&key), "{second} outlives {key}");

    // Nor does it get the next secret of one that ends later.
    let path = "/principals/~/api-keys";
    let lasting = world.answer(BOB, Method::POST, path, &json!({}), 201).await;
    let of_lasting = lasting["id"].as_str().expect("id");
    let rotate = |id: &str| format!("{path}/{id}/rotate");
    let answer = world
        .by(with_key, Method::POST, &rotate(of_lasting), &json!({}))
        .await;
    let told = problem(answer, 403, "denied").await;
    assert!(told.contains("ends later"), "{told}");
    let of_second = second["id"].as_str().expect("id");
    world
        .answer(with_key, Method::POST, &rotate(of_second), &json!({}), 201)
        .await;

    // A key makes a token; a token makes nothing that lasts longer.
    let token = world
        .answer(
            with_key,
            Method::POST,
            "/authorization-tokens",
            &json!({}),
            201,
        )
        .await;
    assert_eq!(token["principal"], "acme/bob");
    let with_token = ("acme/bob", token["token"].as_str().expect("a token"));
    world
        .answer(with_token, Method::GET, "/principals/~", &Value::Null, 200)
        .await;
    for path in ["/authorization-tokens", "/principals/~/api-keys"] {
        let answer = world.by(with_token, Method::POST, path, &json!({})).await;
        let told = problem(answer, 403, "denied").await;
        assert!(told.contains("send the password"), "{told}");
    }
    // Its own password is changed with the password alone.
    let change = json!({ "password": "another password" });
    let path = "/principals/~/password";
    for who in [with_key, with_token] {
        let told = problem(
            world.by(who, Method::PUT, path, &change).await,
            403,
            "denied",
        )
        .await;
        assert!(told.contains("present one"), "{told}");
    }
    // Another's are out of reach.
    for (method, path) in [
        (Method::GET, "/principals/acme%2Falice"),
        (Method::GET, "/principals/acme%2Falice/api-keys"),
        (Method::POST, "/principals/acme%2Falice/api-keys"),
        (Method::PUT, "/principals/acme%2Falice/password"),
        (Method::DELETE, "/principals/acme%2Falice/tokens"),
        (Method::DELETE, "/principals/~"),
    ] {
        problem(world.by(BOB, method, path, &change).await, 403, "denied").await;
    }
    let token_of_bob = format!(
        "/authorization-tokens/{}",
        token["id"].as_str().expect("id")
    );
    let eve = ("umbrella/eve", PASSWORD);
    problem(
        world
            .by(eve, Method::DELETE, &token_of_bob, &Value::Null)
            .await,
        403,
        "denied",
    )
    .await;
    world
        .answer(BOB, Method::DELETE, &token_of_bob, &Value::Null, 204)
        .await;
    let ended = world
        .by(with_token, Method::GET, "/principals/~", &Value::Null)
        .await;
    assert_eq!(ended.status(), 401, "a revoked token is taken");

    world
        .answer(
            BOB,
            Method::DELETE,
            &format!("/principals/~/api-keys/{id}"),
            &Value::Null,
            204,
        )
        .await;
    let ended = world
        .by(with_key, Method::GET, "/principals/~", &Value::Null)
        .await;
    assert_eq!(ended.status(), 401, "a deleted key is taken");
    world.answer(BOB, Method::PUT, path, &change, 204).await;
    let old = world
        .by(BOB, Method::GET, "/principals/~", &Value::Null)
        .await;
    assert_eq!(old.status(), 401, "the old password is taken");
    let bob = ("acme/bob", "another password");
    world
        .answer(bob, Method::GET, "/principals/~", &Value::Null, 200)
        .await;
}

#[tokio::test]
async fn a_bearer_token_for_a_repository_is_not_its_owner() {
    let world = World::with_accounts().await;
    let asked = "/token?scope=repository:acme/web:pull,push";
    let granted = world
        .session
        .anonymous(Method::GET, asked)
        .basic_auth(ALICE.0, Some(ALICE.1));
    let granted: Value = granted
        .send()
        .await
        .expect("answer")
        .json()
        .await
        .expect("JSON");
    let token = granted["token"].as_str().expect("a token");
    for (method, path, body) in [
        (Method::GET, "/principals/~", Value::Null),
        (Method::POST, "/principals/~/api-keys", json!({})),
        (
            Method::PUT,
            "/principals/~/password",
            json!({ "password": PASSWORD }),
        ),
        (Method::POST, "/principals", json!({ "name": "acme/x" })),
    ] {
        let request = world.session.anonymous(method, &format!("/api/v1{path}"));
        let answer = request
            .bearer_auth(token)
            .json(&body)
            .send()
            .await
            .expect("answer");
        problem(answer, 401, "unauthenticated").await;
    }
}

#[tokio::test]
async fn nobody_but_the_operator_changes_who_may_what_in_the_operators_account() {
    let world = World::start();
    let body = json!({ "name": "clerk", "password": PASSWORD });
    assert_eq!(
        world.post("/api/v1/principals", &body).await.status(),
        StatusCode::CREATED
    );
    let policy = json!({
        "name": "admin/clerks",
        "target": { "kind": "principal", "name": "clerk" },
        "text": "permit (principal, action in [Landfall::Action::\"manage-principals\", \
                 Landfall::Action::\"manage-policies\", Landfall::Action::\"read-account\"], \
                 resource);",
    });
    assert_eq!(
        world.post("/api/v1/policies", &policy).await.status(),
        StatusCode::CREATED
    );
    let clerk = ("clerk", PASSWORD);
    world
        .answer(clerk, Method::GET, "/principals", &Value::Null, 200)
        .await;
    let all = json!({
        "name": "admin/all",
        "target": { "kind": "principal", "name": "clerk" },
        "text": "permit (principal, action, resource);",
    });
    for (method, path, body) in [
        (Method::POST, "/policies", all),
        (
            Method::PUT,
            "/principals/admin/password",
            json!({ "password": PASSWORD }),
        ),
        (Method::POST, "/principals/admin/api-keys", json!({})),
        (
            Method::PATCH,
            "/principals/admin",
            json!({ "enabled": false }),
        ),
        (Method::POST, "/principals", json!({ "name": "mole" })),
    ] {
        problem(world.by(clerk, method, path, &body).await, 403, "denied").await;
    }
    // Nobody is made an operator, by whatever field.
    let body = json!({ "name": "mole", "administrator": true });
    let refused = world.post("/api/v1/principals", &body).await;
    problem(refused, 422, "invalid-request").await;
}

#[tokio::test]
async fn disabled_and_deleted_principals_and_accounts_get_in_no_more() {
    let world = World::with_accounts().await;
    let off = json!({ "enabled": false });
    let on = json!({ "enabled": true });
    let see = async |status: u16| {
        let answer = world
            .by(BOB, Method::GET, "/principals/~", &Value::Null)
            .await;
        assert_eq!(answer.status().as_u16(), status);
    };
    see(200).await;
    world
        .answer(ALICE, Method::PATCH, "/principals/acme%2Fbob", &off, 200)
        .await;
    see(401).await;
    world
        .answer(ALICE, Method::PATCH, "/principals/acme%2Fbob", &on, 200)
        .await;
    see(200).await;
    let patch = async |body: &Value| {
        let request = world
            .session
            .request(Method::PATCH, "/api/v1/accounts/acme");
        let answer = request.json(body).send().await.expect("answer");
        assert_eq!(answer.status(), StatusCode::OK);
    };
    patch(&off).await;
    see(401).await;
    patch(&on).await;
    see(200).await;
    world
        .answer(
            ALICE,
            Method::DELETE,
            "/principals/acme%2Fbob",
            &Value::Null,
            204,
        )
        .await;
    see(401).await;
    let again = json!({ "name": "acme/bob", "password": PASSWORD });
    let refused = world.by(ALICE, Method::POST, "/principals", &again).await;
    problem(refused, 409, "name-taken").await;
}

#[tokio::test]
async fn signing_keys_rotate_and_what_is_wrong_is_told() {
    let world = World::start();
    let keys = world.session.json("/api/v1/signing-keys").await;
    assert_eq!(items(&keys).len(), 1);
    let made = world
        .call(Method::POST, "/api/v1/signing-keys:rotate")
        .await;
    assert_eq!(made.status(), StatusCode::CREATED);
    let keys = world.session.json("/api/v1/signing-keys").await;
    assert_eq!(items(&keys).len(), 2);
    let id = items(&keys)[0]["id"].as_str().expect("id");
    let gone = world
        .call(Method::DELETE, &format!("/api/v1/signing-keys/{id}"))
        .await;
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);

    for (path, body) in [
        ("/api/v1/principals", json!({ "name": "acme/Not A Name" })),
        (
            "/api/v1/principals",
            json!({ "name": "x", "kind": "wizard" }),
        ),
        (
            "/api/v1/principals",
            json!({ "name": "x", "password": "short" }),
        ),
        ("/api/v1/groups", json!({ "name": "acme/a/b" })),
        (
            "/api/v1/authorization-tokens",
            json!({ "lifetime_seconds": 1_000_000 }),
        ),
    ] {
        let answer = world.post(path, &body).await;
        problem(answer, 400, "invalid-request").await;
    }
    for path in [
        "/api/v1/accounts/none",
        "/api/v1/principals/none%2Fx",
        "/api/v1/groups/none%2Fx",
        "/api/v1/policies/none%2Fx",
        "/api/v1/principals?account=none",
    ] {
        let told = problem(world.call(Method::GET, path).await, 404, "not-found").await;
        assert!(told.contains("none"), "{told}");
    }
}
