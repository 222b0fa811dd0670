//! Large blobs on their way out: ranges on one connection, files that shrink,
//! servers that die, readers that stop.

use std::{fs::File, path::Path};

use reqwest::StatusCode;

use super::{
    Victim,
    raw::{Raw, head},
};
use crate::{
    server::{Options, Server},
    session::{Session, digest, noise},
};

const REPOSITORY: &str = "acme/large";

/// More than what lies between a server and a client that stopped reading.
const ENDLESS: usize = 48 << 20;

fn path(blob: &[u8]) -> String {
    format!("/v2/{REPOSITORY}/blobs/{}", digest(blob))
}

/// The only file of a store that is at least as long.
fn file_of(folder: &Path, length: u64) -> Option<File> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let kind = entry.metadata().ok()?;
        if kind.is_dir() {
            return file_of(&entry.path(), length);
        }
        let found = kind.is_file() && kind.len() >= length;
        found.then(|| File::options().write(true).open(entry.path()).ok())?
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_all_sizes_on_one_connection_have_the_exact_bytes() {
    let victim = Victim::start();
    let blob = noise(1, 5_000_001);
    victim.session.push_blob(REPOSITORY, &blob).await;
    let whole = 0..blob.len();
    // Around the sizes at which the way of the bytes changes.
    let edges = [
        1,
        4_095,
        65_535,
        65_536,
        65_537,
        262_145,
        1 << 20,
        (1 << 20) + 1,
    ];
    let ranges: Vec<_> = edges
        .into_iter()
        .flat_map(|length| [0, 1, 70_001, blob.len() - length].map(|start| start..start + length))
        .chain([whole.clone(), 3..blob.len(), whole])
        .collect();

    let mut raw = Raw::open(&victim.server);
    for together in ranges.chunks(5) {
        // Some requests at once, with one of another kind behind each.
        let requests = together.iter().map(|range| {
            let line = format!("Range: bytes={}-{}", range.start, range.end - 1);
            [
                head("GET", &path(&blob), &[&line]),
                head("GET", &format!("/v2/{REPOSITORY}/tags/list"), &[]),
            ]
            .concat()
        });
        assert!(raw.send(&requests.collect::<Vec<_>>().concat()));
        for range in together {
            let answer = raw.answer().expect("an answer");
            let length = range.len().to_string();
            assert_eq!(
                (answer.status, answer.header("content-length")),
                (206, Some(&*length))
            );
            assert!(answer.body == blob[range.clone()], "{range:?}");
            assert_ne!(raw.answer().expect("an answer").status, 206);
        }
    }
    assert!(raw.send(&head("GET", &path(&blob), &[])));
    assert!(raw.answer().expect("an answer").body == blob);

    // HTTP/2 goes another way.
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .expect("a client");
    let request = client
        .get(format!("{}{}", victim.server.url, path(&blob)))
        .basic_auth("admin", Some(crate::server::PASSWORD));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    assert!(answer.bytes().await.expect("a body") == blob);
    victim.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_shrinks_while_it_is_sent_ends_that_answer_and_no_other() {
    let victim = Victim::start();
    let (blob, other) = (noise(1, ENDLESS), noise(2, 3_000_000));
    victim.session.push_blob(REPOSITORY, &blob).await;
    victim.session.push_blob(REPOSITORY, &other).await;
    let mut reader = Raw::open(&victim.server);
    let mut bystander = Raw::open(&victim.server);
    assert!(bystander.send(&head("GET", &path(&other), &[])));
    assert!(bystander.answer().expect("an answer").body == other);

    assert!(reader.send(&head("GET", &path(&blob), &[])));
    reader.until_begun();
    let file = file_of(&victim.server.data.join("blobs/blobs"), ENDLESS as u64);
    file.expect("the blob's file")
        .set_len(0)
        .expect("truncated");
    let received = reader.until_closed();
    assert!(received.len() < ENDLESS, "bytes that are not there came");
    let start = received.windows(4).position(|four| four == b"\r\n\r\n");
    let body = &received[start.expect("a head") + 4..];
    assert!(blob.starts_with(body), "other bytes than the blob's came");

    assert!(bystander.send(&head("GET", &path(&other), &[])));
    assert!(bystander.answer().expect("an answer").body == other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_it_sends_has_sent_a_part_of_the_blob() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let blob = noise(1, ENDLESS);
    Session::of(&server).push_blob(REPOSITORY, &blob).await;
    let mut raw = Raw::open(&server);
    assert!(raw.send(&head("GET", &path(&blob), &[])));
    let answer = std::thread::spawn(move || raw.until_closed());
    server.kill();
    let received = answer.join().expect("no panic");
    if let Some(start) = received.windows(4).position(|four| four == b"\r\n\r\n") {
        assert!(blob.starts_with(&received[start + 4..]), "other bytes came");
    }

    let server = Server::start(&data);
    let answer = Session::of(&server).get(&path(&blob)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.bytes().await.expect("a body") == blob);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stop_are_cut_off_and_let_go_of_the_file() {
    let options = Options::default().set("LANDFALL_SERVER_PROGRESS_TIMEOUT", "1s");
    let victim = Victim::start_with(options);
    let blob = noise(1, ENDLESS);
    victim.session.push_blob(REPOSITORY, &blob).await;
    let mut readers: Vec<_> = (0..5).map(|_| Raw::open(&victim.server)).collect();
    for reader in &mut readers {
        assert!(reader.send(&head("GET", &path(&blob), &[])));
    }
    victim
        .wait_for("landfall_connections", |open| open <= 1.0)
        .await;
    let open = std::fs::read_dir(format!("/proc/{}/fd", victim.server.pid())).expect("its files");
    let blobs = open
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter(|file| file.to_string_lossy().contains("/blobs/sha256/"))
        .count();
    assert_eq!(blobs, 0, "files of blobs are still open");
    for mut reader in readers {
        assert!(reader.until_closed().len() < ENDLESS);
    }
}
