//! TLS with a certificate made for the test.

use std::{fs, path::Path, time::Duration};

use landfall_server::{listen::Limits, tls::Tls};
use tempfile::TempDir;

use super::{World, generous};

/// Writes a new certificate for `localhost` and its key; its PEM text.
pub(super) fn write_certificate(folder: &Path) -> String {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    fs::write(folder.join("server.pem"), pair.cert.pem()).expect("writable");
    fs::write(folder.join("server.key"), pair.signing_key.serialize_pem()).expect("writable");
    pair.cert.pem()
}

pub(super) fn load(folder: &Path) -> Tls {
    Tls::load(&folder.join("server.pem"), &folder.join("server.key")).expect("they fit")
}

pub(super) fn client_that_trusts(pem: &str) -> reqwest::ClientBuilder {
    let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).expect("a certificate");
    reqwest::Client::builder().tls_certs_only([certificate])
}

impl World {
    fn secure_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }
}

#[tokio::test]
async fn http_2_and_http_1_1_are_spoken_over_tls() {
    let folder = TempDir::new().expect("a folder");
    let pem = write_certificate(folder.path());
    let world = World::start_with(generous(), Some(load(folder.path()))).await;
    let modern = client_that_trusts(&pem).build().expect("a client");
    let answer = modern.get(world.secure_url("/peer")).send().await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.version(), http::Version::HTTP_2);
    let text = answer.text().await.expect("a body");
    assert!(text.ends_with(" true"), "{text}");

    let old = client_that_trusts(&pem).http1_only().build();
    let answer = old
        .expect("a client")
        .get(world.secure_url("/"))
        .send()
        .await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.version(), http::Version::HTTP_11);
    assert_eq!(answer.text().await.expect("a body"), "hello");
}

#[tokio::test]
async fn large_bodies_pass_tls_in_both_directions() {
    let folder = TempDir::new().expect("a folder");
    let pem = write_certificate(folder.path());
    let world = World::start_with(generous(), Some(load(folder.path()))).await;
    for builder in [
        client_that_trusts(&pem),
        client_that_trusts(&pem).http1_only(),
    ] {
        let client = builder.build().expect("a client");
        let body = vec![7; 3_000_001];
        let answer = client.put(world.secure_url("/upload")).body(body).send();
        let text = answer.await.expect("an answer").text().await;
        assert_eq!(text.expect("a body"), "3000001");
        let endless = client.get(world.secure_url("/endless")).send().await;
        let mut endless = endless.expect("a head");
        let mut received = 0;
        while received < 3_000_000 {
            received += endless.chunk().await.expect("open").expect("more").len();
        }
    }
}

#[tokio::test]
async fn a_reload_serves_the_new_certificate() {
    let folder = TempDir::new().expect("a folder");
    let old = write_certificate(folder.path());
    let tls = load(folder.path());
    let world = World::start_with(generous(), Some(tls.clone())).await;
    let new = write_certificate(folder.path());
    let asks = async |pem: &str| {
        let client = client_that_trusts(pem).build().expect("a client");
        client.get(world.secure_url("/")).send().await
    };
    asks(&old).await.expect("the old one is served");
    asks(&new).await.expect_err("the new one is not loaded yet");
    tls.reload().expect("they fit");
    asks(&new).await.expect("the new one is served");
    asks(&old).await.expect_err("the old one is gone");
}

#[tokio::test]
async fn a_handshake_that_does_not_begin_is_cut_off() {
    let folder = TempDir::new().expect("a folder");
    write_certificate(folder.path());
    let limits = Limits {
        header_timeout: Duration::from_millis(100),
        ..generous()
    };
    let world = World::start_with(limits, Some(load(folder.path()))).await;
    world.connect().await.closed().await;
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_closed() {
    let folder = TempDir::new().expect("a folder");
    write_certificate(folder.path());
    let world = World::start_with(generous(), Some(load(folder.path()))).await;
    let mut client = world.connect().await;
    client.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    client.closed().await;
}
