//! Starting and stopping.

use reqwest::{Method, StatusCode};

use crate::server::{Options, Server};

#[tokio::test]
async fn a_first_start_makes_everything_and_a_second_finds_it() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let data = directory.path().join("data");
    for _ in 0..2 {
        let server = Server::start(&data);
        let base = server
            .request(Method::GET, "/v2/")
            .send()
            .await
            .expect("answer");
        assert_eq!(base.status(), StatusCode::OK);
        assert!(server.stop(), "the server did not end well");
    }
}

#[test]
fn a_second_server_on_the_same_data_is_refused_with_one_sentence() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let data = directory.path().join("data");
    let _first = Server::start(&data);
    let second = Server::try_start(&data, &Options::default());
    let log = second.expect_err("two servers on one directory");
    assert!(
        log.contains("is used by another `landfall` process"),
        "{log}"
    );
}

#[tokio::test]
async fn an_empty_password_in_the_environment_is_none() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let data = directory.path().join("data");
    let empty = Options::default().set("LANDFALL_ADMIN_PASSWORD", "");
    let refused = async |server: &Server| {
        let request = server
            .request(Method::GET, "/v2/")
            .basic_auth("admin", Some(""));
        let answer = request.send().await.expect("answer");
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    };
    // At the first start, where one is made up, and over one that is there.
    let server = Server::start_with(&data, &empty);
    refused(&server).await;
    assert!(server.stop(), "the server did not end well");
    assert!(Server::start(&data).stop(), "the server did not end well");
    let server = Server::start_with(&data, &empty);
    refused(&server).await;
    let known = server.request(Method::GET, "/v2/").send().await;
    assert_eq!(known.expect("answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn a_server_without_a_certificate_goes_on_when_a_terminal_hangs_up() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let server = Server::start(&directory.path().join("data"));
    let pid = i32::try_from(server.pid()).ok();
    let pid = pid.and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("sent");
    let alive = server.request(Method::GET, "/healthz").send().await;
    assert_eq!(alive.expect("answer").status(), StatusCode::OK);
    assert!(server.stop(), "the server did not end well");
}

#[test]
fn a_command_trusts_a_certificate_by_the_authority_that_it_is_given() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("made");
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| directory.path().join(name));
    std::fs::write(&certificate, made.cert.pem()).expect("certificate");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("key");
    let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
    let options = Options::default()
        .set("LANDFALL_SERVER_TLS_CERTIFICATE", &certificate)
        .set("LANDFALL_SERVER_TLS_KEY", &key);
    let server = Server::start_with(&directory.path().join("data"), &options);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let refused = server.landfall(["repo", "list"]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(error.contains("`--ca-certificate`"), "{error}");
    let listed = server.landfall([
        "repo",
        "list",
        "--ca-certificate",
        &certificate,
        "-o",
        "json",
    ]);
    let error = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert_eq!(listed.status.code(), Some(0), "{error}");
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "[]");
}
