//! Shutdown.

use std::time::Duration;

use landfall_server::listen::{Drained, Limits};
use tokio::net::TcpStream;

use super::{World, generous, signalled, within};

#[tokio::test]
async fn a_running_request_finishes_and_idle_connections_end_at_once() {
    let mut world = World::start(generous()).await;
    let mut idle = world.connect().await;
    assert_eq!(idle.get("/").await.body, "hello");
    let unused = world.connect().await;
    let mut busy = world.connect().await;
    busy.send("GET /held HTTP/1.1\r\nhost: here\r\n\r\n").await;
    signalled(&world.held).await;

    world.shut_down();
    idle.closed().await;
    unused.closed().await;
    assert!(!world.server.is_finished(), "a request is still running");
    assert!(TcpStream::connect(world.address).await.is_err());

    world.release.notify_one();
    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "released"));
    assert!(answer.head.contains("connection: close"), "{answer:?}");
    busy.closed().await;
    assert_eq!(world.ended().await, Drained { cut_off: 0 });
}

#[tokio::test]
async fn a_running_request_of_http_2_finishes_too() {
    let mut world = World::start(generous()).await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .expect("a client");
    let request = tokio::spawn(client.get(world.url("/held")).send());
    signalled(&world.held).await;
    world.shut_down();
    world.release.notify_one();
    let answer = within(request).await.expect("no panic").expect("an answer");
    assert_eq!(answer.text().await.expect("a body"), "released");
    drop(client);
    assert_eq!(world.ended().await, Drained { cut_off: 0 });
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_off() {
    let mut world = World::start(Limits {
        drain_timeout: Duration::from_millis(100),
        ..generous()
    })
    .await;
    let mut busy = world.connect().await;
    busy.send("GET /held HTTP/1.1\r\nhost: here\r\n\r\n").await;
    signalled(&world.held).await;
    world.shut_down();
    busy.closed().await;
    assert_eq!(world.ended().await, Drained { cut_off: 1 });
}
