//! What accounts don't learn of each other, and rules on tags that hold however
//! a tag is named.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    World,
    identities::{ALICE, BOB, PASSWORD, Who},
    items,
};
use crate::{
    server::{Options, Server},
    session::{Image, Session},
};

const EVE: Who<'static> = ("umbrella/eve", PASSWORD);
const OPERATOR: Who<'static> = ("admin", crate::server::PASSWORD);

impl World {
    async fn policy(&self, name: &str, principal: &str, text: &str) {
        let policy = json!({
            "name": name,
            "target": { "kind": "principal", "name": principal },
            "text": text,
        });
        self.answer(OPERATOR, Method::POST, "/policies", &policy, 201)
            .await;
    }

    async fn deletes_by_digest(&self, digest: &str) -> StatusCode {
        let path = format!("/v2/acme/web/manifests/{digest}");
        let request = self.session.anonymous(Method::DELETE, &path);
        let request = request.basic_auth(ALICE.0, Some(ALICE.1));
        request.send().await.expect("answer").status()
    }
}

#[tokio::test]
async fn a_rule_on_a_tag_holds_where_the_image_is_named_by_its_digest() {
    let world = World::with_accounts().await;
    let image = Image::new(1, 2);
    let digest = image.digest().to_string();
    world.session.push("acme/web", "stable", &image).await;
    world.session.push("acme/web", "dev", &image).await;
    let rule = |action: &str| {
        format!(
            "forbid (principal, action == Landfall::Action::\"{action}\", resource) \
             when {{ context has tag && context.tag == \"stable\" }};"
        )
    };
    world
        .policy("acme/stable-stays", ALICE.0, &rule("delete"))
        .await;
    let path = format!("/repositories/acme%2Fweb/images/{digest}");
    let null = Value::Null;
    assert_eq!(world.deletes_by_digest(&digest).await, 403);
    world.answer(ALICE, Method::DELETE, &path, &null, 403).await;
    world
        .session
        .assert_pulls("acme/web", "stable", &image)
        .await;

    // Gone, and back, by somebody for whom the rule does not hold.
    world
        .policy("acme/stable-is-set-by-others", ALICE.0, &rule("push"))
        .await;
    world
        .answer(OPERATOR, Method::DELETE, &path, &null, 200)
        .await;
    let restore = format!("{path}/restore");
    world
        .answer(ALICE, Method::POST, &restore, &null, 403)
        .await;
    let restored = world
        .answer(OPERATOR, Method::POST, &restore, &null, 200)
        .await;
    assert_eq!(restored["tags"], json!(["dev", "stable"]));

    // What has no such tag goes as before.
    let other = Image::new(1, 3);
    world.session.push("acme/web", "next", &other).await;
    let other = other.digest().to_string();
    assert_eq!(world.deletes_by_digest(&other).await, 202);
}

#[tokio::test]
async fn the_audit_log_names_no_policy_and_no_credential_of_another_account() {
    let world = World::with_accounts().await;
    let text = "forbid (principal, action == Landfall::Action::\"push\", resource);";
    world.policy("umbrella/project-x", EVE.0, text).await;
    let keys = "/principals/~/api-keys";
    let key = world.answer(EVE, Method::POST, keys, &json!({}), 201).await;
    let (id, secret) = (key["id"].as_str(), key["key"].as_str());
    let (id, secret) = (id.expect("id"), secret.expect("key"));
    let push = world
        .session
        .anonymous(Method::POST, "/v2/acme/web/blobs/uploads/");
    let push = push.basic_auth(EVE.0, Some(secret)).send().await;
    assert_eq!(push.expect("answer").status(), 403);

    let by_eve = "/audit?account=acme&principal=umbrella%2Feve&action=push";
    let all = world
        .answer(OPERATOR, Method::GET, by_eve, &Value::Null, 200)
        .await;
    let row = &items(&all)[0];
    assert_eq!(row["policies"], json!(["umbrella/project-x"]), "{row}");
    assert_eq!(row["credential"]["id"], id, "{row}");
    let seen = world
        .answer(ALICE, Method::GET, by_eve, &Value::Null, 200)
        .await;
    let row = &items(&seen)[0];
    assert_eq!(row["principal"]["name"], EVE.0, "{row}");
    assert_eq!(row["policies"], json!([]), "{row}");
    assert_eq!(row["credential"], json!({ "kind": "api-key" }), "{row}");
    let exported = world
        .by(
            ALICE,
            Method::GET,
            "/audit:export?account=acme",
            &Value::Null,
        )
        .await;
    let exported = exported.text().await.expect("lines");
    assert!(exported.contains(EVE.0), "{exported}");
    for secret in ["project-x", id] {
        assert!(!exported.contains(secret), "{secret} is in {exported}");
    }
    // Of its own account, all is there.
    assert!(exported.contains("acme/admins"), "{exported}");
}

#[tokio::test]
async fn physical_figures_are_for_the_operator() {
    let world = World::with_accounts().await;
    let statements = "landfall_database_statements_total";
    for (who, sees) in [(None, false), (Some(ALICE), false), (Some(OPERATOR), true)] {
        let request = world.session.anonymous(Method::GET, "/metrics");
        let request = match who {
            Some((name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        };
        let answer = request.send().await.expect("answer");
        assert_eq!(answer.status(), 200, "{who:?}");
        let text = answer.text().await.expect("text");
        assert_eq!(text.contains(statements), sees, "{who:?}: {text}");
        assert!(text.contains("landfall_connections "), "{who:?}: {text}");
    }
    let wrong = world.session.anonymous(Method::GET, "/metrics");
    let wrong = wrong.basic_auth("admin", Some("wrong")).send().await;
    assert_eq!(wrong.expect("answer").status(), 401);
}

#[tokio::test]
async fn a_token_of_another_account_is_not_told_from_none() {
    let world = World::with_accounts().await;
    let tokens = "/authorization-tokens";
    let token = world
        .answer(BOB, Method::POST, tokens, &json!({}), 201)
        .await;
    let living = format!("{tokens}/{}", token["id"].as_str().expect("id"));
    let none = format!("{tokens}/01900000-0000-7000-8000-000000000000");
    let bearer = world.session.token(&["repository:admin/x:pull"]).await;
    let mut answers = Vec::new();
    for path in [&living, &none] {
        let by_eve = world.by(EVE, Method::DELETE, path, &Value::Null).await;
        let path = format!("/api/v1{path}");
        let scoped = world.session.anonymous(Method::DELETE, &path);
        let scoped = scoped.bearer_auth(&bearer).send().await.expect("answer");
        let mut told = Vec::new();
        for answer in [by_eve, scoped] {
            let status = answer.status();
            let challenge = answer.headers().get("www-authenticate").cloned();
            told.push((status, challenge, answer.text().await.expect("text")));
        }
        answers.push(told);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0][0].0, 403);
    assert_eq!(answers[0][1].0, 401);
    // Nor by what is written down about it.
    let seen = "/audit?account=umbrella&outcome=refused";
    let seen = world.answer(EVE, Method::GET, seen, &Value::Null, 200);
    let seen = seen.await.to_string();
    assert!(!seen.contains("acme"), "{seen}");

    // The account's own manager ends it, also when its owner is disabled.
    let change = json!({ "enabled": false });
    let bob = "/principals/acme%2Fbob";
    world
        .answer(OPERATOR, Method::PATCH, bob, &change, 200)
        .await;
    world
        .answer(ALICE, Method::DELETE, &living, &Value::Null, 204)
        .await;
}

/// More names than one request looks at.
const MANY: &str = "
insert into repository (id, account, name, created)
with recursive n (i) as (select 1 union all select i + 1 from n where i < 20500)
select randomblob(16), account.id, 'acme/hidden-' || (100000 + n.i), account.created
from n join account on account.name = 'acme';
";

#[tokio::test]
async fn a_list_that_goes_on_does_not_name_what_is_hidden() {
    let world = World::with_accounts().await;
    let image = Image::new(1, 2);
    world.session.push("umbrella/web", "v1", &image).await;
    let World {
        server,
        _directory: directory,
        ..
    } = world;
    assert!(server.stop(), "it ended badly");
    let data = directory.path().join("data");
    let database = landfall_database::Database::open_sqlite(&data.join("landfall.db"));
    let database = database.expect("the database");
    let inserted = database.write(|tx| tx.execute_script(MANY)).await;
    inserted.expect("repositories");
    drop(database);
    let server = Server::start_with(&data, &Options::default());
    let session = Session::of(&server);

    for (path, list) in [
        ("/v2/_catalog?n=1000", "repositories"),
        ("/api/v1/repositories?limit=1000", "items"),
    ] {
        let (mut found, mut pages, mut last) = (Vec::new(), 0, String::new());
        loop {
            let request = session.anonymous(Method::GET, &format!("{path}{last}"));
            let request = request.basic_auth(EVE.0, Some(EVE.1));
            let answer = request.send().await.expect("answer");
            assert_eq!(answer.status(), 200, "{path}{last}");
            let link = answer.headers().get("link").cloned();
            let body: Value = answer.json().await.expect("JSON");
            pages += 1;
            let told = format!("{link:?} {}", body["next"]);
            assert!(!told.contains("hidden"), "{told}");
            found.extend(body[list].as_array().expect("a list").iter().cloned());
            let next = match (&link, body["next"].as_str()) {
                (Some(link), _) => {
                    let link = link.to_str().expect("text");
                    let (_, next) = link.split_once("last=").expect("a link");
                    next.split_once('>').expect("a link").0.to_owned()
                }
                (None, Some(next)) => next.to_owned(),
                (None, None) => break,
            };
            last = format!("&last={next}");
        }
        assert_eq!(pages, 2, "{path}");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].to_string().contains("umbrella/web"), "{found:?}");
        let forged = session.anonymous(Method::GET, &format!("{path}&last=~forged"));
        let forged = forged.basic_auth(EVE.0, Some(EVE.1)).send().await;
        assert_eq!(forged.expect("answer").status(), 400, "{path}");
    }
}
