//! A backup of one kind of database is restored into the other.

use std::process::Command;

use reqwest::Method;
use serde_json::json;

use super::{MASTER_KEY, shared};
use crate::{
    backends::Backends,
    server::{Options, Server},
    session::{Image, Session},
};

fn restore(words: &[&str], options: &Options) -> (Option<i32>, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_landfall"))
        .arg("restore")
        .args(words)
        .envs(
            options
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .output()
        .expect("the program runs");
    let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
    (ran.status.code(), errors)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_moves_from_sqlite_to_postgres_and_back() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let path = |name: &str| directory.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    let key = Options::default().set("LANDFALL_MASTER_KEY", MASTER_KEY);
    let blobs = format!("file://{}", path("data").join("blobs").display());

    let server = Server::start_with(&path("data"), &key);
    let session = Session::of(&server);
    session.push("acme/web", "v1", &Image::new(1, 2)).await;
    session.push("acme/other", "v1", &Image::new(1, 3)).await;
    let token = session.token(&["repository:acme/web:pull"]).await;
    assert!(
        server
            .landfall(["backup", &text("first.tar")])
            .status
            .success()
    );
    assert!(server.stop(), "the server did not end well");

    let backends = Backends::postgres();
    let on_postgres = shared(&backends)
        .set("LANDFALL_BLOBS_URL", &blobs)
        .set("LANDFALL_EGRESS_ALLOW", "127.0.0.1");
    let (data, file) = (text("moved"), text("first.tar"));
    let (code, errors) = restore(&["--data", &data, &file], &on_postgres);
    assert_eq!(code, Some(0), "{errors}");
    let server = Server::start_with(&path("moved"), &on_postgres);
    let session = Session::of(&server);
    session
        .assert_pulls("acme/web", "v1", &Image::new(1, 2))
        .await;
    session
        .assert_pulls("acme/other", "v1", &Image::new(1, 3))
        .await;
    let request = session.anonymous(reqwest::Method::GET, "/v2/acme/web/manifests/v1");
    let answer = request.bearer_auth(token).send().await.expect("answer");
    assert_eq!(answer.status(), 200, "a token from before the move");
    session.push("acme/web", "v2", &Image::new(1, 4)).await;
    let fsck = server.landfall(["fsck"]);
    assert!(
        fsck.status.success(),
        "{}",
        String::from_utf8_lossy(&fsck.stdout)
    );

    let made = session
        .request(Method::POST, "/api/v1/webhooks")
        .json(&json!({ "url": "http://127.0.0.1:9/" }))
        .send()
        .await
        .expect("an answer");
    assert_eq!(made.status(), 201);

    // What is there is not replaced.
    assert!(
        server
            .landfall(["backup", &text("second.tar")])
            .status
            .success()
    );
    assert!(server.stop(), "the server did not end well");
    let (code, errors) = restore(&["--data", &data, &file], &on_postgres);
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("the metadata database is not empty"),
        "{errors}"
    );

    // And back, without the master key.
    let (data, file) = (text("back"), text("second.tar"));
    let (code, errors) = restore(&["--data", &data, &file], &Options::default());
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("or do without those secrets by `--forget-secrets`"),
        "{errors}"
    );
    assert!(!path("back").join("landfall.db").exists());
    let (code, errors) = restore(
        &["--data", &data, "--forget-secrets", &file],
        &Options::default(),
    );
    assert_eq!(code, Some(0), "{errors}");
    let embedded = Options::default().set("LANDFALL_BLOBS_URL", &blobs);
    let server = Server::start_with(&path("back"), &embedded);
    let session = Session::of(&server);
    session
        .assert_pulls("acme/web", "v2", &Image::new(1, 4))
        .await;
    session
        .assert_pulls("acme/other", "v1", &Image::new(1, 3))
        .await;
    let webhooks = session.json("/api/v1/webhooks").await;
    let webhook = &webhooks["items"][0];
    assert_eq!(webhook["enabled"], false);
    assert_eq!(
        webhook["disabled_because"],
        "its secret was not in the backup; rotate it"
    );
    let fsck = server.landfall(["fsck"]);
    assert!(
        fsck.status.success(),
        "{}",
        String::from_utf8_lossy(&fsck.stdout)
    );
}
