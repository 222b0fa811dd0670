//! What can be wrong when a server starts: one sentence each, and exit status 1.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use landfall_services::{postgres, s3};

use super::shared;
use crate::{
    backends::Backends,
    server::{Options, Server},
};

/// The last line of a start that has to fail.
fn refused(data: &Path, options: &Options) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .env("LANDFALL_ADMIN_PASSWORD", "a secret")
        .envs(
            options
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{errors}");
    assert!(
        ran.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&ran.stdout)
    );
    let last = errors.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("error: "), "{errors}");
    last
}

#[track_caller]
fn assert_says(sentence: &str, words: &[&str]) {
    for word in words {
        assert!(sentence.contains(word), "{word} is not in: {sentence}");
    }
    for secret in ["hunter2", "landfall-secret", ":test@"] {
        assert!(!sentence.contains(secret), "{sentence}");
    }
}

#[test]
fn a_database_that_cant_be_used_is_told_with_the_way_out() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let data = directory.path().join("data");
    let url = postgres::fresh().to_string();
    let with = |url: &str| refused(&data, &Options::default().set("LANDFALL_DATABASE_URL", url));
    let wrong = url.replace(":test@", ":hunter2@");
    assert_says(&with(&wrong), &["refuses the password of `landfall`"]);
    let (server, _) = url.rsplit_once('/').expect("a URL");
    assert_says(
        &with(&format!("{server}/nowhere")),
        &["there is no database `nowhere`", "createdb"],
    );
    assert_says(
        &with("postgres://landfall:hunter2@127.0.0.1:1/landfall"),
        &["can't be reached", "127.0.0.1:1", "check that it runs"],
    );
    assert_says(
        &with("postgres://landfall:hunter2@127.0.0.1:1/landfall?shards=3"),
        &["`shards`"],
    );
    assert_says(
        &with("mysql://landfall:hunter2@db/landfall"),
        &["`database.url`", "LANDFALL_DATABASE_URL", "`postgres://"],
    );
}

#[test]
fn a_bucket_that_cant_be_used_is_told_with_the_way_out() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let data = directory.path().join("data");
    let with = |change: &dyn Fn(&mut s3::S3Target)| {
        let mut bucket = s3::bucket();
        change(&mut bucket);
        let backends = Backends {
            bucket: Some(bucket),
            ..Backends::postgres()
        };
        refused(&data, &shared(&backends))
    };
    assert_says(
        &with(&|bucket| bucket.bucket = "nowhere".to_owned()),
        &["there is no bucket `nowhere`"],
    );
    assert_says(
        &with(&|bucket| bucket.secret = "hunter2".to_owned()),
        &[
            "the secret of the access key is wrong",
            "AWS_SECRET_ACCESS_KEY",
        ],
    );
    assert_says(
        &with(&|bucket| bucket.key = "nobody".to_owned()),
        &["the blob store can't be used", "AWS_ACCESS_KEY_ID"],
    );
    assert_says(
        &with(&|bucket| *bucket = bucket.as_stranger()),
        &["the blob store can't be used"],
    );
    assert_says(
        &with(&|bucket| bucket.endpoint = "http://127.0.0.1:1".to_owned()),
        &["the blob store does not answer"],
    );
}

#[test]
fn a_bucket_of_another_database_is_refused() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let data = directory.path().join("data");
    let first = Backends::services();
    assert!(Server::start_with(&data, &shared(&first)).stop());
    let second = Backends {
        bucket: first.bucket.clone(),
        ..Backends::postgres()
    };
    assert_says(
        &refused(&data, &shared(&second)),
        &[
            "the blob store belongs to store",
            "the metadata database is new",
        ],
    );
    let third = Backends::services();
    assert!(Server::start_with(&data, &shared(&third)).stop());
    let crossed = Backends {
        bucket: third.bucket,
        ..first
    };
    assert_says(
        &refused(&data, &shared(&crossed)),
        &[
            "the blob store belongs to store",
            "the metadata database to store",
        ],
    );
    // A SQLite database that has its own store already.
    let embedded = directory.path().join("embedded");
    assert!(Server::start(&embedded).stop());
    let mut options = shared(&crossed);
    options
        .environment
        .retain(|(name, _)| name != "LANDFALL_DATABASE_URL" && name != "LANDFALL_MASTER_KEY");
    assert_says(
        &refused(&embedded, &options),
        &["the blob store belongs to store"],
    );
}

#[test]
fn another_master_key_than_the_databases_is_refused() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let data = directory.path().join("data");
    let backends = Backends::services();
    assert!(Server::start_with(&data, &shared(&backends)).stop());
    let other = Options::default()
        .on(&backends)
        .set("LANDFALL_MASTER_KEY", &"ab".repeat(32));
    assert_says(
        &refused(&data, &other),
        &["sealed under the master key", "this server has"],
    );
    let none = Options::default().on(&backends);
    assert_says(
        &refused(&data, &none),
        &[
            "sealed under the master key",
            "keys/master` is not there",
            "copy it",
        ],
    );
    assert!(
        !data.join("keys/master").exists(),
        "a key of no use was made"
    );
    let bad = Options::default()
        .on(&backends)
        .set("LANDFALL_MASTER_KEY", "hunter2");
    assert_says(
        &refused(&data, &bad),
        &["`LANDFALL_MASTER_KEY` is no master key"],
    );
}

#[test]
fn a_master_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("scratch directory");
    let data = directory.path().join("data");
    assert!(Server::start(&data).stop());
    let key = data.join("keys/master");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("mode");
    assert_says(
        &refused(&data, &Options::default()),
        &["is open to others", "chmod 600"],
    );
}
