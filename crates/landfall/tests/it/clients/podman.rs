//! podman: logs in, pushes, pulls and runs.

use std::process::Command;

use super::{layout::Layout, output_of, run, run_with, scratch::Scratch, tool};
use crate::{
    server::{Options, PASSWORD, Server},
    session::Session,
};

/// Limits that a container gets even where the machine allows less than
/// podman asks for, and the runtime that runs everywhere.
const SETTINGS: &str = "[containers]
default_ulimits = [\"nofile=20000:20000\", \"nproc=30000:30000\"]
[engine]
runtime = \"runc\"
events_logger = \"file\"
cgroup_manager = \"cgroupfs\"
";

/// podman with its own storage.
pub(super) struct Podman {
    pub(super) scratch: Scratch,
    pub(super) host: String,
}

impl Podman {
    pub(super) fn of(scratch: Scratch, server: &Server) -> Self {
        scratch.write("containers.conf", SETTINGS);
        // It wants the file that it keeps its logins in to be there.
        scratch.write("podman-auth.json", "{}");
        scratch.registries(server);
        Self {
            scratch,
            host: server.host().to_owned(),
        }
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let path = |name: &str| self.scratch.path(name);
        let mut command = tool("podman", "podman");
        command
            .arg("--root")
            .arg(path("storage"))
            .arg("--runroot")
            .arg(path("run"));
        command
            .arg("--tmpdir")
            .arg(path("tmp"))
            .args(["--storage-driver", "overlay"]);
        command.env("CONTAINERS_CONF", path("containers.conf"));
        command.env("CONTAINERS_REGISTRIES_CONF", path("registries.conf"));
        command.env("REGISTRY_AUTH_FILE", path("podman-auth.json"));
        command.current_dir(path("")).args(words);
        command
    }

    /// Brings the image of the layout into the storage, and gives its id. The
    /// path of the layout becomes its name, so it has to be this short.
    pub(super) fn load(&self) -> String {
        self.run(&["pull", "--quiet", "oci:layout:one"])
    }

    pub(super) fn run(&self, words: &[&str]) -> String {
        run(&mut self.command(words)).trim().to_owned()
    }

    /// Logs in, and tells whether the password was taken.
    fn login(&self, password: &str) -> bool {
        let words = [
            "login",
            "--username",
            "admin",
            "--password-stdin",
            &self.host,
        ];
        output_of(&mut self.command(&words), password)
            .status
            .success()
    }

    pub(super) fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }
}

pub(super) fn layout(scratch: &Scratch) -> Layout {
    Layout::make(scratch, &[("one", "amd64", "hello from podman")])
}

#[tokio::test]
async fn podman_logs_in_pushes_pulls_and_runs() {
    let scratch = Scratch::new();
    let (server, layout) = (scratch.serve(&Options::default()), layout(&scratch));
    let podman = Podman::of(scratch, &server);
    assert!(!podman.login("wrong"), "a wrong password was taken");
    assert!(podman.login(PASSWORD), "the right password was refused");

    let id = podman.load();
    assert_eq!(format!("sha256:{id}"), layout.config("one"));
    let image = podman.image("admin/podman:one");
    let digest_file = podman.scratch.path("digest");
    let digests = digest_file.display().to_string();
    let remote = format!("docker://{image}");
    podman.run(&["push", "--digestfile", &digests, &id, &remote]);
    podman.run(&["rmi", "--all", "--force"]);
    assert_eq!(podman.run(&["images", "--quiet"]), "");

    let pulled = podman.run(&["pull", "--quiet", &image]);
    // The id is the digest of the configuration, which names every layer.
    assert_eq!(pulled, id);
    let digest = std::fs::read_to_string(&digest_file).expect("the digest");
    let answer = Session::of(&server)
        .get("/v2/admin/podman/manifests/one")
        .await;
    assert_eq!(answer.headers()["docker-content-digest"], digest.trim());
    let by_digest = podman.image(&format!("admin/podman@{}", digest.trim()));
    assert_eq!(podman.run(&["pull", "--quiet", &by_digest]), id);
    let ran = podman.run(&["run", "--rm", "--network", "none", &image]);
    assert_eq!(ran, "hello from podman");
}

#[test]
fn podman_search_and_logout_behave() {
    let scratch = Scratch::new();
    let server = scratch.serve(&Options::default());
    layout(&scratch);
    let podman = Podman::of(scratch, &server);
    let id = podman.load();
    let remote = format!("docker://{}", podman.image("admin/podman:one"));
    let refused = output_of(&mut podman.command(&["push", &id, &remote]), "");
    assert!(
        !refused.status.success(),
        "a push without a login was taken"
    );
    run_with(
        &mut podman.command(&[
            "login",
            "--username",
            "admin",
            "--password-stdin",
            &podman.host,
        ]),
        PASSWORD,
    );
    podman.run(&["push", &id, &remote]);
    let found = podman.run(&["search", "--list-tags", &podman.image("admin/podman")]);
    assert!(found.lines().any(|line| line.ends_with("one")), "{found}");
    podman.run(&["logout", &podman.host]);
    let refused = output_of(&mut podman.command(&["pull", "--quiet", &remote]), "");
    assert!(
        !refused.status.success(),
        "a pull after the logout was let through"
    );
}
