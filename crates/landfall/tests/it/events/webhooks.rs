//! Webhooks of the program: its commands, and deliveries through `kill -9`.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{World, receiver::Receiver, until};

/// Runs a command that has to succeed, and reads its JSON.
fn run(world: &World, words: &[&str]) -> Value {
    let output = world
        .server
        .landfall(words.iter().chain(&["--output", "json"]));
    assert!(output.status.success(), "{words:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Runs a command that has to fail, and gives its one line.
fn refused(world: &World, words: &[&str]) -> String {
    let output = world.server.landfall(words);
    assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
    String::from_utf8(output.stderr).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_make_use_change_and_delete_a_webhook() {
    let world = World::start();
    let receiver = Receiver::start().await;
    let made = run(
        &world,
        &["webhook", "create", "--kind", "tag.*", &receiver.url],
    );
    let id = made["id"].as_str().expect("an id");
    let secret = made["secret"].as_str().expect("a secret");
    assert!(
        secret.starts_with("whsec_") && secret.len() == 50,
        "{secret}"
    );
    let shown = run(&world, &["webhook", "show", id]);
    assert!(shown.get("secret").is_none(), "the secret is shown again");
    assert_eq!(shown["kinds"], json!(["tag.*"]));
    assert_eq!(shown["created_by"], "admin");

    let tried = run(&world, &["webhook", "test", id]);
    assert_eq!(tried["delivered"], true);
    assert_eq!(receiver.taken()[0]["type"], "landfall.webhook.test");

    world.push("v1").await;
    until("the tag is delivered", async || receiver.taken().len() == 2).await;
    let event = &receiver.taken()[1];
    assert_eq!(event["type"], "landfall.tag.created");
    assert_eq!(event["data"]["tag"], "v1");
    until("that is noted", async || {
        let listed = run(
            &world,
            &["webhook", "deliveries", "--state", "delivered", id],
        );
        listed.as_array().is_some_and(|items| items.len() == 1)
    })
    .await;
    let delivery = run(&world, &["webhook", "deliveries", id]);
    let delivery = delivery[0]["id"].as_str().expect("an id");
    run(&world, &["webhook", "redeliver", id, delivery]);
    until("it comes again", async || receiver.taken().len() == 3).await;
    assert_eq!(receiver.taken()[1]["id"], receiver.taken()[2]["id"]);

    let metrics = world.session.get("/metrics").await.text().await;
    let metrics = metrics.expect("metrics");
    for line in [
        "landfall_webhook_deliveries_total{outcome=\"delivered\"} 2",
        "landfall_events_waiting 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }

    let rotated = run(&world, &["webhook", "rotate", "--overlap", "1h", id]);
    assert_ne!(rotated["secret"], made["secret"]);
    assert!(rotated["rotating_until"].is_string());
    let updated = run(
        &world,
        &["webhook", "update", "--disable", "--kind", "blob.*", id],
    );
    assert_eq!(
        (&updated["enabled"], &updated["kinds"]),
        (&json!(false), &json!(["blob.*"]))
    );
    let listed = run(&world, &["webhook", "list"]);
    assert_eq!(listed[0]["id"], id);
    let table = world.server.landfall(["webhook", "list"]);
    let table = String::from_utf8(table.stdout).expect("text");
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
    run(&world, &["webhook", "delete", id]);
    let gone = refused(&world, &["webhook", "show", id]);
    assert_eq!(gone, format!("error: no webhook {id}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_refused_in_one_sentence() {
    let world = World::start();
    for (url, host) in [
        ("http://10.0.0.1/hook", "10.0.0.1"),
        ("http://[::1]:80/hook", "[::1]"),
        ("http://169.254.169.254/latest", "169.254.169.254"),
        ("http://0x7f000002/", "127.0.0.2"),
    ] {
        let told = refused(&world, &["webhook", "create", url]);
        assert_eq!(
            told,
            format!(
                "error: `{host}` is at a private or reserved address, and requests may not go \
                 there; the operator can allow it with the setting `egress.allow`\n"
            )
        );
    }
    let told = refused(&world, &["webhook", "create", "ftp://example.com/"]);
    assert!(told.contains("only `http` and `https` are"), "{told}");
    let listed = world.session.json("/api/v1/webhooks").await;
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_the_middle_of_deliveries_loses_none() {
    let mut world = World::start();
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url });
    let made = world.session.request(Method::POST, "/api/v1/webhooks");
    let made = made.json(&body).send().await.expect("an answer");
    assert_eq!(made.status(), 201);
    assert_eq!(made.headers()["cache-control"], "no-store");
    receiver.set_silent(true);
    let image = world.push("v1").await;
    world.tag(&image, 0..10).await;
    until("a delivery is on its way", async || receiver.begun() > 0).await;
    assert!(receiver.taken().is_empty());
    world.kill_and_start();
    receiver.set_silent(false);
    world.tag(&image, 10..20).await;
    until("all is delivered", async || receiver.taken().len() >= 43).await;
    let taken = receiver.taken();
    let sequences: Vec<_> = taken
        .iter()
        .map(|event| event["sequence"].as_str().expect("text").to_owned())
        .collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
    let distinct: BTreeSet<_> = sequences.iter().collect();
    assert_eq!(distinct.len(), 43, "{sequences:?}");
}
