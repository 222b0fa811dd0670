//! What is sent, and in which order.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use landfall_clock::Clock;
use landfall_database::Kind;
use landfall_notify::{DeliveryState, WebhookPlan};

use super::{deliveries, is, subscribe, to};
use crate::{
    receiver::{Received, Receiver, Reply},
    world::{World, on_both, until},
};

/// What OpenSSL says the signature is, of a secret as receivers get it.
fn signature(secret: &str, received: &Received) -> String {
    let key = secret.strip_prefix("whsec_").expect("a secret");
    let script = "key=$(printf %s \"$1\" | base64 -d | od -An -v -tx1 | tr -d ' \\n')
        openssl dgst -sha256 -mac HMAC -macopt hexkey:$key -binary | base64 -w0";
    let mut child = Command::new("sh")
        .args(["-c", script, "sh", key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh");
    let mut input = child.stdin.take().expect("piped");
    let (id, timestamp) = (
        received.header("webhook-id"),
        received.header("webhook-timestamp"),
    );
    write!(input, "{id}.{timestamp}.").expect("written");
    input.write_all(&received.body).expect("written");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    format!("v1,{}", String::from_utf8(output.stdout).expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_comes_as_a_cloud_event_with_a_signature_that_others_compute_too() {
    let world = World::on(Kind::Sqlite).await;
    let receiver = Receiver::start(|_| Reply::status(204)).await;
    let server = world.start();
    let (webhook, secret) = subscribe(&server, &world, to(&receiver.url)).await;
    world
        .tell("tag.moved", "acme/web", r#"{"tag":"latest"}"#)
        .await;
    until("it is delivered", || {
        is(&server, &webhook, DeliveryState::Delivered)
    })
    .await;
    let request = &receiver.received()[0];
    assert_eq!(
        request.header("content-type"),
        "application/cloudevents+json"
    );
    let event = request.event();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "landfall.tag.moved");
    assert_eq!(event["source"], "urn:test");
    assert_eq!(event["subject"], "acme/web");
    assert_eq!(event["actor"], "admin");
    assert_eq!(event["account"], world.account.to_string());
    assert_eq!(event["data"]["tag"], "latest");
    assert_eq!(event["id"], request.header("webhook-id"));
    let now = world.clock.now().unix_seconds().to_string();
    assert_eq!(request.header("webhook-timestamp"), now);
    let computed = signature(&secret.reveal(), request);
    assert_eq!(request.header("webhook-signature"), computed);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_secrets_sign_while_one_replaces_the_other() {
    let world = World::on(Kind::Sqlite).await;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let server = world.start();
    let (webhook, old) = subscribe(&server, &world, to(&receiver.url)).await;
    let overlap = Duration::from_hours(1);
    let (_, new) = server
        .webhook_rotate(webhook.id, overlap)
        .await
        .expect("a new secret");
    server.webhook_test(webhook.id).await.expect("a test");
    let request = receiver.received().pop().expect("a request");
    let both = [&new, &old].map(|secret| signature(&secret.reveal(), &request));
    assert_eq!(request.header("webhook-signature"), both.join(" "));
    world.clock.advance(overlap);
    server.webhook_test(webhook.id).await.expect("a test");
    let request = receiver.received().pop().expect("a request");
    assert_eq!(
        request.header("webhook-signature"),
        signature(&new.reveal(), &request)
    );
}

async fn a_webhook_gets_what_it_wants_from_when_it_was_made(kind: Kind) {
    let world = World::on(kind).await;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let server = world.start();
    world.tell("tag.moved", "acme/web", "0").await;
    let plan = WebhookPlan {
        kinds: vec!["tag.*".parse().expect("a pattern")],
        repositories: vec!["acme/*".parse().expect("a pattern")],
        ..to(&receiver.url)
    };
    let (webhook, _) = subscribe(&server, &world, plan).await;
    let stranger = landfall_ids::AccountId::new_at(1);
    let elsewhere = server
        .webhook_create(stranger, to(&receiver.url), "admin")
        .await;
    let (elsewhere, _) = elsewhere.expect("a webhook");
    for (kind, subject, number) in [
        ("tag.moved", "acme/web", "1"),
        ("manifest.pushed", "acme/web", "2"),
        ("tag.moved", "shop/web", "3"),
        ("tag.deleted", "acme/api", "4"),
    ] {
        world.tell(kind, subject, number).await;
    }
    until("two are delivered", || async {
        deliveries(&server, &webhook).await.len() == 2
            && is(&server, &webhook, DeliveryState::Delivered).await
    })
    .await;
    assert_eq!(receiver.numbers("acme/web"), [1]);
    assert_eq!(receiver.numbers("acme/api"), [4]);
    assert_eq!(receiver.count(), 2);
    assert!(deliveries(&server, &elsewhere).await.is_empty());
}

async fn a_subject_that_fails_holds_back_itself_and_no_other(kind: Kind) {
    let world = World::on(kind).await;
    let receiver = Receiver::start(|request| match request.subject().as_str() {
        "acme/bad" => Reply::status(500),
        _ => Reply::status(200),
    })
    .await;
    let server = world.start();
    let (webhook, _) = subscribe(&server, &world, to(&receiver.url)).await;
    for number in 0..5 {
        world
            .append("tag.moved", "acme/bad", &number.to_string())
            .await;
        world
            .append("tag.moved", "acme/good", &number.to_string())
            .await;
    }
    until("the good ones are there", || async {
        receiver.numbers("acme/good").len() == 5
    })
    .await;
    assert_eq!(receiver.numbers("acme/good"), [0, 1, 2, 3, 4]);
    let tried = async |times: u64| {
        let all = deliveries(&server, &webhook).await;
        all.iter()
            .any(|each| each.subject == "acme/bad" && each.tries == times)
    };
    until("the bad one was tried", || tried(1)).await;
    assert_eq!(receiver.numbers("acme/bad"), [0]);

    world.clock.advance(Duration::from_secs(10));
    until("it is tried again", || tried(2)).await;
    receiver.answer(|_| Reply::status(200));
    world.clock.advance(Duration::from_secs(20));
    until("all is delivered", || {
        is(&server, &webhook, DeliveryState::Delivered)
    })
    .await;
    assert_eq!(receiver.numbers("acme/bad"), [0, 0, 0, 1, 2, 3, 4]);
}

on_both!(
    a_webhook_gets_what_it_wants_from_when_it_was_made,
    a_subject_that_fails_holds_back_itself_and_no_other,
);
