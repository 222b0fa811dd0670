//! Secrets that are lost: the master key is another one than they were sealed
//! under.

use std::time::Duration;

use landfall_database::Kind;
use landfall_notify::{
    DeliveryState, Error, EventFilter, Webhook, WebhookChange, webhook_secrets_forget,
};

use super::{deliveries, delivery, is, subscribe, to};
use crate::{
    receiver::{Receiver, Reply},
    world::{Running, World, on_both, until},
};

const OVERLAP: Duration = Duration::from_hours(1);

/// A webhook with two secrets and a delivery that waits; its server is stopped,
/// and the key is lost.
async fn lost(world: &mut World, receiver: &Receiver) -> Webhook {
    let server = world.start();
    let (webhook, _) = subscribe(&server, world, to(&receiver.url)).await;
    let rotated = server.webhook_rotate(webhook.id, OVERLAP).await;
    rotated.expect("a new secret");
    world.tell("tag.moved", "acme/web", "1").await;
    until("it was tried", || async {
        let delivery = delivery(&server, &webhook).await;
        delivery.is_some_and(|delivery| delivery.tries == 1)
    })
    .await;
    server.stop().await;
    world.lose_key();
    webhook
}

async fn enable(server: &Running, webhook: &Webhook) {
    let change = WebhookChange {
        enabled: Some(true),
        ..WebhookChange::default()
    };
    let enabled = server.webhook_update(webhook.id, change).await.expect("it");
    assert_eq!(enabled.disabled_because, None);
}

/// Waits until it is disabled, and answers why.
async fn disabled(server: &Running, webhook: &Webhook) -> String {
    until("it is disabled", || async {
        !server.webhook_show(webhook.id).await.expect("it").enabled
    })
    .await;
    let known = server.webhook_show(webhook.id).await.expect("it");
    known.disabled_because.expect("a reason")
}

/// A person rotates the secret and enables the webhook: what comes is signed
/// with the new secret alone, and what was given up can be sent again.
async fn repair(world: &World, server: &Running, webhook: &Webhook, receiver: &Receiver) {
    receiver.answer(|_| Reply::status(200));
    let rotated = server.webhook_rotate(webhook.id, OVERLAP).await;
    rotated.expect("a new secret");
    enable(server, webhook).await;
    let before = receiver.count();
    world.tell("tag.moved", "acme/new", "9").await;
    until("it comes", || async { receiver.numbers("acme/new") == [9] }).await;
    // The oldest first.
    for dead in deliveries(server, webhook).await.into_iter().rev() {
        if dead.state == DeliveryState::Dead {
            server
                .redeliver(webhook.id, dead.id)
                .await
                .expect("in line");
        }
    }
    until("all are delivered", || {
        is(server, webhook, DeliveryState::Delivered)
    })
    .await;
    for request in &receiver.received()[before..] {
        let signatures = request.header("webhook-signature");
        assert_eq!(signatures.split(' ').count(), 1, "{signatures}");
    }
}

async fn secrets_that_were_forgotten_are_rotated_before_anything_is_sent(kind: Kind) {
    let mut world = World::on(kind).await;
    let receiver = Receiver::start(|_| Reply::status(500)).await;
    let webhook = lost(&mut world, &receiver).await;
    let forgotten = webhook_secrets_forget(&world.database).await;
    assert_eq!(forgotten.expect("they are forgotten"), 1);

    let server = world.start();
    let known = server.webhook_show(webhook.id).await.expect("it");
    assert!(!known.enabled);
    assert_eq!(known.rotating_until, None);
    let because = known.disabled_because.expect("a reason");
    assert_eq!(because, "its secret was not in the backup; rotate it");
    assert!(is(&server, &webhook, DeliveryState::Dead).await);
    world.clock.advance(OVERLAP / 2);
    world.tell("tag.moved", "acme/web", "2").await;
    repair(&world, &server, &webhook, &receiver).await;
    // The second came while it was disabled.
    assert_eq!(receiver.numbers("acme/web"), [1, 1]);
}

async fn a_webhook_whose_secret_cant_be_opened_is_disabled(kind: Kind) {
    let mut world = World::on(kind).await;
    let receiver = Receiver::start(|_| Reply::status(500)).await;
    let webhook = lost(&mut world, &receiver).await;

    let server = world.start();
    world.clock.advance(OVERLAP / 2);
    let because = disabled(&server, &webhook).await;
    assert_eq!(because, "its secret can't be opened; rotate it");
    assert!(is(&server, &webhook, DeliveryState::Dead).await);
    until("it is told", || async {
        let page = server.event_newest(EventFilter::default(), 1).await;
        page.expect("events").events[0].kind == "webhook.disabled"
    })
    .await;
    let tested = server.webhook_test(webhook.id).await;
    assert!(matches!(tested, Err(Error::Seal(_))), "{tested:?}");

    // Enabled without a new secret it comes no further.
    enable(&server, &webhook).await;
    world.tell("tag.moved", "acme/web", "2").await;
    let because = disabled(&server, &webhook).await;
    assert_eq!(because, "its secret can't be opened; rotate it");
    assert_eq!(receiver.count(), 1);
    repair(&world, &server, &webhook, &receiver).await;
    assert_eq!(receiver.numbers("acme/web"), [1, 1, 2]);
}

on_both!(
    secrets_that_were_forgotten_are_rotated_before_anything_is_sent,
    a_webhook_whose_secret_cant_be_opened_is_disabled,
);
