//! How long events are kept.

use std::time::Duration;

use landfall_database::{Kind, outbox};
use landfall_notify::{Error, EventFilter};
use tokio_util::sync::CancellationToken;

use crate::{
    receiver::{Receiver, Reply},
    webhooks::{subscribe, to},
    world::{World, on_both, until},
};

async fn oldest(world: &World) -> u64 {
    world.database.read(outbox::oldest).await.expect("a look")
}

async fn old_events_go_and_whoever_comes_too_late_is_told(kind: Kind) {
    let world = World::on(kind).await;
    let server = world.start();
    for _ in 0..3 {
        world.tell("tag.moved", "acme/web", "{}").await;
    }
    world.clock.advance(Duration::from_hours(20));
    world.tell("tag.moved", "acme/web", "{}").await;
    let goes_on = CancellationToken::new();
    server.prune(&goes_on).await.expect("pruned");
    assert_eq!(oldest(&world).await, 1, "nothing is old");
    world.clock.advance(Duration::from_hours(5));
    server.prune(&goes_on).await.expect("pruned");
    assert_eq!(oldest(&world).await, 4);

    let late = server.event_page(EventFilter::default(), 1, 10).await;
    let late = late.expect_err("gone");
    assert!(
        matches!(
            late,
            Error::EventsGone {
                asked: 1,
                oldest: 3
            }
        ),
        "{late}"
    );
    let page = server.event_page(EventFilter::default(), 0, 10).await;
    assert_eq!(page.expect("what is kept").events.len(), 1);
    let page = server.event_page(EventFilter::default(), 3, 10).await;
    assert_eq!(page.expect("no gap").events.len(), 1);
}

async fn an_event_that_has_to_be_delivered_stays(kind: Kind) {
    let mut world = World::on(kind).await;
    world.settings.retention = Duration::from_mins(1);
    let receiver = Receiver::start(|_| Reply::status(500)).await;
    let server = world.start();
    let (webhook, _) = subscribe(&server, &world, to(&receiver.url)).await;
    world.tell("tag.moved", "acme/web", "{}").await;
    // Noted, and not only received: the next try is counted from there.
    until("it was tried", || async {
        let page = server.delivery_list(webhook.id, None, None, 1).await;
        let entries = page.expect("deliveries").entries;
        entries.first().is_some_and(|each| each.tries > 0)
    })
    .await;
    world.clock.advance(Duration::from_hours(1));
    let goes_on = CancellationToken::new();
    server.prune(&goes_on).await.expect("pruned");
    assert_eq!(oldest(&world).await, 1);

    receiver.answer(|_| Reply::status(200));
    // It may have failed once more meanwhile.
    world.clock.advance(Duration::from_hours(1));
    let delivered = || async {
        let page = server.delivery_list(webhook.id, None, None, 10).await;
        let page = page.expect("deliveries");
        page.entries
            .iter()
            .all(|each| each.state == landfall_notify::DeliveryState::Delivered)
    };
    until("it is delivered", delivered).await;
    server.prune(&goes_on).await.expect("pruned");
    assert_eq!(oldest(&world).await, 2);
    let page = server.delivery_list(webhook.id, None, None, 10).await;
    assert!(
        page.expect("deliveries").entries.is_empty(),
        "the delivery goes with its event"
    );
}

on_both!(
    old_events_go_and_whoever_comes_too_late_is_told,
    an_event_that_has_to_be_delivered_stays,
);
