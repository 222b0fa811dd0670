//! Receivers that fail, in all the ways there are.

use std::time::Duration;

use landfall_clock::Clock;
use landfall_database::Kind;
use landfall_notify::{
    Delivery, DeliveryState, Error, EventFilter, Webhook,
    egress::{AllowList, EgressError},
};

use super::{deliveries, delivery, is, subscribe, to};
use crate::{
    receiver::{Receiver, Reply},
    world::{Running, World, on_both, until},
};

const HOUR: Duration = Duration::from_hours(1);

async fn a_delivery_is_tried_for_a_day_and_then_is_a_dead_letter(kind: Kind) {
    let world = World::on(kind).await;
    let receiver = Receiver::start(|_| Reply::status(503)).await;
    let server = world.start();
    let (webhook, _) = subscribe(&server, &world, to(&receiver.url)).await;
    world.tell("tag.moved", "acme/web", "1").await;
    // The clock stands still while a try is made, so each try is counted.
    let mut tries = 0;
    let dead = loop {
        tries += 1;
        until("it is tried", || async {
            let delivery = delivery(&server, &webhook).await;
            delivery.is_some_and(|delivery| delivery.tries == tries)
        })
        .await;
        let delivery = delivery(&server, &webhook).await.expect("a delivery");
        if delivery.state != DeliveryState::Pending {
            break delivery;
        }
        let (last, next) = (delivery.last_try, delivery.next_try);
        let pause = next.expect("a next try").since(last.expect("a last try"));
        assert!(pause >= Duration::from_secs(4) || tries > 18, "{pause:?}");
        // Not a moment earlier than it is due.
        world
            .clock
            .advance(pause.saturating_sub(Duration::from_micros(1)));
        tokio::time::sleep(Duration::from_millis(if tries == 1 { 500 } else { 0 })).await;
        assert_eq!(receiver.count() as u64, tries);
        world.clock.advance(Duration::from_micros(1));
    };
    assert_eq!(dead.state, DeliveryState::Dead);
    assert_eq!(dead.status, Some(503));
    assert!((18..30).contains(&tries), "{tries} tries");
    let day = dead
        .last_try
        .expect("tried")
        .since(dead.first_try.expect("tried"));
    assert_eq!(day, HOUR * 24);
    assert!(server.webhook_show(webhook.id).await.expect("it").enabled);

    let ids: Vec<_> = receiver.received();
    let first = ids[0].header("webhook-id");
    assert!(ids.iter().all(|each| each.header("webhook-id") == first));

    // A person sends it again.
    receiver.answer(|_| Reply::status(200));
    server
        .redeliver(webhook.id, dead.id)
        .await
        .expect("in line");
    until("it is delivered", || {
        is(&server, &webhook, DeliveryState::Delivered)
    })
    .await;
    let webhook = server.webhook_show(webhook.id).await.expect("it");
    assert_eq!(webhook.failing_since, None);
}

async fn a_receiver_that_answers_410_is_left_alone(kind: Kind) {
    let world = World::on(kind).await;
    let receiver = Receiver::start(|_| Reply::status(410)).await;
    let server = world.start();
    let (webhook, _) = subscribe(&server, &world, to(&receiver.url)).await;
    world.tell("tag.moved", "acme/web", "1").await;
    until("it is disabled", || async {
        !server.webhook_show(webhook.id).await.expect("it").enabled
    })
    .await;
    let known = server.webhook_show(webhook.id).await.expect("it");
    assert!(known.disabled_because.expect("a reason").contains("410"));
    assert!(is(&server, &webhook, DeliveryState::Dead).await);
    until("it is told", || async {
        let page = server.event_newest(EventFilter::default(), 1).await;
        let page = page.expect("events");
        page.events[0].kind == "webhook.disabled"
            && page.events[0].data.contains(&webhook.id.to_string())
    })
    .await;
    // Who may read events may not know where they go.
    let page = server.event_newest(EventFilter::default(), 1).await;
    let told = page.expect("events").events.remove(0).data;
    assert!(!told.contains("url") && !told.contains("://"), "{told}");
    world.tell("tag.moved", "acme/web", "2").await;
    assert_eq!(receiver.count(), 1);

    // Enabled again, it gets what comes from then on.
    receiver.answer(|_| Reply::status(200));
    let change = landfall_notify::WebhookChange {
        enabled: Some(true),
        ..Default::default()
    };
    let enabled = server.webhook_update(webhook.id, change).await.expect("it");
    assert_eq!(enabled.disabled_because, None);
    world.tell("tag.moved", "acme/web", "3").await;
    until("it is there", || async { receiver.count() == 2 }).await;
    assert_eq!(receiver.numbers("acme/web"), [1, 3]);
}

/// The delivery of a subject, after so many tries at the least.
async fn tried(server: &Running, webhook: &Webhook, subject: &str, tries: u64) -> Delivery {
    let found = || async {
        let all = deliveries(server, webhook).await;
        all.into_iter()
            .find(|delivery| delivery.subject == subject && delivery.tries >= tries)
    };
    until("it is tried", || async { found().await.is_some() }).await;
    found().await.expect("a delivery")
}

async fn a_webhook_that_fails_for_five_days_is_disabled(kind: Kind) {
    const DAY: Duration = Duration::from_hours(24);
    let mut world = World::on(kind).await;
    world.settings.retry_for = HOUR;
    world.settings.retention = DAY * 30;
    let receiver = Receiver::start(|_| Reply::status(500)).await;
    let server = world.start();
    let (webhook, _) = subscribe(&server, &world, to(&receiver.url)).await;
    let begun = world.clock.now();
    // The webhook is quiet in between.
    for day in [0, 4, 6] {
        let quiet = (begun + DAY * day).since(world.clock.now());
        world.clock.advance(quiet);
        let subject = format!("acme/{day}");
        world.tell("tag.moved", &subject, "1").await;
        let mut tries = 1;
        let dead = loop {
            let delivery = tried(&server, &webhook, &subject, tries).await;
            assert_eq!(delivery.tries, tries);
            if delivery.state != DeliveryState::Pending {
                break delivery;
            }
            // However long it fails, a delivery is tried to the end.
            let known = server.webhook_show(webhook.id).await.expect("it");
            assert!(known.enabled, "day {day}, after {tries} tries");
            assert_eq!(known.failing_since, Some(begun));
            let next = delivery.next_try.expect("a next try");
            world.clock.advance(next.since(world.clock.now()));
            tries += 1;
        };
        assert_eq!(dead.state, DeliveryState::Dead);
        assert!(tries > 5, "{tries} tries");
        let known = server.webhook_show(webhook.id).await.expect("it");
        assert_eq!(known.enabled, day < 5, "day {day}");
    }
    let known = server.webhook_show(webhook.id).await.expect("it");
    let because = known.disabled_because.expect("a reason");
    assert!(because.contains("five days"), "{because}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_may_ask_for_time() {
    let world = World::on(Kind::Sqlite).await;
    let receiver = Receiver::start(|_| Reply::status(429).with("retry-after", "600")).await;
    let server = world.start();
    let (webhook, _) = subscribe(&server, &world, to(&receiver.url)).await;
    world.tell("tag.moved", "acme/web", "1").await;
    until("it was tried", || async {
        let delivery = delivery(&server, &webhook).await;
        delivery.is_some_and(|delivery| delivery.tries == 1)
    })
    .await;
    let delivery = delivery(&server, &webhook).await.expect("a delivery");
    let last = delivery.last_try.expect("tried");
    let pause = delivery.next_try.expect("a next try").since(last);
    assert_eq!(pause, Duration::from_mins(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let world = World::on(Kind::Sqlite).await;
    let target = Receiver::start(|_| Reply::status(200)).await;
    let location = target.url.clone();
    let receiver = Receiver::start(move |_| Reply::status(307).with("location", &location)).await;
    let server = world.start();
    let (webhook, _) = subscribe(&server, &world, to(&receiver.url)).await;
    let attempt = server.webhook_test(webhook.id).await.expect("a try");
    assert_eq!(attempt.status, Some(307));
    let error = attempt.error.expect("a failure");
    assert!(error.contains("redirects are not followed"), "{error}");
    assert_eq!((receiver.count(), target.count()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_is_given_up_and_holds_up_no_other() {
    let mut world = World::on(Kind::Sqlite).await;
    world.timeout = Duration::from_millis(400);
    let slow = Receiver::start(|_| Reply::status(200).after(Duration::from_mins(1))).await;
    let quick = Receiver::start(|_| Reply::status(200)).await;
    let server = world.start();
    let (to_slow, _) = subscribe(&server, &world, to(&slow.url)).await;
    let (to_quick, _) = subscribe(&server, &world, to(&quick.url)).await;
    for number in 0..60 {
        world
            .append("tag.moved", &format!("acme/{number}"), "1")
            .await;
    }
    until("the quick one has all", || async { quick.count() == 60 }).await;
    until("the quick one's are noted", || {
        is(&server, &to_quick, DeliveryState::Delivered)
    })
    .await;
    assert!(slow.count() <= 60);
    let attempt = server.webhook_test(to_slow.id).await.expect("a try");
    let error = attempt.error.expect("a failure");
    assert!(error.contains("no answer came within"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_not_listened_to() {
    let world = World::on(Kind::Sqlite).await;
    let receiver = Receiver::start(|_| Reply {
        is_endless: true,
        ..Reply::status(200)
    })
    .await;
    let server = world.start();
    let (webhook, _) = subscribe(&server, &world, to(&receiver.url)).await;
    let attempt = server.webhook_test(webhook.id).await.expect("a try");
    assert_eq!((attempt.status, attempt.error), (Some(200), None));
    assert!(attempt.duration_ms < 4000, "{} ms", attempt.duration_ms);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_refused_when_a_webhook_is_made_and_when_it_is_called() {
    let mut world = World::on(Kind::Sqlite).await;
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let server = world.start();
    let (webhook, _) = subscribe(&server, &world, to(&receiver.url)).await;
    server.stop().await;

    world.allow = AllowList::default();
    let server = world.start();
    for url in [
        receiver.url.as_str(),
        "http://localhost/",
        "http://169.254.169.254/",
    ] {
        let refused = server.webhook_create(world.account, to(url), "admin").await;
        let refused = refused.expect_err("a private address");
        assert!(
            matches!(refused, Error::Egress(EgressError::Denied { .. })),
            "{url}: {refused}"
        );
        assert!(refused.to_string().contains("`egress.allow`"), "{refused}");
    }
    let attempt = server.webhook_test(webhook.id).await.expect("a try");
    assert!(
        attempt
            .error
            .expect("a failure")
            .contains("private or reserved")
    );
    assert_eq!(receiver.count(), 0);
}

on_both!(
    a_delivery_is_tried_for_a_day_and_then_is_a_dead_letter,
    a_receiver_that_answers_410_is_left_alone,
    a_webhook_that_fails_for_five_days_is_disabled,
);
