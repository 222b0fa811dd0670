//! Clients that hang up in the middle of everything.

use std::{io::Read, net::TcpStream};

use super::{
    Victim,
    raw::{Raw, exchange, head, request},
};
use crate::session::{Image, digest, noise};

/// Every kind of request, whole.
fn requests(victim: &Victim, image: &Image, round: u64) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = noise(1000 + round, 60_000);
    let uploads = "/v2/acme/web/blobs/uploads/";
    let json = "Content-Type: application/json";
    let manifest = "Content-Type: application/vnd.oci.image.manifest.v1+json";
    let begin = || {
        let begun = exchange(&victim.server, &request("POST", uploads, &[], b""));
        let begun = begun.expect("an answer");
        begun.header("location").expect("a location").to_owned()
    };
    let (patch, close) = (begin(), format!("{}?digest={}", begin(), digest(&bytes)));
    let mut chunked = head(
        "POST",
        &format!("{uploads}?digest={}", digest(&bytes)),
        &["Transfer-Encoding: chunked"],
    );
    for piece in bytes.chunks(10_000) {
        chunked.extend(format!("{:x}\r\n", piece.len()).bytes());
        chunked.extend(piece);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    let layers = format!("{{\"digests\":[\"{}\"]}}", digest(&bytes));
    let check = "/api/v1/repositories/acme%2Fweb/layers:check";
    let blob = format!("/v2/acme/web/blobs/{}", digest(&image.layers[0]));
    vec![
        (
            "a push",
            request(
                "POST",
                &format!("{uploads}?digest={}", digest(&bytes)),
                &[],
                &bytes,
            ),
        ),
        ("a push in chunks", chunked),
        ("a session", request("POST", uploads, &[], b"")),
        ("a PATCH", request("PATCH", &patch, &[], &bytes)),
        ("a closing PUT", request("PUT", &close, &[], &bytes)),
        (
            "a manifest",
            request(
                "PUT",
                "/v2/acme/web/manifests/v2",
                &[manifest],
                &image.manifest,
            ),
        ),
        ("a pull", request("GET", &blob, &[], b"")),
        (
            "a check of layers",
            request("POST", check, &[json], layers.as_bytes()),
        ),
        ("a backup", request("POST", "/api/v1/backups", &[], b"")),
        (
            "a check of the store",
            request("POST", "/api/v1/fsck/runs", &[json], b"{}"),
        ),
        (
            "a collection",
            request("POST", "/api/v1/gc/runs", &[json], b"{}"),
        ),
        (
            "a token",
            request("GET", "/token?scope=repository:acme/web:pull", &[], b""),
        ),
        (
            "a tag's deletion",
            request("DELETE", "/v2/acme/web/manifests/v3", &[], b""),
        ),
        (
            "an HTTP/2 greeting",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_anywhere_in_a_request_leaves_nothing() {
    let victim = Victim::start();
    let image = Image::new(1, 2);
    victim.session.push("acme/web", "v1", &image).await;
    for round in 0..8 {
        for (what, bytes) in requests(&victim, &image, round) {
            // From nothing of it to all of it, without a look at the answer.
            let share = bytes.len() * round as usize / 7;
            let mut raw = Raw::open(&victim.server);
            assert!(raw.send(&bytes[..share]), "{what} could not be sent");
            if round % 2 == 1 {
                raw.end();
            }
        }
    }
    victim.session.assert_pulls("acme/web", "v1", &image).await;
    victim
        .wait_for("landfall_http_requests_in_flight", |running| running <= 1.0)
        .await;
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_in_the_middle_of_an_answer_leaves_nothing() {
    let victim = Victim::start();
    let bytes = noise(1, 8 << 20);
    let digest = victim.session.push_blob("acme/web", &bytes).await;
    for round in 0..40_usize {
        let target = match round % 2 {
            0 => request("GET", &format!("/v2/acme/web/blobs/{digest}"), &[], b""),
            _ => request("POST", "/api/v1/backups", &[], b""),
        };
        let mut stream = TcpStream::connect(victim.server.host()).expect("the server listens");
        std::io::Write::write_all(&mut stream, &target).expect("sent");
        let mut some = vec![0; 1 + round * 1000];
        let read = stream.read(&mut some).expect("a part of the answer");
        assert!(read > 0, "the server hung up first");
    }
    victim
        .wait_for("landfall_http_requests_in_flight", |running| running <= 1.0)
        .await;
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_broke_off_again_and_again_comes_to_its_end() {
    let victim = Victim::start();
    let server = &victim.server;
    let bytes = noise(3, 200_000);
    let begun = exchange(
        server,
        &request("POST", "/v2/acme/web/blobs/uploads/", &[], b""),
    );
    let session = begun.and_then(|begun| begun.header("location").map(str::to_owned));
    let session = session.expect("a session");
    let mut received = 0;
    let mut breaks = 0;
    while received < bytes.len() {
        let rest = &bytes[received..];
        let line = format!("Content-Range: {received}-{}", bytes.len() - 1);
        let length = format!("Content-Length: {}", rest.len());
        let mut raw = Raw::open(server);
        raw.send(&head("PATCH", &session, &[&line, &length]));
        raw.send(&rest[..rest.len().min(30_000)]);
        drop(raw);
        breaks += 1;
        assert!(breaks < 200, "no break brings the upload further");
        // Where it stands is on record before the session can be taken again;
        // until then another request may be told where it stood before.
        let mut stands = received;
        for _ in 0..300 {
            let status = exchange(server, &request("GET", &session, &[], b"")).expect("an answer");
            assert_eq!(status.status, 204);
            let range = status
                .header("range")
                .and_then(|range| range.strip_prefix("0-"));
            let last: usize = range.and_then(|last| last.parse().ok()).expect("a range");
            stands = if last == 0 { 0 } else { last + 1 };
            if stands > received {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(
            stands >= received && stands <= received + 30_000,
            "{stands} after {received}"
        );
        received = stands;
    }
    let close = format!("{session}?digest={}", digest(&bytes));
    let closed = exchange(server, &request("PUT", &close, &[], b"")).expect("an answer");
    assert_eq!(closed.status, 201);
    let pulled = victim
        .session
        .get(&format!("/v2/acme/web/blobs/{}", digest(&bytes)))
        .await;
    assert_eq!(pulled.bytes().await.expect("a blob"), bytes);
    victim.assert_well().await;
}
