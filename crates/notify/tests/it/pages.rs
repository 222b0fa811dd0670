//! Reading the log: pages, filters, tails.

use landfall_database::Kind;
use landfall_ids::AccountId;
use landfall_notify::{Error, EventFilter, EventPage, Pattern};

use crate::world::{World, on_both, until};

fn positions(page: &EventPage) -> Vec<u64> {
    page.events.iter().map(|event| event.position).collect()
}

fn pattern(text: &str) -> Vec<Pattern> {
    vec![text.parse().expect("a pattern")]
}

/// Nine events: three kinds on three subjects.
async fn told(kind: Kind) -> (World, crate::world::Running) {
    let world = World::on(kind).await;
    let server = world.start();
    for subject in ["acme/api", "acme/web", "shop/web"] {
        for kind in ["tag.created", "tag.moved", "manifest.pushed"] {
            world.append(kind, subject, "{}").await;
        }
    }
    until("all is numbered", || async {
        let filter = EventFilter::default();
        let page = server.event_page(filter, 0, 100).await.expect("a page");
        page.events.len() == 9
    })
    .await;
    (world, server)
}

async fn pages_follow_each_other_without_gap_or_repetition(kind: Kind) {
    let (_world, server) = told(kind).await;
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let page = server.event_page(EventFilter::default(), after, 4).await;
        let page = page.expect("a page");
        all.extend(positions(&page));
        after = page.position;
        if !page.more {
            break;
        }
        assert_eq!(page.events.len(), 4);
    }
    assert_eq!(all, (1..=9).collect::<Vec<_>>());
    assert_eq!(after, 9);
    let newest = server.event_newest(EventFilter::default(), 2).await;
    assert_eq!(positions(&newest.expect("a page")), [8, 9]);
}

async fn filters_leave_what_was_asked_for(kind: Kind) {
    let (world, server) = told(kind).await;
    let filter = |kinds: &str, repositories: &str| EventFilter {
        account: Some(world.account),
        kinds: pattern(kinds),
        repositories: pattern(repositories),
    };
    for (filter, expected) in [
        (filter("*", "acme/web"), vec![4, 5, 6]),
        (filter("tag.*", "acme/*"), vec![1, 2, 4, 5]),
        (filter("*.moved", "*/web"), vec![5, 8]),
        (filter("blob.*", "*"), vec![]),
    ] {
        let page = server.event_page(filter.clone(), 0, 100).await;
        assert_eq!(positions(&page.expect("a page")), expected, "{filter:?}");
        let newest = server.event_newest(filter.clone(), 100).await;
        assert_eq!(positions(&newest.expect("a page")), expected, "{filter:?}");
    }
    let stranger = EventFilter {
        account: Some(AccountId::new_at(1)),
        ..EventFilter::default()
    };
    let page = server.event_page(stranger, 0, 100).await.expect("a page");
    assert_eq!((positions(&page), page.position), (vec![], 9));
}

async fn a_tail_gets_what_was_there_and_what_comes(kind: Kind) {
    let (world, server) = told(kind).await;
    let mut tail = server.tail(Some(7)).await.expect("a tail");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let events = tail.next().await.expect("events").expect("some");
        seen.extend(events.iter().map(|event| event.position));
    }
    assert_eq!(seen, [8, 9]);
    world.append("tag.deleted", "acme/web", "{}").await;
    let events = tail.next().await.expect("events").expect("some");
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].position, events[0].kind.as_str()),
        (10, "tag.deleted")
    );
    server.notify.stop();
    assert!(tail.next().await.expect("an end").is_none());
}

async fn a_position_of_another_log_is_refused(kind: Kind) {
    let (_world, server) = told(kind).await;
    let ahead = server.tail(Some(10)).await.expect_err("beyond the end");
    assert!(
        matches!(ahead, Error::EventsAhead { asked: 10, head: 9 }),
        "{ahead}"
    );
}

on_both!(
    pages_follow_each_other_without_gap_or_repetition,
    filters_leave_what_was_asked_for,
    a_tail_gets_what_was_there_and_what_comes,
    a_position_of_another_log_is_refused,
);
