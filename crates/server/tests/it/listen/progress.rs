//! Clients that stop in the middle.

use std::time::Duration;

use landfall_server::listen::Limits;

use super::{World, generous, signalled, within};

const SOON: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let world = World::start(Limits {
        header_timeout: SOON,
        ..generous()
    })
    .await;
    let mut first = world.connect().await;
    first.send("GET / HTTP/1.1\r\nhost: he").await;
    first.closed().await;

    // The same on a connection that has been used, and in HTTP/2's first words.
    let mut second = world.connect().await;
    assert_eq!(second.get("/").await.status, 200);
    second.send("GET / HT").await;
    second.closed().await;
    let mut third = world.connect().await;
    third.send("PRI * HTTP/2.0\r\n").await;
    third.closed().await;
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let world = World::start(Limits {
        header_timeout: SOON,
        ..generous()
    })
    .await;
    let mut client = world.connect().await;
    client.send("GET / HTTP/1.1\r\n").await;
    let trickle = async {
        while client.try_send(b"a: b\r\n").await.is_ok() {
            tokio::time::sleep(SOON / 10).await;
        }
    };
    within(trickle).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_but_not_a_busy_one() {
    let world = World::start(Limits {
        idle_timeout: SOON * 5,
        ..generous()
    })
    .await;
    let mut busy = world.connect().await;
    busy.send("GET /held HTTP/1.1\r\nhost: here\r\n\r\n").await;
    signalled(&world.held).await;
    let unused = world.connect().await;
    let mut used = world.connect().await;
    assert_eq!(used.get("/").await.status, 200);
    unused.closed().await;
    used.closed().await;
    world.release.notify_one();
    assert_eq!(busy.answer().await.body, "released");
    busy.closed().await;
}

#[tokio::test]
async fn an_idle_http_2_connection_is_closed() {
    let world = World::start(Limits {
        idle_timeout: SOON,
        header_timeout: SOON,
        ..generous()
    })
    .await;
    let mut client = world.connect().await;
    // The preface and empty SETTINGS, then silence.
    client
        .try_send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .expect("open");
    client.closed().await;
}

#[tokio::test]
async fn a_body_that_stops_is_answered_and_cut_off() {
    let world = World::start(Limits {
        progress_timeout: SOON,
        ..generous()
    })
    .await;
    let mut client = world.connect().await;
    client
        .send("PUT /upload HTTP/1.1\r\nhost: here\r\ncontent-length: 100\r\n\r\nten bytes.")
        .await;
    assert_eq!(client.answer().await.status, 408);
    client.closed().await;
}

#[tokio::test]
async fn a_body_that_trickles_in_is_cut_off() {
    let world = World::start(Limits {
        progress_timeout: SOON,
        ..generous()
    })
    .await;
    let mut client = world.connect().await;
    client
        .send("PUT /upload HTTP/1.1\r\nhost: here\r\ncontent-length: 100000\r\n\r\n")
        .await;
    let trickle = async {
        while client.try_send(b".").await.is_ok() {
            tokio::time::sleep(SOON / 10).await;
        }
    };
    within(trickle).await;
}

#[tokio::test]
async fn a_slow_body_that_moves_is_read_to_its_end() {
    let world = World::start(Limits {
        progress_timeout: SOON * 5,
        ..generous()
    })
    .await;
    let mut client = world.connect().await;
    client
        .send("PUT /upload HTTP/1.1\r\nhost: here\r\ncontent-length: 20480\r\n\r\n")
        .await;
    let step = [b'.'; 1024];
    // In sum twice what may pass without progress.
    for _ in 0..20 {
        tokio::time::sleep(SOON / 2).await;
        client.try_send(&step).await.expect("open");
    }
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "20480"));
}

#[tokio::test]
async fn an_answer_that_is_not_read_is_cut_off() {
    let world = World::start(Limits {
        progress_timeout: SOON,
        ..generous()
    })
    .await;
    let mut client = world.connect().await;
    client
        .send("GET /endless HTTP/1.1\r\nhost: here\r\n\r\n")
        .await;
    signalled(&world.dropped).await;
    client.closed().await;
}

#[tokio::test]
async fn one_unread_http_2_answer_ends_and_the_others_go_on() {
    let world = World::start(Limits {
        progress_timeout: SOON,
        ..generous()
    })
    .await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .http2_initial_stream_window_size(64 * 1024)
        .http2_initial_connection_window_size(1024 * 1024)
        .build()
        .expect("a client");
    let held = tokio::spawn(client.get(world.url("/held")).send());
    signalled(&world.held).await;
    let mut unread = client
        .get(world.url("/endless"))
        .send()
        .await
        .expect("a head");
    signalled(&world.dropped).await;
    world.release.notify_one();
    let held = within(held).await.expect("no panic").expect("an answer");
    assert_eq!(held.text().await.expect("a body"), "released");
    let failed = async { while matches!(unread.chunk().await, Ok(Some(_))) {} };
    within(failed).await;
    let again = client.get(world.url("/")).send().await.expect("an answer");
    assert_eq!(again.text().await.expect("a body"), "hello");
}

#[tokio::test]
async fn a_refused_upload_gets_its_answer_while_it_still_sends() {
    let world = World::start(generous()).await;
    let mut client = world.connect().await;
    client
        .send("PUT /refuse HTTP/1.1\r\nhost: here\r\ncontent-length: 10000000\r\n\r\n")
        .await;
    // More than the sockets buffer: somebody must read it for this to end.
    let part = vec![0; 1_000_000];
    for _ in 0..10 {
        client.try_send(&part).await.expect("not reset");
    }
    assert_eq!(client.answer().await.status, 403);
    client.closed().await;
}
