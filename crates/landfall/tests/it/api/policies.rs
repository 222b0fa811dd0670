//! Policies and the audit log over the API: what works, and what is refused.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    World,
    identities::{ALICE, BOB},
    items, problem,
};

fn readers(text: &str) -> Value {
    json!({
        "name": "acme/readers",
        "target": { "kind": "principal", "name": "acme/bob" },
        "text": text,
    })
}

const READ: &str = "permit (principal, action in Landfall::Action::\"read\", resource);";

#[tokio::test]
async fn a_policy_is_made_explained_changed_and_deleted() {
    let world = World::with_accounts().await;
    let question = json!({
        "principal": "acme/bob",
        "action": "pull",
        "resource": { "kind": "repository", "name": "acme/web" },
    });
    let explain = async || {
        let path = "/policies:explain";
        let answer = world
            .answer(ALICE, Method::POST, path, &question, 200)
            .await;
        (answer["allowed"].clone(), answer["policies"].clone())
    };
    assert_eq!(explain().await, (json!(false), json!([])));
    world
        .answer(ALICE, Method::POST, "/policies", &readers(READ), 201)
        .await;
    assert_eq!(explain().await, (json!(true), json!(["acme/readers"])));
    let forbid = json!({ "text": "forbid (principal, action, resource);" });
    let path = "/policies/acme%2Freaders";
    world.answer(ALICE, Method::PUT, path, &forbid, 200).await;
    assert_eq!(explain().await, (json!(false), json!(["acme/readers"])));
    let shown = world
        .answer(ALICE, Method::GET, path, &Value::Null, 200)
        .await;
    assert_eq!(
        shown["target"],
        json!({ "kind": "principal", "name": "acme/bob" })
    );
    assert_eq!(shown["text"], forbid["text"]);
    let listed = world
        .answer(ALICE, Method::GET, "/policies", &Value::Null, 200)
        .await;
    let names: Vec<_> = items(&listed).iter().map(|each| &each["name"]).collect();
    assert_eq!(names, ["acme/admins", "acme/readers"]);
    world
        .answer(ALICE, Method::DELETE, path, &Value::Null, 204)
        .await;
    problem(
        world.by(ALICE, Method::GET, path, &Value::Null).await,
        404,
        "not-found",
    )
    .await;
}

#[tokio::test]
async fn what_is_wrong_in_a_policy_is_told_with_its_place_and_nothing_is_stored() {
    let world = World::with_accounts().await;
    let text = "permit (\n  principal,\n  action == Landfall::Action::\"fly\",\n  resource\n);";
    let answer = world
        .by(ALICE, Method::POST, "/policies", &readers(text))
        .await;
    assert_eq!(answer.status(), 422);
    let told: Value = answer.json().await.expect("JSON");
    assert_eq!(told["type"], "/problems/policy-invalid");
    assert_eq!(told["errors"][0]["line"], 3, "{told}");
    assert!(
        told["detail"]
            .as_str()
            .is_some_and(|text| text.contains("line 3")),
        "{told}"
    );
    let path = "/policies:validate";
    let checked = world
        .answer(BOB, Method::POST, path, &json!({ "text": text }), 200)
        .await;
    assert_eq!(
        (&checked["valid"], &checked["errors"]),
        (&json!(false), &told["errors"])
    );
    let checked = world
        .answer(BOB, Method::POST, path, &json!({ "text": READ }), 200)
        .await;
    assert_eq!(checked, json!({ "valid": true, "errors": [] }));
    let listed = world
        .answer(ALICE, Method::GET, "/policies", &Value::Null, 200)
        .await;
    assert_eq!(items(&listed).len(), 1, "{listed}");
}

#[tokio::test]
async fn policies_stay_in_their_account() {
    let world = World::with_accounts().await;
    // The name is in one account, the target in the other.
    let mut crossed = readers(READ);
    crossed["target"]["name"] = json!("umbrella/eve");
    let answer = world.by(ALICE, Method::POST, "/policies", &crossed).await;
    problem(answer, 400, "invalid-request").await;
    crossed["name"] = json!("umbrella/readers");
    let answer = world.by(ALICE, Method::POST, "/policies", &crossed).await;
    problem(answer, 403, "denied").await;
    let question = |principal: &str, repository: &str| {
        json!({
            "principal": principal,
            "action": "pull",
            "resource": { "kind": "repository", "name": repository },
        })
    };
    for asked in [
        question("acme/alice", "umbrella/web"),
        question("umbrella/eve", "acme/web"),
    ] {
        let answer = world
            .by(ALICE, Method::POST, "/policies:explain", &asked)
            .await;
        problem(answer, 403, "denied").await;
    }
    for (asked, word) in [
        (json!({ "action": "fly" }), "no action"),
        (json!({ "action": "read-audit" }), "to an account"),
    ] {
        let mut whole = question("acme/bob", "acme/web");
        whole["action"] = asked["action"].clone();
        let answer = world
            .by(ALICE, Method::POST, "/policies:explain", &whole)
            .await;
        let told = problem(answer, 400, "invalid-request").await;
        assert!(told.contains(word), "{told}");
    }
    for path in [
        "/policies",
        "/policies/acme%2Fadmins",
        "/audit?account=acme",
    ] {
        problem(
            world.by(BOB, Method::GET, path, &Value::Null).await,
            403,
            "denied",
        )
        .await;
    }
    for path in ["/policy-templates", "/policy-schema"] {
        world
            .answer(BOB, Method::GET, path, &Value::Null, 200)
            .await;
    }
}

#[tokio::test]
async fn the_audit_log_is_listed_page_by_page_and_exported_whole() {
    let world = World::with_accounts().await;
    world
        .answer(ALICE, Method::POST, "/policies", &readers(READ), 201)
        .await;
    problem(
        world
            .by(BOB, Method::POST, "/groups", &json!({ "name": "acme/x" }))
            .await,
        403,
        "denied",
    )
    .await;
    let refused = "/audit?account=acme&outcome=refused&principal=acme%2Fbob";
    let listed = world
        .answer(ALICE, Method::GET, refused, &Value::Null, 200)
        .await;
    let row = &items(&listed)[0];
    assert_eq!(row["action"], "manage-principals", "{row}");
    assert_eq!(row["principal"]["name"], "acme/bob");
    assert_eq!(row["reason"], "this caller may not do that");
    assert_eq!(row["credential"]["kind"], "password");
    assert_eq!(row["source"], "127.0.0.1");

    let mut ids = Vec::new();
    let mut last = String::new();
    loop {
        let path = format!("/audit?account=acme&limit=2{last}");
        let page = world
            .answer(ALICE, Method::GET, &path, &Value::Null, 200)
            .await;
        ids.extend(items(&page).iter().map(|row| row["id"].clone()));
        match page["next"].as_str() {
            Some(next) => last = format!("&last={next}"),
            None => break,
        }
    }
    let before = ids.len();
    assert!(before > 3, "{before} rows");
    let exported = world
        .by(
            ALICE,
            Method::GET,
            "/audit:export?account=acme",
            &Value::Null,
        )
        .await;
    assert_eq!(exported.headers()["content-type"], "application/jsonl");
    let text = exported.text().await.expect("lines");
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let exported: Vec<_> = rows.map(|row| row["id"].clone()).collect();
    ids.reverse();
    assert_eq!(exported[..before], ids);
    assert!(!text.contains("umbrella"), "another account's rows: {text}");
    let wrong = world
        .by(
            ALICE,
            Method::GET,
            "/audit?account=acme&since=soon",
            &Value::Null,
        )
        .await;
    problem(wrong, 400, "invalid-request").await;
}
