//! containerd, by its client `ctr`.

use std::{
    fs::File,
    process::{Command, Stdio},
};

use super::{Daemon, layout::Layout, locate, output_of, run, scratch::Scratch, tool};
use crate::{
    server::{Options, PASSWORD, Server},
    session::digest,
};

/// A daemon, and a client that talks to it. What is declared first is ended
/// first.
struct Containerd {
    _daemon: Daemon,
    scratch: Scratch,
    host: String,
}

impl Containerd {
    fn start(scratch: Scratch, server: &Server) -> Self {
        let host = server.host().to_owned();
        let path = |name: &str| scratch.path(name).display().to_string();
        let settings = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{}\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{}\"\n",
            path("containerd"),
            path("state"),
            path("containerd.sock"),
        );
        let settings = scratch.write("containerd.toml", &settings);
        let log = File::create(scratch.path("containerd.log")).expect("a log file");
        let mut command = Command::new(locate("containerd", "containerd"));
        command
            .arg("--config")
            .arg(settings)
            .stdout(Stdio::null())
            .stderr(log);
        let ready = || {
            output_of(client(&scratch).arg("version"), "")
                .status
                .success()
        };
        let daemon = Daemon::start(&mut command, ready);
        Self {
            _daemon: daemon,
            scratch,
            host,
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = client(&self.scratch);
        command.args(words);
        command
    }

    fn run(&self, words: &[&str]) -> String {
        run(&mut self.command(words)).trim().to_owned()
    }

    /// `images push` or `images pull`, as the administrator.
    fn transfer(&self, verb: &str, image: &str) {
        let login = format!("admin:{PASSWORD}");
        self.run(&["images", verb, "--plain-http", "--user", &login, image]);
    }
}

fn client(scratch: &Scratch) -> Command {
    let mut command = tool("ctr", "containerd");
    command
        .arg("--address")
        .arg(scratch.path("containerd.sock"));
    command
}

#[test]
fn containerd_pushes_pulls_and_runs() {
    let scratch = Scratch::new();
    let server = scratch.serve(&Options::default());
    let layout = Layout::make(&scratch, &[("one", "amd64", "hello from containerd")]);
    let archive = scratch.path("layout.tar");
    let mut tar = tar::Builder::new(File::create(&archive).expect("a file"));
    tar.append_dir_all(".", layout.path()).expect("an archive");
    tar.finish().expect("an archive");
    let ctr = Containerd::start(scratch, &server);
    let archive = archive.display().to_string();
    ctr.run(&["images", "import", "--base-name", "local/web", &archive]);

    let image = format!("{}/admin/containerd:one", ctr.host);
    ctr.run(&["images", "tag", "local/web:one", &image]);
    ctr.transfer("push", &image);
    let names = ctr.run(&["images", "list", "--quiet"]);
    let mut words = vec!["images", "rm", "--sync"];
    words.extend(names.lines());
    ctr.run(&words);
    let manifest = layout.digest("one");
    assert!(
        !ctr.run(&["content", "list", "--quiet"]).contains(&manifest),
        "it is still there"
    );

    let anonymous = output_of(
        &mut ctr.command(&["images", "pull", "--plain-http", &image]),
        "",
    );
    assert!(
        !anonymous.status.success(),
        "a pull without a login was let through"
    );
    ctr.transfer("pull", &image);
    for (name, bytes) in layout.content("one") {
        let output = output_of(&mut ctr.command(&["content", "get", &name]), "");
        assert!(output.status.success(), "{name} was not pulled");
        assert_eq!(digest(&output.stdout).to_string(), name);
        assert_eq!(output.stdout, bytes);
    }
    let ran = ctr.run(&[
        "run",
        "--rm",
        "--runc-root",
        &ctr.path("runc"),
        &image,
        "greeting",
    ]);
    assert_eq!(ran, "hello from containerd");
}

impl Containerd {
    fn path(&self, name: &str) -> String {
        self.scratch.path(name).display().to_string()
    }
}
