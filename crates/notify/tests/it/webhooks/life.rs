//! Making, changing and deleting webhooks.

use landfall_database::Kind;
use landfall_ids::WebhookId;
use landfall_notify::{DeliveryState, Error, WebhookChange, WebhookPlan};

use super::{delivery, is, subscribe, to};
use crate::{
    receiver::{Receiver, Reply},
    world::{World, on_both, until},
};

async fn a_webhook_is_listed_changed_and_deleted(kind: Kind) {
    let world = World::on(kind).await;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let server = world.start();
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(subscribe(&server, &world, to(&receiver.url)).await.0);
    }
    made.sort_by_key(|webhook| webhook.id);
    let page = server
        .webhook_list(Some(world.account), None, 2)
        .await
        .expect("a page");
    assert_eq!((page.entries.as_slice(), page.more), (&made[..2], true));
    let rest = server
        .webhook_list(None, Some(made[1].id), 2)
        .await
        .expect("a page");
    assert_eq!((rest.entries.as_slice(), rest.more), (&made[2..], false));

    let kinds = vec!["tag.*".parse().expect("a pattern")];
    let change = WebhookChange {
        kinds: Some(kinds.clone()),
        enabled: Some(false),
        ..WebhookChange::default()
    };
    let changed = server.webhook_update(made[0].id, change).await.expect("it");
    assert_eq!((changed.kinds, changed.enabled), (kinds, false));
    assert_eq!(changed.url, made[0].url);

    server.webhook_delete(made[0].id).await.expect("it goes");
    let gone = server.webhook_show(made[0].id).await;
    assert!(matches!(gone, Err(Error::WebhookUnknown(_))));
    let again = server.webhook_delete(made[0].id).await;
    assert!(matches!(again, Err(Error::WebhookUnknown(_))));
}

async fn what_waits_for_a_webhook_that_is_disabled_can_be_sent_later(kind: Kind) {
    let world = World::on(kind).await;
    let receiver = Receiver::start(|_| Reply::status(500)).await;
    let server = world.start();
    let (webhook, _) = subscribe(&server, &world, to(&receiver.url)).await;
    world.tell("tag.moved", "acme/web", "1").await;
    until("it was tried", || async {
        let delivery = delivery(&server, &webhook).await;
        delivery.is_some_and(|delivery| delivery.tries == 1)
    })
    .await;
    let enabled = |enabled| WebhookChange {
        enabled: Some(enabled),
        ..WebhookChange::default()
    };
    server
        .webhook_update(webhook.id, enabled(false))
        .await
        .expect("it");
    until("it is given up", || {
        is(&server, &webhook, DeliveryState::Dead)
    })
    .await;
    let dead = delivery(&server, &webhook).await.expect("a delivery");
    let refused = server.redeliver(webhook.id, dead.id).await;
    assert!(
        matches!(refused, Err(Error::WebhookDisabled(_))),
        "{refused:?}"
    );
    receiver.answer(|_| Reply::status(200));
    server
        .webhook_update(webhook.id, enabled(true))
        .await
        .expect("it");
    server
        .redeliver(webhook.id, dead.id)
        .await
        .expect("in line");
    until("it is delivered", || {
        is(&server, &webhook, DeliveryState::Delivered)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_an_end_to_webhooks_and_patterns() {
    let world = World::on(Kind::Sqlite).await;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let server = world.start();
    let many = WebhookPlan {
        kinds: vec!["tag.*".parse().expect("a pattern"); 33],
        ..to(&receiver.url)
    };
    let refused = server.webhook_create(world.account, many, "admin").await;
    assert!(matches!(refused, Err(Error::TooManyPatterns(33))));
    for _ in 0..100 {
        subscribe(&server, &world, to(&receiver.url)).await;
    }
    let refused = server
        .webhook_create(world.account, to(&receiver.url), "admin")
        .await;
    assert!(matches!(refused, Err(Error::TooManyWebhooks(100))));
    let unknown = server.webhook_test(WebhookId::new_at(1)).await;
    assert!(matches!(unknown, Err(Error::WebhookUnknown(_))));
}

on_both!(
    a_webhook_is_listed_changed_and_deleted,
    what_waits_for_a_webhook_that_is_disabled_can_be_sent_later,
);
