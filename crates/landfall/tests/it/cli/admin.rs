//! `landfall admin reset-password`, beside a server that runs.

use std::{io::Write, process::Stdio};

use reqwest::{Method, StatusCode};

use super::{Ran, World, alone, landfall};

/// Runs it on the data folder of a server, with something on standard input.
fn reset(world: &World, words: &[&str], input: &str) -> Ran {
    let data = world.server.data.display().to_string();
    let mut all = vec!["admin", "reset-password", "--data", &data];
    all.extend(words);
    let mut child = landfall(&all)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A program that reads nothing may have ended.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends").into()
}

async fn status(world: &World, password: &str) -> StatusCode {
    let request = world.session.anonymous(Method::GET, "/v2/");
    let request = request.basic_auth("admin", Some(password));
    request.send().await.expect("an answer").status()
}

#[tokio::test]
async fn a_lost_password_is_replaced_while_the_server_runs() {
    let world = World::start();
    let told = reset(&world, &[], "").ok();
    let password = told.trim_end();
    assert_eq!(password.len(), 24, "{told}");
    assert_eq!(status(&world, password).await, StatusCode::OK);
    let given = reset(&world, &["--password-stdin"], "of my own\n");
    assert_eq!(given.ok(), "", "a password that was given is not printed");
    assert_eq!(status(&world, password).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&world, "of my own").await, StatusCode::OK);
    let json = reset(&world, &["--output", "json"], "").json();
    let password = json["password"].as_str().expect("a password");
    assert_eq!(status(&world, password).await, StatusCode::OK);
}

#[tokio::test]
async fn a_reset_says_what_is_wrong_and_makes_nothing() {
    let world = World::start();
    let unknown = reset(&world, &["acme/nobody"], "").error();
    assert_eq!(unknown, "there is no principal `acme/nobody`");
    let empty = reset(&world, &["--password-stdin"], "").error();
    assert!(empty.contains("no password on standard input"), "{empty}");
    let folder = world.directory.path().join("elsewhere");
    let data = folder.display().to_string();
    let elsewhere = alone(&["admin", "reset-password", "--data", &data]).error();
    assert!(elsewhere.contains("no metadata database"), "{elsewhere}");
    assert!(!folder.exists(), "it made something");
}
