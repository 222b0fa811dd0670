//! `/api/v1/gc`, `/api/v1/fsck`, `/api/v1/store` and `/api/v1/backups`.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{World, items, problem};
use crate::session::{Image, digest};

/// Starts a run and waits for its end.
async fn run(world: &World, kind: &str, body: &Value) -> Value {
    let path = format!("/api/v1/{kind}/runs");
    let started = world.post(&path, body).await;
    assert_eq!(started.status(), StatusCode::ACCEPTED);
    let mut run: Value = started.json().await.expect("JSON");
    let id = run["id"].as_str().expect("an id").to_owned();
    for _ in 0..600 {
        if run["ended"].is_string() {
            assert!(run.get("error").is_none(), "{run}");
            return run;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        run = world.session.json(&format!("{path}/{id}")).await;
    }
    panic!("the run does not end: {run}");
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("entry").path());
    let below = entries.flat_map(|path| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    });
    below.collect()
}

#[tokio::test]
async fn a_collection_tells_what_it_would_free_and_then_frees_it() {
    let world = World::start();
    let (kept, gone) = (Image::new(1, 2), Image::new(1, 3));
    world.session.push("admin/web", "kept", &kept).await;
    world.session.push("admin/web", "gone", &gone).await;
    let path = "/api/v1/repositories/admin%2Fweb/images/gone?purge=true";
    assert_eq!(
        world.call(Method::DELETE, path).await.status(),
        StatusCode::OK
    );
    let before = world.session.json("/api/v1/store").await;
    // The second push of the shared layer has left its own bytes.
    assert_eq!(
        [&before["blobs"], &before["trash"], &before["trash_bytes"]],
        [5, 1, 3000]
    );

    let dry = run(
        &world,
        "gc",
        &json!({ "dry_run": true, "grace_seconds": 0 }),
    )
    .await;
    assert_eq!(
        [&dry["dry_run"], &dry["phase"]],
        [&json!(true), &json!("done")]
    );
    assert_eq!(
        world.session.json("/api/v1/store").await,
        before,
        "a dry run changed something"
    );

    let wet = run(&world, "gc", &json!({ "grace_seconds": 0 })).await;
    let freed = 500 + gone.config.len();
    assert_eq!(wet["report"]["blobs"], 2);
    assert_eq!(wet["report"]["bytes"], freed);
    assert_eq!(wet["report"]["freed_bytes"], freed + 3000);
    assert_eq!(dry["report"]["blobs"], wet["report"]["blobs"]);
    let after = world.session.json("/api/v1/store").await;
    assert_eq!([&after["blobs"], &after["trash"]], [3, 0]);
    world.session.assert_pulls("admin/web", "kept", &kept).await;
    assert_eq!(files(&world.server.data.join("blobs/blobs")).len(), 3);

    let runs = world.session.json("/api/v1/gc/runs").await;
    let listed: Vec<_> = items(&runs).iter().map(|each| &each["id"]).collect();
    assert_eq!(listed, [&wet["id"], &dry["id"]], "newest first");
}

#[tokio::test]
async fn a_check_finds_damage_and_the_next_push_heals_it() {
    let world = World::start();
    let image = Image::new(1, 2);
    world.session.push("admin/web", "v1", &image).await;
    let clean = run(&world, "fsck", &json!({})).await;
    assert_eq!(clean["report"]["clean"], true);
    assert_eq!(
        [&clean["report"]["blobs"], &clean["report"]["manifests"]],
        [3, 1]
    );
    assert_eq!(clean["report"]["problems"], json!([]));

    // Flip one bit of a layer, and take another away.
    let path_of = |bytes: &[u8]| {
        let hex = digest(bytes).hex();
        let all = files(&world.server.data.join("blobs/blobs"));
        all.into_iter()
            .find(|path| path.to_string_lossy().contains(&hex))
            .expect("its file")
    };
    let mut wrong = image.layers[0].clone();
    wrong[1234] ^= 1;
    fs::write(path_of(&image.layers[0]), wrong).expect("writable");
    fs::remove_file(path_of(&image.layers[1])).expect("there");

    let quick = run(&world, "fsck", &json!({ "quick": true })).await;
    assert_eq!(
        quick["report"]["problem_count"], 1,
        "sizes alone tell of one"
    );
    let whole = run(&world, "fsck", &json!({ "repair": true })).await;
    assert_eq!(whole["report"]["clean"], false);
    let problems = whole["report"]["problems"].as_array().expect("a list");
    let mut kinds: Vec<_> = problems.iter().map(|each| each["kind"].as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [Some("blob-corrupt"), Some("blob-missing")]);
    for (problem, layer) in problems.iter().zip(&image.layers) {
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(
            image
                .layers
                .iter()
                .any(|each| detail.contains(&digest(each).to_string()))
        );
        let path = format!("/v2/admin/web/blobs/{}", digest(layer));
        assert_eq!(
            world.call(Method::HEAD, &path).await.status(),
            StatusCode::NOT_FOUND
        );
    }
    world.session.push("admin/web", "v1", &image).await;
    world.session.assert_pulls("admin/web", "v1", &image).await;
    assert_eq!(
        run(&world, "fsck", &json!({})).await["report"]["clean"],
        true
    );
}

#[tokio::test]
async fn a_run_that_is_not_known_or_not_understood_is_refused() {
    let world = World::start();
    for kind in ["gc", "fsck"] {
        let path = format!("/api/v1/{kind}/runs");
        assert_eq!(world.session.json(&path).await, json!({ "items": [] }));
        problem(
            world.post(&path, &json!({ "force": true })).await,
            422,
            "invalid-request",
        )
        .await;
        problem(
            world.call(Method::POST, &path).await,
            415,
            "invalid-request",
        )
        .await;
        let unknown = format!("{path}/01234567-89ab-7cde-8f01-23456789abcd");
        problem(world.call(Method::GET, &unknown).await, 404, "not-found").await;
        problem(
            world.call(Method::GET, &format!("{path}/first")).await,
            400,
            "invalid-request",
        )
        .await;
    }
    let negative = json!({ "grace_seconds": -1 });
    problem(
        world.post("/api/v1/gc/runs", &negative).await,
        422,
        "invalid-request",
    )
    .await;
}

#[tokio::test]
async fn the_store_counts_each_blob_once_and_has_one_identity() {
    let world = World::start();
    let empty = world.session.json("/api/v1/store").await;
    assert_eq!(
        [
            &empty["blobs"],
            &empty["bytes"],
            &empty["damaged"],
            &empty["trash"]
        ],
        [0; 4]
    );
    let image = Image::new(1, 2);
    for repository in ["admin/one", "admin/two", "other/three"] {
        world.session.push(repository, "v1", &image).await;
    }
    let full = world.session.json("/api/v1/store").await;
    assert_eq!(full["id"], empty["id"]);
    assert_eq!(full["blobs"], 3);
    assert_eq!(full["bytes"], 3500 + image.config.len());
    let marker = fs::read_to_string(world.server.data.join("blobs/store-id")).expect("the marker");
    assert!(
        marker.contains(full["id"].as_str().expect("an id")),
        "{marker}"
    );
}

#[tokio::test]
async fn a_backup_is_an_archive_of_a_description_and_the_database() {
    let world = World::start();
    world
        .session
        .push("admin/web", "v1", &Image::new(1, 2))
        .await;
    let answer = world.call(Method::POST, "/api/v1/backups").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/x-tar");
    let name = answer.headers()["content-disposition"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(
        name.starts_with("attachment; filename=\"landfall-"),
        "{name}"
    );
    let size = answer.content_length();
    let bytes = answer.bytes().await.expect("an archive");
    assert_eq!(size, Some(bytes.len() as u64));
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut found = Vec::new();
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its content");
        found.push((entry.path().expect("a path").display().to_string(), content));
    }
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["landfall-backup.json", "metadata.sqlite"]);
    let description: Value = serde_json::from_slice(&found[0].1).expect("JSON");
    let store = world.session.json("/api/v1/store").await;
    assert_eq!(description["format"], 1);
    assert_eq!(description["store"], store["id"]);
    assert!(found[1].1.starts_with(b"SQLite format 3\0"));
    assert_eq!(
        files(&world.server.data.join("scratch")),
        Vec::<PathBuf>::new()
    );
}
