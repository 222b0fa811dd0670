//! Real clients push and pull, and the bytes agree.
//!
//! Each test has its own server, its own folders and its own daemons, and
//! leaves nothing running. A client that is not installed fails its test.

mod containerd;
mod copy;
mod docker;
mod identity;
mod layout;
mod podman;
mod scratch;
mod skopeo;

use std::{
    io::Write,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// How long a client may take, in seconds: far longer than it ever does.
const LIMIT: &str = "240";

/// The path of a program of a Debian package.
fn locate(program: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path
        .split(':')
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"]);
    let mut places = folders.map(|folder| PathBuf::from(folder).join(program));
    places
        .find(|place| place.is_file())
        .unwrap_or_else(|| panic!("`{program}` is missing: install the Debian package `{package}`"))
}

/// A command of a client, ended when it takes too long.
fn tool(program: &str, package: &str) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", LIMIT])
        .arg(locate(program, package));
    command
}

/// Runs a command, with something on its standard input, to its end.
fn output_of(command: &mut Command, input: &str) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    // It may end before it has read anything.
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(input.as_bytes());
    child.wait_with_output().expect("the command ends")
}

/// What a command prints; it has to succeed.
fn run(command: &mut Command) -> String {
    run_with(command, "")
}

/// As [`run`], with something on standard input.
fn run_with(command: &mut Command, input: &str) -> String {
    let output = output_of(command, input);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} failed ({}):\n{errors}",
        output.status
    );
    String::from_utf8(output.stdout).expect("text")
}

/// A daemon of a test, ended with the test.
struct Daemon(Child);

impl Daemon {
    /// Starts a daemon, and waits until `ready` succeeds.
    fn start(command: &mut Command, mut ready: impl FnMut() -> bool) -> Self {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .expect("the daemon starts");
        let mut daemon = Self(child);
        let until = Instant::now() + Duration::from_mins(2);
        while !ready() {
            let ended = daemon.0.try_wait().expect("a child");
            assert!(ended.is_none(), "{command:?} ended: {ended:?}");
            assert!(Instant::now() < until, "{command:?} does not get ready");
            std::thread::sleep(Duration::from_millis(200));
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        // Daemons end their own children when they are asked to end.
        let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        let until = Instant::now() + Duration::from_secs(30);
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
