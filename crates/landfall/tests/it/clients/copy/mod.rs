//! `landfall image copy` with real peers: Debian's docker-registry on the
//! other side, skopeo and podman as judges of what was written.

mod forms;
mod interrupted;
mod migration;
mod peer;
mod proxy;
mod told;

use std::{path::PathBuf, process::Command};

use serde_json::Value;

use super::{layout::Layout, run, scratch::Scratch, tool};
use crate::server::{Options, PASSWORD, Server};
use peer::DockerRegistry;

/// The images of most tests: two that share a layer.
const IMAGES: [(&str, &str, &str); 2] = [("one", "amd64", "one"), ("two", "arm64", "two")];

/// A folder, a Landfall server, and images in a layout.
struct World {
    server: Server,
    layout: Layout,
    scratch: Scratch,
}

impl World {
    fn start() -> Self {
        let scratch = Scratch::new();
        Self {
            server: scratch.serve(&Options::default()),
            layout: Layout::make(&scratch, &IMAGES),
            scratch,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    /// A place of this form in the folder.
    fn place(&self, form: &str, name: &str) -> String {
        format!("{form}:{}", self.path(name).display())
    }

    /// `landfall image copy`, logged in at the server.
    fn command(&self, words: &[&str]) -> Command {
        copy(&self.server.url, words)
    }

    /// Copies, and gives the report. Nothing may fail.
    fn copy(&self, words: &[&str]) -> Value {
        let text = run(self.command(words).args(["--output", "json"]));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// skopeo, logged in at the server.
    fn skopeo(&self, words: &[&str]) -> String {
        let mut command = tool("skopeo", "skopeo");
        command.arg("--insecure-policy").arg("--registries-conf");
        command.arg(self.scratch.registries(&self.server));
        command.env("REGISTRY_AUTH_FILE", self.scratch.login(&self.server));
        run(command.args(words))
    }

    /// The manifest of an image of the server, as skopeo sees it.
    fn raw(&self, image: &str) -> String {
        let place = format!("docker://{}/{image}", self.server.host());
        self.skopeo(&["inspect", "--raw", &place])
    }

    /// Fails unless an image of the server is one of the layout.
    fn assert_same(&self, image: &str, tag: &str) {
        let digest = crate::session::digest(self.raw(image).as_bytes());
        assert_eq!(digest.to_string(), self.layout.digest(tag), "{image}");
        let back = Layout::open(&self.path(&image.replace(['/', ':'], "-")));
        let place = format!("docker://{}/{image}", self.server.host());
        self.skopeo(&["copy", "--all", &place, &back.transport(tag)]);
        assert_eq!(back.content(tag), self.layout.content(tag), "{image}");
    }
}

/// The command against a server, without logins of whoever runs the tests.
fn copy(server: &str, words: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", super::LIMIT])
        .arg(env!("CARGO_BIN_EXE_landfall"))
        .args(["image", "copy", "--server", server])
        .args(words)
        .env("LANDFALL_PASSWORD", PASSWORD)
        .env("REGISTRY_AUTH_FILE", "/nonexistent");
    command
}

/// A number in a report.
fn number(report: &Value, path: &str) -> u64 {
    let found = report.pointer(path).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("no `{path}` in {report}"))
}
