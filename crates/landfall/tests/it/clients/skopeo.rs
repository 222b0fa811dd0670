//! skopeo.

use std::process::Command;

use serde_json::Value;

use super::{layout::Layout, output_of, run, scratch::Scratch, tool};
use crate::{
    server::{Options, Server},
    session::Session,
};

/// The images of most tests: two that share a layer.
const IMAGES: [(&str, &str, &str); 2] = [("one", "amd64", "one"), ("two", "arm64", "two")];

/// skopeo, logged in at the server.
fn skopeo(scratch: &Scratch, server: &Server) -> Command {
    let mut command = tool("skopeo", "skopeo");
    command
        .arg("--insecure-policy")
        .arg("--registries-conf")
        .arg(scratch.registries(server));
    command.env("REGISTRY_AUTH_FILE", scratch.login(server));
    command
}

fn remote(server: &Server, image: &str) -> String {
    format!("docker://{}/{image}", server.host())
}

/// What `skopeo inspect --raw` gives: the manifest's bytes.
fn raw(scratch: &Scratch, server: &Server, image: &str) -> String {
    run(skopeo(scratch, server).args(["inspect", "--raw", &remote(server, image)]))
}

#[test]
fn what_skopeo_pushes_it_pulls_back_byte_by_byte() {
    let scratch = Scratch::new();
    let (server, layout) = (
        scratch.serve(&Options::default()),
        Layout::make(&scratch, &IMAGES),
    );
    for tag in ["one", "two"] {
        let image = remote(&server, &format!("admin/web:{tag}"));
        run(skopeo(&scratch, &server).args(["copy", &layout.transport(tag), &image]));
        let back = Layout::open(&scratch.path("back"));
        run(skopeo(&scratch, &server).args(["copy", &image, &back.transport(tag)]));
        assert_eq!(back.digest(tag), layout.digest(tag));
        assert_eq!(back.content(tag), layout.content(tag));
    }
    let image = remote(&server, "admin/web:one");
    let words = ["inspect", "--override-arch", "amd64", &image];
    let told: Value =
        serde_json::from_str(&run(skopeo(&scratch, &server).args(words))).expect("JSON");
    assert_eq!(told["Digest"], layout.digest("one").as_str());
    assert_eq!(told["RepoTags"], serde_json::json!(["one", "two"]));
    assert_eq!(told["Architecture"], "amd64");
    let listed = run(skopeo(&scratch, &server).args(["list-tags", &remote(&server, "admin/web")]));
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["Tags"], serde_json::json!(["one", "two"]));
}

#[test]
fn a_copy_to_another_repository_mounts_the_layers() {
    let scratch = Scratch::new();
    let (server, layout) = (
        scratch.serve(&Options::default()),
        Layout::make(&scratch, &IMAGES),
    );
    let (from, to) = (
        remote(&server, "admin/web:one"),
        remote(&server, "admin/copy:one"),
    );
    run(skopeo(&scratch, &server).args(["copy", &layout.transport("one"), &from]));
    run(skopeo(&scratch, &server).args(["copy", &from, &to]));
    assert_eq!(
        raw(&scratch, &server, "admin/copy:one"),
        raw(&scratch, &server, "admin/web:one")
    );
    // The configuration is sent again by every client; the layers are not.
    let log = server.log();
    let sent = log.lines().filter(|line| line.contains("method=\"PATCH\""));
    let sent = sent
        .filter(|line| line.contains("/v2/admin/copy/blobs/uploads/"))
        .count();
    assert!(sent <= 1, "{sent} blobs were sent again:\n{log}");
    let back = Layout::open(&scratch.path("back"));
    run(skopeo(&scratch, &server).args(["copy", &to, &back.transport("one")]));
    assert_eq!(back.content("one"), layout.content("one"));
}

#[test]
fn an_image_that_skopeo_deletes_is_gone() {
    let scratch = Scratch::new();
    let (server, layout) = (
        scratch.serve(&Options::default()),
        Layout::make(&scratch, &IMAGES),
    );
    let image = remote(&server, "admin/web:one");
    run(skopeo(&scratch, &server).args(["copy", &layout.transport("one"), &image]));
    run(skopeo(&scratch, &server).args(["delete", &image]));
    let refused = output_of(
        skopeo(&scratch, &server).args(["inspect", "--raw", &image]),
        "",
    );
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("manifest unknown") || told.contains("no manifest"),
        "{told}"
    );
}

#[test]
fn an_index_and_its_images_come_and_go_whole_and_one_by_one() {
    let scratch = Scratch::new();
    let (server, layout) = (
        scratch.serve(&Options::default()),
        Layout::make(&scratch, &IMAGES),
    );
    layout.add_index("all", &[("one", "amd64"), ("two", "arm64")]);
    let image = remote(&server, "admin/multi:all");
    run(skopeo(&scratch, &server).args(["copy", "--all", &layout.transport("all"), &image]));
    let back = Layout::open(&scratch.path("back"));
    run(skopeo(&scratch, &server).args(["copy", "--all", &image, &back.transport("all")]));
    assert_eq!(back.digest("all"), layout.digest("all"));
    assert_eq!(back.content("all"), layout.content("all"));
    for (tag, architecture) in [("one", "amd64"), ("two", "arm64")] {
        let back = Layout::open(&scratch.path(architecture));
        let chosen = ["--override-os", "linux", "--override-arch", architecture];
        let copy = ["copy", &image, &back.transport(tag)];
        run(skopeo(&scratch, &server).args(chosen).args(copy));
        assert_eq!(back.content(tag), layout.content(tag), "{architecture}");
    }
}

#[tokio::test]
async fn docker_schema_2_is_kept_as_it_was_pushed() {
    let scratch = Scratch::new();
    let (server, layout) = (
        scratch.serve(&Options::default()),
        Layout::make(&scratch, &IMAGES),
    );
    let image = remote(&server, "admin/docker:one");
    let copy = ["copy", "--format", "v2s2", &layout.transport("one"), &image];
    run(skopeo(&scratch, &server).args(copy));
    let manifest: Value =
        serde_json::from_str(&raw(&scratch, &server, "admin/docker:one")).expect("JSON");
    let media_type = "application/vnd.docker.distribution.manifest.v2+json";
    assert_eq!(manifest["mediaType"], media_type);
    let answer = Session::of(&server)
        .get("/v2/admin/docker/manifests/one")
        .await;
    assert_eq!(answer.headers()["content-type"], media_type);
    // As a directory, skopeo keeps the manifest and every blob as they came.
    let back = scratch.path("back");
    let directory = format!("dir:{}", back.display());
    run(skopeo(&scratch, &server).args(["copy", &image, &directory]));
    let kept = std::fs::read_to_string(back.join("manifest.json")).expect("the manifest");
    assert_eq!(kept, raw(&scratch, &server, "admin/docker:one"));
    let content = layout.content("one");
    for layer in manifest["layers"].as_array().expect("layers") {
        let digest = layer["digest"].as_str().expect("a digest");
        let bytes =
            std::fs::read(back.join(digest.trim_start_matches("sha256:"))).expect("a layer");
        assert_eq!(Some(&bytes), content.get(digest), "the layer {digest}");
    }
}

#[test]
fn a_wrong_password_is_refused_with_a_word_about_it() {
    let scratch = Scratch::new();
    let server = scratch.serve(&Options::default());
    let image = remote(&server, "admin/web:one");
    let words = ["inspect", "--creds", "admin:wrong", &image];
    let refused = output_of(skopeo(&scratch, &server).args(words), "");
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("unauthorized") || told.contains("invalid username/password"),
        "{told}"
    );
}

/// What a person sees whose push would move an immutable tag: one sentence, and
/// at once. skopeo tries most errors again, but not this one.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_an_immutable_tag_is_told_in_one_sentence() {
    let scratch = Scratch::new();
    let (server, layout) = (
        scratch.serve(&Options::default()),
        Layout::make(&scratch, &IMAGES),
    );
    let image = remote(&server, "admin/web:v1");
    run(skopeo(&scratch, &server).args(["copy", &layout.transport("one"), &image]));
    let rules = serde_json::json!({ "tag_rules": { "immutable": true } });
    let path = "/api/v1/repositories/admin%2Fweb";
    let request = Session::of(&server).request(reqwest::Method::PATCH, path);
    let set = request.json(&rules).send().await.expect("answer");
    assert!(set.status().is_success());

    run(skopeo(&scratch, &server).args(["copy", &layout.transport("one"), &image]));
    let words = [
        "copy",
        "--retry-times",
        "4",
        &layout.transport("two"),
        &image,
    ];
    let began = std::time::Instant::now();
    let refused = output_of(skopeo(&scratch, &server).args(words), "");
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr);
    let sentence = "tag `v1` of `admin/web` is immutable: it can't be moved or deleted";
    assert!(told.contains(sentence), "{told}");
    assert!(!told.contains("Retrying"), "{told}");
    assert!(
        began.elapsed() < std::time::Duration::from_secs(15),
        "{told}"
    );
    let manifest = &layout.content("one")[&layout.digest("one")];
    let pulled = raw(&scratch, &server, "admin/web:v1");
    assert_eq!(pulled.as_bytes(), &manifest[..]);
}
