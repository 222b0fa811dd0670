//! Copies that are killed in the middle, and started again.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{DockerRegistry, PASSWORD, World, number, proxy::Proxy, run};
use crate::session::{MANIFEST, Session, descriptor, digest, noise};

/// Bytes of a big layer, and of the others.
const BIG: usize = 6 << 20;
const SMALL: usize = 1 << 20;

/// What everything but layers may take: requests, manifests, headers.
const TALK: u64 = 200_000;

/// Pushes an image with a small and a big layer.
async fn push(session: &Session, repository: &str) -> Vec<u8> {
    let config = br#"{"os":"linux","architecture":"amd64"}"#;
    let layers = [noise(1, SMALL), noise(2, BIG)];
    for blob in layers.iter().map(Vec::as_slice).chain([&config[..]]) {
        session.push_blob(repository, blob).await;
    }
    let layer = "application/vnd.oci.image.layer.v1.tar";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": layers.each_ref().map(|each| descriptor(layer, each)),
    });
    let manifest = manifest.to_string().into_bytes();
    session
        .push_manifest(repository, "1", MANIFEST, &manifest)
        .await;
    manifest
}

/// A copy that goes on until it is killed.
fn begin(server: &str, words: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(["image", "copy", "--server", server, "--jobs", "1"])
        .args(words)
        .env("LANDFALL_PASSWORD", PASSWORD)
        .env("REGISTRY_AUTH_FILE", "/nonexistent")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), signal).expect("it runs");
}

/// The same once more, to its end.
fn again(server: &str, words: &[&str]) -> Value {
    let mut command = super::copy(server, words);
    let text = run(command.args(["--jobs", "1", "--output", "json"]));
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_copy_into_a_layout_goes_on_in_the_middle_of_a_layer() {
    let world = World::start();
    let manifest = push(&Session::of(&world.server), "acme/web").await;
    let proxy = Proxy::start(world.server.host());
    let url = format!("http://{}", proxy.host);
    let layout = world.place("oci", "killed");
    proxy.stop_downloads_after((SMALL + BIG / 2) as u64);
    let mut child = begin(&url, &["acme/web:1", &layout]);
    proxy.wait_for_stop();
    // What arrived is on its way to the file.
    let partial = world.path("killed/.landfall-partial");
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    let longest = || {
        let entries = fs::read_dir(&partial).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| Some(entry.metadata().ok()?.len()))
            .max()
    };
    while longest().unwrap_or_default() < (BIG / 4) as u64 {
        assert!(std::time::Instant::now() < until, "{:?}", longest());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().expect("it runs");
    let ended = child.wait().expect("it ends");
    assert_eq!(ended.signal(), Some(9));
    assert!(
        !world.path("killed/index.json").exists(),
        "half an image has a name"
    );
    let kept = longest().expect("a partial file");
    // Another one, so that nothing of the first copy is counted.
    let proxy = Proxy::start(world.server.host());
    let url = format!("http://{}", proxy.host);
    let report = again(&url, &["acme/web:1", &layout]);
    let (_, sent) = proxy.passed();
    // The layer that was whole and the part of the other were not sent again.
    let missing = BIG as u64 - kept;
    assert!(sent >= missing, "{sent} bytes were sent: {report}");
    assert!(sent <= missing + TALK, "{sent} bytes were sent: {report}");
    assert!(
        number(&report, "/content/skipped/bytes") >= kept,
        "{report}"
    );
    let name = digest(&manifest)
        .to_string()
        .replace("sha256:", "killed/blobs/sha256/");
    assert_eq!(fs::read(world.path(&name)).expect("the manifest"), manifest);
    assert!(!partial.exists(), "partial files are left");
    world.skopeo(&["inspect", "--raw", &format!("{layout}:1")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_copy_into_a_registry_skips_the_layers_that_are_there() {
    let world = World::start();
    let peer = DockerRegistry::start(&world.scratch);
    push(&Session::of(&world.server), "acme/web").await;
    let proxy = Proxy::start(&peer.host);
    let target = format!("docker://{}/team/web:1", proxy.host);
    proxy.stop_uploads_after((SMALL + BIG / 2) as u64);
    let mut child = begin(&world.server.url, &["acme/web:1", &target]);
    proxy.wait_for_stop();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let proxy = Proxy::start(&peer.host);
    let target = format!("docker://{}/team/web:1", proxy.host);
    let report = again(&world.server.url, &["acme/web:1", &target]);
    let (sent, _) = proxy.passed();
    assert!(
        sent <= BIG as u64 + TALK,
        "{sent} bytes were sent: {report}"
    );
    assert!(number(&report, "/content/skipped/count") >= 1, "{report}");
    world.copy(&[&peer.place("team/web:1"), "acme/back:1"]);
    assert_eq!(world.raw("acme/back:1"), world.raw("acme/web:1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_at_once_and_says_how_to_go_on() {
    let world = World::start();
    push(&Session::of(&world.server), "acme/web").await;
    let proxy = Proxy::start(world.server.host());
    let url = format!("http://{}", proxy.host);
    for form in ["oci", "oci-archive", "docker-archive", "dir"] {
        let target = world.place(form, &format!("stopped-{form}"));
        proxy.stop_downloads_after((SMALL + BIG / 2) as u64);
        let child = begin(&url, &["acme/web:1", &target]);
        proxy.wait_for_stop();
        signal(&child, Signal::INT);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130), "{form}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            told.contains("the same command goes on where this one was"),
            "{told}"
        );
        proxy.release();
        if form == "docker-archive" {
            // The image has no layers that could be unpacked.
            continue;
        }
        let report = again(&url, &["acme/web:1", &target]);
        assert!(
            number(&report, "/content/skipped/bytes") > 0,
            "{form}: {report}"
        );
        world.copy(&[&target, &format!("acme/{form}:1")]);
        assert_eq!(
            world.raw(&format!("acme/{form}:1")),
            world.raw("acme/web:1")
        );
    }
}
