//! docker, with a daemon of its own.

use std::{
    fs::File,
    process::{Command, Stdio},
};

use super::{Daemon, layout::Layout, locate, output_of, run, run_with, scratch::Scratch, tool};
use crate::{
    server::{Options, PASSWORD, Server},
    session::Session,
};

/// A daemon, and a client that talks to it. What is declared first is ended
/// first.
pub(super) struct Docker {
    _daemon: Daemon,
    pub(super) scratch: Scratch,
    pub(super) host: String,
}

impl Docker {
    pub(super) fn start(scratch: Scratch, server: &Server) -> Self {
        let host = server.host().to_owned();
        let socket = format!("unix://{}", scratch.path("docker.sock").display());
        scratch.folder("client");
        let log = File::create(scratch.path("dockerd.log")).expect("a log file");
        let mut command = Command::new(locate("dockerd", "docker.io"));
        command.arg("--data-root").arg(scratch.path("docker"));
        command.arg("--exec-root").arg(scratch.path("exec"));
        command.arg("--pidfile").arg(scratch.path("docker.pid"));
        command.args(["--containerd", "", "--host", &socket, "--bridge", "none"]);
        command.args([
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
        ]);
        command.args(["--insecure-registry", &host]);
        command.stdout(Stdio::null()).stderr(log);
        let ready = || output_of(client(&scratch).arg("info"), "").status.success();
        let daemon = Daemon::start(&mut command, ready);
        Self {
            _daemon: daemon,
            scratch,
            host,
        }
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = client(&self.scratch);
        command.args(words);
        command
    }

    pub(super) fn run(&self, words: &[&str]) -> String {
        run(&mut self.command(words)).trim().to_owned()
    }

    pub(super) fn fails(&self, words: &[&str]) -> bool {
        !output_of(&mut self.command(words), "").status.success()
    }

    fn login_words(&self) -> [&str; 5] {
        [
            "login",
            "--username",
            "admin",
            "--password-stdin",
            &self.host,
        ]
    }

    pub(super) fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// Brings an image of a layout into the daemon, under a name.
    pub(super) fn load(&self, layout: &Layout, tag: &str, name: &str) {
        let archive = self.scratch.path("archive.tar");
        let to = format!("docker-archive:{}:{name}", archive.display());
        let copy = ["--insecure-policy", "copy", &layout.transport(tag), &to];
        run(tool("skopeo", "skopeo").args(copy));
        self.run(&["load", "--quiet", "--input", &archive.display().to_string()]);
    }
}

fn client(scratch: &Scratch) -> Command {
    let mut command = tool("docker", "docker.io");
    command.arg("--config").arg(scratch.path("client"));
    command
        .arg("--host")
        .arg(format!("unix://{}", scratch.path("docker.sock").display()));
    command
}

#[tokio::test]
async fn docker_logs_in_pushes_pulls_and_runs() {
    let scratch = Scratch::new();
    let server = scratch.serve(&Options::default());
    let layout = Layout::make(&scratch, &[("one", "amd64", "hello from docker")]);
    let docker = Docker::start(scratch, &server);
    let wrong = output_of(&mut docker.command(&docker.login_words()), "wrong");
    assert!(!wrong.status.success(), "a wrong password was taken");
    run_with(&mut docker.command(&docker.login_words()), PASSWORD);

    let image = docker.image("admin/docker:one");
    docker.load(&layout, "one", &image);
    let id = docker.run(&["image", "inspect", "--format", "{{.Id}}", &image]);
    docker.run(&["push", "--quiet", &image]);
    docker.run(&["rmi", "--force", &image]);
    assert!(docker.fails(&["image", "inspect", &image]));

    docker.run(&["pull", "--quiet", &image]);
    // The id is the digest of the configuration, which names every layer.
    assert_eq!(
        docker.run(&["image", "inspect", "--format", "{{.Id}}", &image]),
        id
    );
    let names = docker.run(&[
        "image",
        "inspect",
        "--format",
        "{{json .RepoDigests}}",
        &image,
    ]);
    let answer = Session::of(&server)
        .get("/v2/admin/docker/manifests/one")
        .await;
    let digest = answer.headers()["docker-content-digest"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(names.contains(&digest), "{names} without {digest}");
    let ran = docker.run(&["run", "--rm", "--network", "none", &image]);
    assert_eq!(ran, "hello from docker");
}

#[test]
fn docker_pulls_without_a_login_where_anybody_may_and_does_not_push() {
    let scratch = Scratch::new();
    let options = Options::default().set("LANDFALL_REGISTRY_ANONYMOUS_PULL", "1");
    let server = scratch.serve(&options);
    let layout = Layout::make(&scratch, &[("one", "amd64", "hello, anybody")]);
    let docker = Docker::start(scratch, &server);
    let image = docker.image("admin/docker:one");
    docker.load(&layout, "one", &image);
    assert!(
        docker.fails(&["push", "--quiet", &image]),
        "anybody may push"
    );
    run_with(&mut docker.command(&docker.login_words()), PASSWORD);
    docker.run(&["push", "--quiet", &image]);
    docker.run(&["logout", &docker.host]);
    docker.run(&["rmi", "--force", &image]);
    docker.run(&["pull", "--quiet", &image]);
    assert_eq!(
        docker.run(&["run", "--rm", "--network", "none", &image]),
        "hello, anybody"
    );
    assert!(
        docker.fails(&["push", "--quiet", &image]),
        "anybody may push what is there"
    );
}
