//! `GET /api/v1/events` and `landfall event list`.

use serde_json::Value;

use super::{World, until};

fn items(listing: &Value) -> &Vec<Value> {
    listing["items"].as_array().expect("a listing")
}

fn kinds(listing: &Value) -> Vec<&str> {
    let items = items(listing).iter();
    items
        .map(|item| item["kind"].as_str().expect("a kind"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_push_has_done_is_listed_in_order() {
    let world = World::start();
    let image = world.push("v1").await;
    world.tag(&image, 0..5).await;
    until("all events are there", || async {
        let listing = world.session.json("/api/v1/events").await;
        items(&listing).len() == 13
    })
    .await;
    let listing = world.session.json("/api/v1/events?last=0&limit=4").await;
    assert_eq!(
        kinds(&listing),
        [
            "repository.created",
            "manifest.pushed",
            "tag.created",
            "manifest.pushed"
        ]
    );
    assert_eq!(listing["next"], "4");
    let pushed = &items(&listing)[1];
    assert_eq!(pushed["position"], 2);
    assert_eq!(pushed["subject"], "admin/web");
    assert_eq!(pushed["actor"], "admin");
    assert_eq!(pushed["data"]["digest"], image.digest().to_string());
    let rest = world.session.json("/api/v1/events?last=4").await;
    assert_eq!(items(&rest).len(), 9);
    assert!(rest.get("next").is_none(), "{rest}");
    let newest = world.session.json("/api/v1/events?limit=1").await;
    assert_eq!(items(&newest)[0]["data"]["tag"], "t4");
    let narrow = "/api/v1/events?last=0&kind=*.created&repository=admin/*";
    let narrow = world.session.json(narrow).await;
    assert_eq!(items(&narrow).len(), 7);
    assert_eq!(kinds(&narrow)[..2], ["repository.created", "tag.created"]);
    let account = world
        .session
        .json("/api/v1/events?account=admin&last=0")
        .await;
    assert_eq!(items(&account).len(), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_listed_is_refused_with_a_reason() {
    let world = World::start();
    for (query, status, detail) in [
        ("last=7", 410, "the log ends at 0, before 7"),
        ("account=nobody", 404, "no account `nobody`"),
        ("kind=a%20b", 400, "`a b` is no pattern"),
        ("last=x", 400, "invalid digit"),
    ] {
        let answer = world.session.get(&format!("/api/v1/events?{query}")).await;
        assert_eq!(answer.status(), status, "{query}");
        let problem: Value = answer.json().await.expect("JSON");
        let told = problem["detail"].as_str().expect("a sentence");
        assert!(told.contains(detail), "{query}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_lists_events_for_people_and_programs() {
    let world = World::start();
    world.push("v1").await;
    let run = |words: &[&str]| {
        let output = world.server.landfall(words);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    until("all events are there", || async {
        let listed = run(&["event", "list", "--output", "json"]);
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        listed.as_array().is_some_and(|items| items.len() == 3)
    })
    .await;
    let table = run(&["event", "list", "--kind", "tag.*"]);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[0].contains("POSITION") && lines[0].contains("SUBJECT"));
    for word in ["3 ", "tag.created", "admin/web", "v1 sha256:"] {
        assert!(lines[1].contains(word), "{table}");
    }
    assert!(
        lines.iter().all(|line| line.chars().count() <= 80),
        "{table}"
    );
    let some = run(&[
        "event", "list", "--from", "1", "--limit", "1", "--output", "json",
    ]);
    let some: Value = serde_json::from_str(&some).expect("JSON");
    assert_eq!(some[0]["position"], 2);
    assert_eq!(some.as_array().map(Vec::len), Some(1));
}
