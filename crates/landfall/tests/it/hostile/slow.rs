//! Clients that never come to an end. Each is cut off, and nothing of it stays.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use super::{
    Victim,
    raw::{Raw, head, request},
};
use crate::{
    server::Options,
    session::{digest, noise},
};

/// Far shorter than anybody would set them.
fn impatient() -> Victim {
    let options = Options::default()
        .set("LANDFALL_SERVER_HEADER_TIMEOUT", "2s")
        .set("LANDFALL_SERVER_PROGRESS_TIMEOUT", "2s")
        .set("LANDFALL_SERVER_IDLE_TIMEOUT", "10s");
    Victim::start_with(options)
}

/// Waits until only the connection that asks is left.
async fn wait_until_alone(victim: &Victim) {
    victim
        .wait_for("landfall_connections", |open| open <= 1.0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_cut_off() {
    let victim = impatient();
    let whole = head("GET", "/healthz", &[]);
    let starts: Vec<&[u8]> = vec![
        b"",
        b"G",
        b"GET /healthz HTTP/1.1\r\n",
        &whole[..whole.len() - 1],
    ];
    let mut open: Vec<Raw> = Vec::new();
    for start in starts.iter().cycle().take(80) {
        let mut raw = Raw::open(&victim.server);
        raw.send(start);
        open.push(raw);
    }
    for raw in &mut open {
        let said = String::from_utf8_lossy(&raw.until_closed()).into_owned();
        assert!(
            said.is_empty() || said.starts_with("HTTP/1.1 408"),
            "{said}"
        );
    }
    // A byte now and then does not help.
    let mut raw = Raw::open(&victim.server);
    raw.send(b"GET /healthz HTTP/1.1\r\n");
    let mut sent = 0;
    while raw.send(b"X-Header: 1\r\n") {
        sent += 1;
        assert!(sent < 600, "a head may go on for ever");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    wait_until_alone(&victim).await;
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_is_cut_off_and_the_session_lives() {
    let victim = impatient();
    let bytes = noise(1, 100_000);
    let target = format!("/v2/acme/web/blobs/uploads/?digest={}", digest(&bytes));
    let announced = format!("Content-Length: {}", bytes.len());
    let mut open = Vec::new();
    for (method, target, lines) in [
        ("POST", target.as_str(), [announced.as_str()]),
        ("POST", target.as_str(), ["Transfer-Encoding: chunked"]),
        ("PUT", "/v2/acme/web/manifests/v1", [announced.as_str()]),
        (
            "POST",
            "/api/v1/repositories/acme%2Fweb/layers:check",
            [announced.as_str()],
        ),
        ("GET", "/v2/acme/web/tags/list", [announced.as_str()]),
    ]
    .repeat(10)
    {
        let mut raw = Raw::open(&victim.server);
        raw.send(&head(
            method,
            target,
            &[lines[0], "Content-Type: application/json"],
        ));
        if lines[0] == announced {
            raw.send(&bytes[..50_000]);
        }
        open.push((method, raw));
    }
    let begun = super::raw::exchange(
        &victim.server,
        &request("POST", "/v2/acme/web/blobs/uploads/", &[], b""),
    );
    let session = begun.and_then(|begun| begun.header("location").map(str::to_owned));
    let session = session.expect("a session");
    let mut patch = Raw::open(&victim.server);
    patch.send(&head("PATCH", &session, &[&announced]));
    patch.send(&bytes[..60_000]);
    for (method, raw) in &mut open {
        // A GET is answered without its body.
        let answered = raw.answer().filter(|_| *method != "GET");
        let status = answered.map_or(400, |answer| answer.status);
        assert!((400..500).contains(&status), "{method}: {status}");
        raw.until_closed();
    }
    if let Some(answer) = patch.answer() {
        assert!(
            (400..500).contains(&answer.status),
            "PATCH: {}",
            answer.status
        );
    }
    // What was received is on record, and the upload goes on.
    let status = victim.session.get(&session).await;
    assert_eq!(status.status(), 204);
    assert_eq!(status.headers()["range"], "0-59999");
    let rest = victim.session.request(reqwest::Method::PATCH, &session);
    let rest = rest
        .body(bytes[60_000..].to_vec())
        .send()
        .await
        .expect("answer");
    assert_eq!(rest.status(), 202);
    let close = format!("{session}?digest={}", digest(&bytes));
    let close = victim
        .session
        .request(reqwest::Method::PUT, &close)
        .send()
        .await;
    assert_eq!(close.expect("answer").status(), 201);
    wait_until_alone(&victim).await;
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_cut_off() {
    let victim = impatient();
    let bytes = noise(2, 16 << 20);
    let digest = victim.session.push_blob("acme/web", &bytes).await;
    let get = request("GET", &format!("/v2/acme/web/blobs/{digest}"), &[], b"");
    let mut open: Vec<TcpStream> = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(victim.server.host()).expect("the server listens");
        stream.write_all(&get).expect("sent");
        // The answer has begun, and nobody reads on.
        stream
            .read_exact(&mut [0])
            .expect("the beginning of an answer");
        open.push(stream);
    }
    wait_until_alone(&victim).await;
    for mut stream in open {
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .expect("a timeout");
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received);
        assert!(
            received.len() < bytes.len(),
            "it was sent whole to somebody who reads nothing"
        );
    }
    // Whoever reads is served to the end.
    let mut raw = Raw::open(&victim.server);
    raw.send(&request(
        "GET",
        &format!("/v2/acme/web/blobs/{digest}"),
        &[],
        b"",
    ));
    assert_eq!(raw.answer().map(|answer| answer.body), Some(bytes));
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_request_is_closed_and_one_in_use_is_not() {
    let victim = impatient();
    let mut idle = Raw::open(&victim.server);
    idle.send(&head("GET", "/healthz", &[]));
    assert_eq!(idle.answer().map(|answer| answer.status), Some(200));
    assert_eq!(
        idle.until_closed(),
        b"",
        "an idle connection is told something"
    );
    let mut used = Raw::open(&victim.server);
    // Longer in all than a connection may be idle, and never idle for as long.
    for _ in 0..60 {
        used.send(&head("GET", "/healthz", &[]));
        assert_eq!(used.answer().map(|answer| answer.status), Some(200));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    drop(used);
    wait_until_alone(&victim).await;
    victim.assert_well().await;
}
