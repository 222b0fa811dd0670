//! Uploads that are not what they say.

use super::{
    Victim, entries,
    raw::{Answer, Raw, exchange, head, request},
};
use crate::{
    server::Server,
    session::{digest, noise},
};

const UPLOADS: &str = "/v2/acme/web/blobs/uploads/";

/// Starts a session, and gives its path.
fn begin(server: &Server) -> String {
    let started = exchange(server, &request("POST", UPLOADS, &[], b"")).expect("an answer");
    assert_eq!(started.status, 202);
    started.header("location").expect("a location").to_owned()
}

fn send(server: &Server, method: &str, target: &str, lines: &[&str], body: &[u8]) -> Answer {
    exchange(server, &request(method, target, lines, body)).expect("an answer")
}

/// Fails if the repository has a blob of these bytes.
fn assert_absent(server: &Server, bytes: &[u8]) {
    let target = format!("/v2/acme/web/blobs/{}", digest(bytes));
    assert_eq!(send(server, "GET", &target, &[], b"").status, 404);
}

fn assert_present(server: &Server, bytes: &[u8]) {
    let target = format!("/v2/acme/web/blobs/{}", digest(bytes));
    let answer = send(server, "GET", &target, &[], b"");
    assert_eq!((answer.status, &answer.body[..]), (200, bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_digest_leaves_no_bytes_behind() {
    let victim = Victim::start();
    let server = &victim.server;
    let (bytes, other) = (noise(1, 100_000), digest(b"other"));
    let refused = send(
        server,
        "POST",
        &format!("{UPLOADS}?digest={other}"),
        &[],
        &bytes,
    );
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "DIGEST_INVALID")
    );
    let session = begin(server);
    assert_eq!(send(server, "PATCH", &session, &[], &bytes).status, 202);
    let refused = send(
        server,
        "PUT",
        &format!("{session}?digest={other}"),
        &[],
        b"",
    );
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "DIGEST_INVALID")
    );
    assert_eq!(
        send(server, "GET", &session, &[], b"").status,
        404,
        "the session goes on"
    );
    let session = begin(server);
    let hex = "0".repeat(128);
    let refused = send(
        server,
        "PUT",
        &format!("{session}?digest=sha512:{hex}"),
        &[],
        &bytes,
    );
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "DIGEST_INVALID")
    );
    assert_absent(server, &bytes);
    // No collection is needed for that.
    assert_eq!(entries(&server.data.join("blobs/staging")), [""; 0]);
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_shorter_than_announced_is_no_blob() {
    let victim = Victim::start();
    let server = &victim.server;
    let bytes = noise(2, 10_000);
    let half = bytes.split_at(5000);
    let announced = format!("Content-Length: {}", bytes.len());
    let target = format!("{UPLOADS}?digest={}", digest(half.0));
    let session = begin(server);
    let close = format!("{}?digest={}", begin(server), digest(half.0));
    for (method, target) in [("POST", &target), ("PATCH", &session), ("PUT", &close)] {
        let mut raw = Raw::open(server);
        raw.send(&head(method, target, &[&announced]));
        raw.send(half.0);
        raw.end();
        let answer = raw.answer();
        let status = answer.map_or(400, |answer| answer.status);
        assert_eq!(status, 400, "{method} was taken");
    }
    assert_absent(server, half.0);
    // The session keeps what came, and goes on from there.
    let status = send(server, "GET", &session, &[], b"");
    assert_eq!(
        (status.status, status.header("range")),
        (204, Some("0-4999"))
    );
    let range = format!("Content-Range: 5000-{}", bytes.len() - 1);
    assert_eq!(
        send(server, "PATCH", &session, &[&range], half.1).status,
        202
    );
    let target = format!("{session}?digest={}", digest(&bytes));
    assert_eq!(send(server, "PUT", &target, &[], b"").status, 201);
    assert_present(server, &bytes);
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_the_announced_length_is_no_part_of_the_blob() {
    let victim = Victim::start();
    let server = &victim.server;
    let bytes = noise(3, 5000);
    let mut raw = Raw::open(server);
    let mut sent = request(
        "POST",
        &format!("{UPLOADS}?digest={}", digest(&bytes)),
        &[],
        &bytes,
    );
    sent.extend(b"\x00\x01 more than was announced\r\n\r\n");
    raw.send(&sent);
    assert_eq!(raw.answer().expect("an answer").status, 201);
    let rest = raw.answer();
    assert!(
        rest.is_none_or(|rest| rest.status == 400),
        "garbage is a request"
    );
    assert_present(server, &bytes);

    // A range that does not fit its body, in both directions.
    let session = begin(server);
    for range in ["0-99", "0-9999"] {
        let line = format!("Content-Range: {range}");
        let refused = send(server, "PATCH", &session, &[&line], &bytes);
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (400, "SIZE_INVALID"),
            "{range}"
        );
        let status = send(server, "GET", &session, &[], b"");
        assert_eq!(
            status.header("range"),
            Some("0-0"),
            "something of it was kept"
        );
    }
    assert_eq!(
        send(
            server,
            "PATCH",
            &session,
            &["Content-Range: 0-4999"],
            &bytes
        )
        .status,
        202
    );
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_that_contradict_themselves_are_refused() {
    let victim = Victim::start();
    let server = &victim.server;
    let bytes = b"0123456789";
    let target = format!("{UPLOADS}?digest={}", digest(bytes));
    for lines in [
        &["Content-Length: 10", "Content-Length: 11"][..],
        &["Content-Length: ten"],
        &["Content-Length: -10"],
        &["Content-Length: 99999999999999999999999999"],
        &["Content-Length: 10, 11"],
        &["Transfer-Encoding: identity, nonsense"],
    ] {
        let mut raw = Raw::open(server);
        let mut sent = head("POST", &target, lines);
        sent.extend(bytes);
        raw.send(&sent);
        raw.end();
        let status = raw.answer().map_or(400, |answer| answer.status);
        assert!(
            (400..500).contains(&status),
            "{lines:?} is answered with {status}"
        );
        assert_absent(server, bytes);
    }
    // Chunks whose sizes are none, or that break off.
    for body in [
        "zz\r\n0123456789\r\n0\r\n\r\n",
        "a\r\n01234",
        "-a\r\n0123456789\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n0123456789\r\n0\r\n\r\n",
        "a\r\n0123456789extra\r\n0\r\n\r\n",
    ] {
        let mut raw = Raw::open(server);
        let mut sent = head("POST", &target, &["Transfer-Encoding: chunked"]);
        sent.extend(body.bytes());
        raw.send(&sent);
        raw.end();
        let status = raw.answer().map_or(400, |answer| answer.status);
        assert_eq!(status, 400, "{body:?}");
        assert_absent(server, bytes);
    }
    // With both framings, the chunks count, and nothing is smuggled behind.
    let mut raw = Raw::open(server);
    let lines = ["Content-Length: 3", "Transfer-Encoding: chunked"];
    let mut sent = head("POST", &target, &lines);
    sent.extend(b"a\r\n0123456789\r\n0\r\n\r\n");
    raw.send(&sent);
    let status = raw.answer().map_or(400, |answer| answer.status);
    assert!([201, 400].contains(&status), "{status}");
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_out_of_order_are_refused_with_the_place_to_go_on() {
    let victim = Victim::start();
    let server = &victim.server;
    let bytes = noise(4, 3000);
    let session = begin(server);
    let mut received = 0;
    for piece in bytes.chunks(1000) {
        for (from, to) in [
            (received + 1, received + 1000),
            (received + 5000, received + 5999),
        ] {
            let line = format!("Content-Range: {from}-{to}");
            let refused = send(server, "PATCH", &session, &[&line], piece);
            assert_eq!(refused.status, 416, "{line} at {received}");
            let stands = format!("0-{}", usize::max(received, 1) - 1);
            assert_eq!(refused.header("range"), Some(stands.as_str()));
            assert_eq!(refused.header("location"), Some(session.as_str()));
        }
        for nonsense in [
            "bytes 0-9/10",
            "9-0",
            "a-b",
            "0-",
            "-1",
            "0-18446744073709551616",
            "",
        ] {
            let line = format!("Content-Range: {nonsense}");
            let refused = send(server, "PATCH", &session, &[&line], piece);
            assert!(
                [400, 416].contains(&refused.status),
                "{line}: {}",
                refused.status
            );
        }
        let line = format!("Content-Range: {received}-{}", received + 999);
        assert_eq!(send(server, "PATCH", &session, &[&line], piece).status, 202);
        received += 1000;
    }
    let target = format!("{session}?digest={}", digest(&bytes));
    assert_eq!(send(server, "PUT", &target, &[], b"").status, 201);
    assert_present(server, &bytes);
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_above_the_limit_is_refused_before_it_is_whole() {
    let options = crate::server::Options::default().set("LANDFALL_REGISTRY_MAX_BLOB_SIZE", "1MiB");
    let victim = Victim::start_with(options);
    let server = &victim.server;
    let bytes = noise(5, 3 << 20);
    let refused = send(
        server,
        "POST",
        &format!("{UPLOADS}?digest={}", digest(&bytes)),
        &[],
        &bytes,
    );
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (413, "SIZE_INVALID")
    );
    let session = begin(server);
    assert_eq!(send(server, "PATCH", &session, &[], &bytes).status, 413);
    assert_eq!(send(server, "GET", &session, &[], b"").status, 404);
    let fits = &bytes[..1 << 20];
    let taken = send(
        server,
        "POST",
        &format!("{UPLOADS}?digest={}", digest(fits)),
        &[],
        fits,
    );
    assert_eq!(taken.status, 201);
    let empty = send(
        server,
        "POST",
        &format!("{UPLOADS}?digest={}", digest(b"")),
        &[],
        b"",
    );
    assert_eq!(empty.status, 201);
    assert_present(server, b"");
    victim.assert_well().await;
}
