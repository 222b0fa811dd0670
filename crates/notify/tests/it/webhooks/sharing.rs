//! Several servers, and servers that die.

use std::{collections::HashSet, time::Duration};

use landfall_database::Kind;
use landfall_notify::DeliveryState;

use super::{is, subscribe, to};
use crate::{
    receiver::{Receiver, Reply},
    world::{World, on_both, until},
};

async fn servers_share_the_work_and_send_nothing_twice(kind: Kind) {
    let world = World::on(kind).await;
    let receiver = Receiver::start(|_| Reply::status(200).after(Duration::from_millis(2))).await;
    let servers = [world.start(), world.start(), world.start()];
    let (webhook, _) = subscribe(&servers[0], &world, to(&receiver.url)).await;
    for number in 0..25 {
        for subject in 0..8 {
            let subject = format!("acme/{subject}");
            world
                .append("tag.moved", &subject, &number.to_string())
                .await;
        }
    }
    until("all is delivered", || async {
        receiver.count() >= 200 && is(&servers[1], &webhook, DeliveryState::Delivered).await
    })
    .await;
    assert_eq!(receiver.count(), 200);
    for subject in 0..8 {
        let numbers = receiver.numbers(&format!("acme/{subject}"));
        assert_eq!(numbers, (0..25).collect::<Vec<_>>(), "acme/{subject}");
    }
    for server in servers {
        server.stop().await;
    }
}

async fn what_a_server_had_begun_when_it_died_is_made_by_another(kind: Kind) {
    let mut world = World::on(kind).await;
    world.settings.claim = Duration::from_secs(2);
    let receiver = Receiver::start(|_| Reply::status(200).after(Duration::from_mins(1))).await;
    let first = world.start();
    let (webhook, _) = subscribe(&first, &world, to(&receiver.url)).await;
    for number in 0..3 {
        world
            .append("tag.moved", "acme/web", &number.to_string())
            .await;
        world
            .append("tag.moved", "acme/api", &number.to_string())
            .await;
    }
    until("two are on their way", || async { receiver.count() == 2 }).await;
    first.crash().await;
    receiver.answer(|_| Reply::status(200));
    let second = world.start();
    until("all is delivered", || {
        is(&second, &webhook, DeliveryState::Delivered)
    })
    .await;
    for subject in ["acme/web", "acme/api"] {
        assert_eq!(receiver.numbers(subject), [0, 0, 1, 2], "{subject}");
    }
}

async fn servers_that_die_all_the_time_lose_nothing(kind: Kind) {
    let mut world = World::on(kind).await;
    world.settings.claim = Duration::from_millis(500);
    world.settings.lease = Duration::from_millis(300);
    let receiver = Receiver::start(|_| Reply::status(200).after(Duration::from_millis(15))).await;
    let mut server = world.start();
    let (webhook, _) = subscribe(&server, &world, to(&receiver.url)).await;
    for number in 0..20 {
        for subject in 0..3 {
            let subject = format!("acme/{subject}");
            world
                .append("tag.moved", &subject, &number.to_string())
                .await;
        }
        if number % 5 == 0 {
            let seen = receiver.count();
            server.crash().await;
            server = world.start();
            until("it goes on", || async { receiver.count() > seen }).await;
        }
    }
    until("all is delivered", || async {
        let is_numbered = landfall_database::outbox::is_pending;
        let waits = world.database.read(is_numbered).await.expect("a look");
        let distinct: HashSet<_> = receiver
            .received()
            .iter()
            .map(|each| each.header("webhook-id").to_owned())
            .collect();
        !waits && distinct.len() == 60 && is(&server, &webhook, DeliveryState::Delivered).await
    })
    .await;
    for subject in 0..3 {
        let mut numbers = receiver.numbers(&format!("acme/{subject}"));
        // A repetition follows what it repeats: the order holds.
        assert!(numbers.is_sorted(), "{numbers:?}");
        numbers.dedup();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    }
}

async fn a_server_that_stops_ends_what_it_has_begun(kind: Kind) {
    let world = World::on(kind).await;
    let receiver = Receiver::start(|_| Reply::status(200).after(Duration::from_millis(300))).await;
    let server = world.start();
    let (webhook, _) = subscribe(&server, &world, to(&receiver.url)).await;
    world.tell("tag.moved", "acme/web", "1").await;
    until("it is on its way", || async { receiver.count() == 1 }).await;
    server.stop().await;
    let other = world.start();
    assert!(is(&other, &webhook, DeliveryState::Delivered).await);
    assert_eq!((receiver.count(), receiver.most_at_once()), (1, 1));
}

on_both!(
    servers_share_the_work_and_send_nothing_twice,
    what_a_server_had_begun_when_it_died_is_made_by_another,
    servers_that_die_all_the_time_lose_nothing,
    a_server_that_stops_ends_what_it_has_begun,
);
