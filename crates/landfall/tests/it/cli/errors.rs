//! What goes wrong is told in one line, with a way out.

use std::process::Stdio;

use super::{Ran, World, alone, landfall};
use crate::session::Image;

fn assert_says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn without_a_server_it_tells_how_to_start_one() {
    let error = alone(&["repo", "list", "--server", "http://127.0.0.1:1"]).error();
    assert_says(
        &error,
        &[
            "no server answers at http://127.0.0.1:1",
            "`landfall serve`",
        ],
    );
    assert_says(&error, &["`--server`"]);
    let error = alone(&["repo", "list", "--server", "http://"]).error();
    assert_says(&error, &["`http://`", "URL"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_password_or_with_a_wrong_one_it_names_the_variables() {
    let world = World::start();
    let url = world.server.url.as_str();
    let error = alone(&["repo", "list", "--server", url]).error();
    assert_says(&error, &["authentication is required", "LANDFALL_PASSWORD"]);
    let words = ["repo", "list", "--server", url, "--password", "wrong"];
    assert_says(
        &alone(&words).error(),
        &["LANDFALL_USER", "LANDFALL_PASSWORD"],
    );
    // The scheme may be left out.
    let host = world.server.host();
    let password = crate::server::PASSWORD;
    let words = [
        "repo",
        "list",
        "--server",
        host,
        "--password",
        password,
        "-o",
        "json",
    ];
    assert_eq!(alone(&words).ok(), "[]\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let world = World::start();
    world
        .session
        .push("acme/web", "v1", &Image::new(1, 2))
        .await;
    let repository = "repository `acme/none` is not known to this registry";
    for words in [
        &["repo", "show", "acme/none"][..],
        &["repo", "delete", "--yes", "acme/none"],
        &["image", "list", "acme/none"],
    ] {
        assert_eq!(world.run(words).error(), repository, "{words:?}");
    }
    for words in [
        &["image", "show", "acme/web:v2"][..],
        &["image", "tree", "acme/web:v2"],
        &["image", "history", "acme/web:v2"],
        &["image", "delete", "acme/web:v2"],
    ] {
        let expected = "manifest `v2` is not known to this repository";
        assert_eq!(world.run(words).error(), expected, "{words:?}");
    }
    let error = world.run(&["repo", "create", "acme/web"]).error();
    assert_eq!(error, "repository `acme/web` exists already");
    let error = world
        .run(&["image", "show", "example.com/acme/web:v1"])
        .error();
    assert_says(&error, &["`example.com`", "`--server`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_not_deleted_by_accident() {
    let world = World::start();
    world
        .session
        .push("acme/web", "v1", &Image::new(1, 2))
        .await;
    let mut command = landfall(&["repo", "delete", "acme/web"]);
    command.env("LANDFALL_SERVER", &world.server.url);
    command
        .env("LANDFALL_PASSWORD", crate::server::PASSWORD)
        .stdin(Stdio::null());
    let ran: Ran = command.output().expect("the program runs").into();
    assert_says(&ran.error(), &["everything in it", "`--yes`"]);
    world.run(&["repo", "show", "acme/web"]).ok();
}

#[test]
fn what_is_not_understood_ends_with_2_and_points_at_the_help() {
    for words in [
        &["repo", "show", "web"][..],
        &["repo", "show"],
        &["repo", "shwo", "acme/web"],
        &["image", "show", "acme/web:-"],
        &["image", "show", "acme/web@sha256:12"],
        &["gc", "run", "--grace", "soon"],
        &["repo", "list", "--output", "yaml"],
        &["completions", "basic"],
        &["frobnicate"],
    ] {
        let ran = alone(words);
        assert_eq!(ran.code, 2, "{words:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{words:?}");
        assert!(
            ran.stderr.starts_with("error: "),
            "{words:?}: {}",
            ran.stderr
        );
        assert_says(&ran.stderr, &["try '--help'"]);
    }
    assert_says(
        &alone(&["repo", "show", "web"]).stderr,
        &["`<account>/<repository>`"],
    );
    assert_says(&alone(&["repo", "shwo", "acme/web"]).stderr, &["'show'"]);
    assert_says(&alone(&["gc", "run", "--grace", "soon"]).stderr, &["`5m`"]);
}

#[test]
fn settings_that_are_not_known_are_refused_with_a_suggestion() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let data = directory.path().join("data").display().to_string();
    let file = directory.path().join("landfall.toml");
    std::fs::write(&file, "[registry]\nanonymus_pull = true\n").expect("writable");
    let file = file.display().to_string();
    let words = [
        "serve",
        "--data",
        &data,
        "--listen",
        "127.0.0.1:0",
        "--config",
        &file,
    ];
    assert_says(
        &alone(&words).error(),
        &["`registry.anonymus_pull`", "`registry.anonymous_pull`"],
    );
    let words = ["serve", "--data", &data, "--listen", "nowhere"];
    assert_says(&alone(&words).error(), &["nowhere", "`HOST:PORT`"]);
    let words = [
        "serve",
        "--data",
        "/dev/null/data",
        "--listen",
        "127.0.0.1:0",
    ];
    assert_says(&alone(&words).error(), &["`/dev/null/data` can't be made"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_finds_problems_ends_with_1_and_the_repair_heals_with_the_next_push() {
    let world = World::start();
    let image = Image::new(1, 2);
    world.session.push("acme/web", "v1", &image).await;
    let blobs = world.server.data.join("blobs/blobs/sha256");
    let hex = crate::session::digest(&image.layers[0]).hex();
    let folder = std::fs::read_dir(blobs.join(&hex[..2])).expect("its folder");
    let path = folder
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.to_string_lossy().contains(&hex));
    std::fs::write(path.expect("its file"), vec![7; 3000]).expect("writable");

    let ran = world.run(&["fsck"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_says(&ran.stdout, &[&hex, "problems   1"]);
    assert_says(&ran.stderr, &["`landfall fsck --repair`"]);
    assert_eq!(world.run(&["fsck", "--quick"]).code, 0, "the size is right");
    let ran = world.run(&["fsck", "--repair", "--output", "json"]);
    assert_eq!(ran.code, 1, "what was found was a problem, repaired or not");
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(report["report"]["repaired"], 1);
    world.session.push("acme/web", "v1", &image).await;
    assert_eq!(world.run(&["fsck"]).code, 0);
}
