//! Pulls straight from the bucket, where the setting says so.

use reqwest::{Client, Method, redirect::Policy};

use super::shared;
use crate::{
    backends::Backends,
    server::{Options, PASSWORD, Server},
    session::{Image, Session, digest},
};

fn client() -> Client {
    let client = Client::builder().no_proxy().redirect(Policy::none());
    client.build().expect("HTTP client")
}

#[tokio::test]
async fn a_pull_is_sent_to_the_bucket_only_by_setting_and_only_after_the_login() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let options = shared(&Backends::services());
    let data = directory.path().join("data");
    let server = Server::start_with(&data, &options);
    let image = Image::new(1, 2);
    Session::of(&server).push("acme/web", "v1", &image).await;
    let layer = &image.layers[0];
    let path = format!("/v2/acme/web/blobs/{}", digest(layer));
    let get = |server: &Server, method: Method| {
        let request = client().request(method, format!("{}{path}", server.url));
        request.basic_auth("admin", Some(PASSWORD))
    };
    let plain = get(&server, Method::GET).send().await.expect("answer");
    assert_eq!(plain.status(), 200);
    assert!(server.stop(), "the server did not end well");

    let server = Server::start_with(&data, &options.set("LANDFALL_BLOBS_REDIRECT", "true"));
    let anonymous = client().get(format!("{}{path}", server.url)).send().await;
    assert_eq!(anonymous.expect("answer").status(), 401);
    let head = get(&server, Method::HEAD).send().await.expect("answer");
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], layer.len().to_string());
    let sent = get(&server, Method::GET).send().await.expect("answer");
    assert_eq!(sent.status(), 307);
    assert_eq!(sent.headers()["cache-control"], "no-store");
    let url = sent.headers()["location"]
        .to_str()
        .expect("a URL")
        .to_owned();
    assert!(url.contains("X-Amz-Expires=300"), "{url}");
    assert!(!url.contains("landfall-secret"), "{url}");
    let found = client().get(&url).send().await.expect("answer");
    assert_eq!(found.status(), 200);
    assert_eq!(found.bytes().await.expect("bytes"), layer[..]);
    let part = client().get(&url).header("range", "bytes=5-9");
    let part = part.send().await.expect("answer");
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.expect("bytes"), layer[5..10]);
    let known = get(&server, Method::GET).header("if-none-match", format!("\"{}\"", digest(layer)));
    assert_eq!(known.send().await.expect("answer").status(), 304);
    let absent = format!("{}/v2/acme/web/blobs/{}", server.url, digest(b"nothing"));
    let absent = client().get(absent).basic_auth("admin", Some(PASSWORD));
    assert_eq!(absent.send().await.expect("answer").status(), 404);
}

#[tokio::test]
async fn a_store_on_a_disk_sends_nobody_anywhere() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let options = Options::default().set("LANDFALL_BLOBS_REDIRECT", "true");
    let server = Server::start_with(&directory.path().join("data"), &options);
    let session = Session::of(&server);
    session.push("acme/web", "v1", &Image::new(1, 2)).await;
    session
        .assert_pulls("acme/web", "v1", &Image::new(1, 2))
        .await;
}

/// Clients ask the bucket under another host name than the registry's: to
/// their own they would send the password as well.
#[test]
fn skopeo_copies_an_image_out_of_the_bucket() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let mut backends = Backends::services();
    if let Some(bucket) = &mut backends.bucket {
        bucket.endpoint = bucket.endpoint.replace("127.0.0.1", "localhost");
    }
    let options = shared(&backends).set("LANDFALL_BLOBS_REDIRECT", "true");
    let server = Server::start_with(&directory.path().join("data"), &options);
    let image = Image::new(1, 2);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(Session::of(&server).push("acme/web", "v1", &image));
    let from = format!("docker://{}/acme/web:v1", server.host());
    let to = format!("dir:{}", directory.path().join("copied").display());
    let ran = std::process::Command::new("skopeo")
        .args(["copy", "--src-tls-verify=false", "--src-creds"])
        .arg(format!("admin:{PASSWORD}"))
        .args([&from, &to])
        .output()
        .expect("skopeo runs");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let layer = digest(&image.layers[1]).to_string();
    let name = layer.trim_start_matches("sha256:");
    let copied = std::fs::read(directory.path().join("copied").join(name)).expect("the layer");
    assert_eq!(copied, image.layers[1]);
}
