//! Several servers on one database and one bucket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use super::shared;
use crate::{
    backends::Backends,
    server::{Options, Server},
    session::{Image, MANIFEST, Session, digest, noise},
};

/// Two servers; the folders hold nothing that matters.
struct Pair {
    directory: TempDir,
    servers: [Server; 2],
    sessions: [Session; 2],
}

impl Pair {
    fn start(change: impl Fn(Options) -> Options) -> Self {
        let directory = tempfile::tempdir().expect("scratch directory");
        let options = change(shared(&Backends::services()));
        // Both at once, as an orchestrator starts them.
        let servers = std::thread::scope(|scope| {
            ["one", "two"]
                .map(|name| {
                    let data = directory.path().join(name);
                    let options = &options;
                    scope.spawn(move || Server::start_with(&data, options))
                })
                .map(|thread| thread.join().expect("it starts"))
        });
        let sessions = servers.each_ref().map(Session::of);
        Self {
            directory,
            servers,
            sessions,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_to_one_is_at_once_on_the_other() {
    let pair = Pair::start(|options| options);
    let [one, two] = &pair.sessions;
    let (old, new) = (Image::new(1, 2), Image::new(1, 3));
    one.push("acme/web", "latest", &old).await;
    two.assert_pulls("acme/web", "latest", &old).await;
    two.push("acme/web", "next", &new).await;
    // A tag moves back and forth: no answer after the move is the old one.
    for round in 0..30 {
        let (mover, reader) = if round % 2 == 0 {
            (one, two)
        } else {
            (two, one)
        };
        let image = if round % 3 == 0 { &new } else { &old };
        mover
            .push_manifest("acme/web", "latest", MANIFEST, &image.manifest)
            .await;
        let read = reader.get("/v2/acme/web/manifests/latest").await;
        assert_eq!(
            read.bytes().await.expect("manifest"),
            image.manifest,
            "{round}"
        );
    }
    // Deleted on one, gone on the other.
    let path = format!("/v2/acme/web/manifests/{}", new.digest());
    let deleted = one.request(Method::DELETE, &path).send().await;
    assert_eq!(deleted.expect("answer").status(), StatusCode::ACCEPTED);
    assert_eq!(two.get(&path).await.status(), StatusCode::NOT_FOUND);
    let _ = &pair.directory;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_is_good_on_the_other() {
    let pair = Pair::start(|options| options);
    let [one, two] = &pair.sessions;
    one.push("acme/web", "v1", &Image::new(1, 2)).await;
    let token = one.token(&["repository:acme/web:pull"]).await;
    let request = two.anonymous(Method::GET, "/v2/acme/web/manifests/v1");
    let answer = request.bearer_auth(&token).send().await.expect("answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let _ = &pair.servers;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_from_server_to_server() {
    let pair = Pair::start(|options| options);
    for (seed, chunk) in [(1, 3_000), (2, 700_000), (3, 6_000_000)] {
        let blob = noise(seed, chunk * 5 + 17);
        let start = pair.sessions[0].request(Method::POST, "/v2/acme/web/blobs/uploads/");
        let start = start.send().await.expect("answer");
        assert_eq!(start.status(), StatusCode::ACCEPTED);
        let location = start.headers()["location"]
            .to_str()
            .expect("a path")
            .to_owned();
        let path = location[location.find("/v2/").expect("a path")..].to_owned();
        let mut offset = 0;
        for (number, part) in blob.chunks(chunk).enumerate() {
            let session = &pair.sessions[number % 2];
            let end = offset + part.len() - 1;
            let sent = session
                .request(Method::PATCH, &path)
                .header("content-range", format!("{offset}-{end}"))
                .body(part.to_vec());
            let sent = sent.send().await.expect("answer");
            assert_eq!(sent.status(), StatusCode::ACCEPTED, "chunk {number}");
            // What was taken already is refused, on the other server too.
            let again = pair.sessions[(number + 1) % 2]
                .request(Method::PATCH, &path)
                .header("content-range", format!("{offset}-{end}"))
                .body(part.to_vec());
            let again = again.send().await.expect("answer");
            assert_eq!(again.status(), StatusCode::RANGE_NOT_SATISFIABLE);
            offset += part.len();
        }
        let ended = pair.sessions[1]
            .request(Method::PUT, &format!("{path}?digest={}", digest(&blob)))
            .send();
        assert_eq!(ended.await.expect("answer").status(), StatusCode::CREATED);
        for session in &pair.sessions {
            let pulled = session
                .get(&format!("/v2/acme/web/blobs/{}", digest(&blob)))
                .await;
            assert!(pulled.bytes().await.expect("bytes") == blob, "other bytes");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_collects_while_the_other_takes_pushes_and_both_tell_of_it() {
    let pair = Pair::start(|options| {
        options
            .set("LANDFALL_GC_TRASH_DELAY", "0s")
            .set("LANDFALL_REGISTRY_UNDO_WINDOW", "0s")
    });
    let [one, two] = pair.sessions.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let (pushing, stopped) = (two.clone(), Arc::clone(&stop));
    let pushes = tokio::spawn(async move {
        let mut number = 0;
        while !stopped.load(Ordering::SeqCst) {
            number += 1;
            let image = Image::new(number % 3, number);
            pushing.push("acme/web", "moving", &image).await;
            pushing
                .push("acme/web", &format!("v{number}"), &image)
                .await;
        }
        number
    });
    let mut runs = Vec::new();
    let since = Instant::now();
    while runs.len() < 6 && since.elapsed() < Duration::from_secs(40) {
        let body = json!({ "dry_run": false, "grace_seconds": 600 });
        let started = one
            .request(Method::POST, "/api/v1/gc/runs")
            .json(&body)
            .send();
        let started = started.await.expect("answer");
        assert_eq!(started.status(), StatusCode::ACCEPTED);
        let run: serde_json::Value = started.json().await.expect("JSON");
        let path = format!("/api/v1/gc/runs/{}", run["id"].as_str().expect("an id"));
        // Watched on the other server, to its end.
        loop {
            let seen = two.json(&path).await;
            if !seen["ended"].is_null() {
                assert_eq!(seen["phase"], "done", "{seen}");
                runs.push(seen["id"].clone());
                break;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{seen}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    let last = pushes.await.expect("no push failed");
    for number in 1..=last {
        let image = Image::new(number % 3, number);
        one.assert_pulls("acme/web", &format!("v{number}"), &image)
            .await;
    }
    let listed = two.json("/api/v1/gc/runs").await;
    let listed: Vec<_> = listed["items"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| run["id"].clone())
        .collect();
    runs.reverse();
    assert_eq!(listed, runs);
    let fsck = pair.servers[1].landfall(["fsck"]);
    assert!(
        fsck.status.success(),
        "{}",
        String::from_utf8_lossy(&fsck.stdout)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_dies_the_other_goes_on() {
    let pair = Pair::start(|options| options);
    let Pair {
        servers: [first, second],
        sessions: [one, two],
        directory: _directory,
    } = pair;
    one.push("acme/web", "v1", &Image::new(1, 2)).await;
    let start = one
        .request(Method::POST, "/v2/acme/web/blobs/uploads/")
        .send();
    let start = start.await.expect("answer");
    let location = start.headers()["location"]
        .to_str()
        .expect("a path")
        .to_owned();
    let path = location[location.find("/v2/").expect("a path")..].to_owned();
    let blob = noise(9, 6_500_000);
    let sent = one
        .request(Method::PATCH, &path)
        .body(blob[..6_000_000].to_vec());
    assert_eq!(
        sent.send().await.expect("answer").status(),
        StatusCode::ACCEPTED
    );
    first.kill();
    two.assert_pulls("acme/web", "v1", &Image::new(1, 2)).await;
    two.push("acme/web", "v2", &Image::new(1, 3)).await;
    let ended = two
        .request(Method::PUT, &format!("{path}?digest={}", digest(&blob)))
        .body(blob[6_000_000..].to_vec());
    assert_eq!(
        ended.send().await.expect("answer").status(),
        StatusCode::CREATED
    );
    let pulled = two
        .get(&format!("/v2/acme/web/blobs/{}", digest(&blob)))
        .await;
    assert!(pulled.bytes().await.expect("bytes") == blob, "other bytes");
    let fsck = second.landfall(["fsck"]);
    assert!(
        fsck.status.success(),
        "{}",
        String::from_utf8_lossy(&fsck.stdout)
    );
}
