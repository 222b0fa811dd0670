//! The commands, as people and scripts use them.

mod admin;
mod backup;
mod errors;
mod help;
mod identities;
mod listing;
mod login;
mod policies;
mod restore;
mod tags;

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::{server::Server, session::Session};

/// What a command printed, and how it ended.
#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self {
            code: output.status.code().expect("an exit code"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Ran {
    /// What went to standard output, of a command that had to succeed.
    fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// What went to standard output, as JSON.
    fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The one line that tells what went wrong.
    fn error(self) -> String {
        assert_eq!(self.code, 1, "{self:?}");
        assert_eq!(self.stdout, "", "an error on standard output");
        let line = self.stderr.strip_suffix('\n').expect("a whole line");
        let line = line
            .strip_prefix("error: ")
            .unwrap_or_else(|| panic!("no error: {line}"));
        assert!(!line.contains('\n'), "several lines: {line}");
        assert!(!line.ends_with('.'), "a full stop: {line}");
        line.to_owned()
    }
}

/// The program, without the environment of whoever runs the tests.
fn landfall(words: &[&str]) -> Command {
    // No command here goes on for long, unless it serves and should not.
    let mut command = Command::new("timeout");
    command
        .args(["120", env!("CARGO_BIN_EXE_landfall")])
        .args(words);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LANDFALL_") {
            command.env_remove(name);
        }
    }
    // Nor the logins that they have kept.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command
}

/// Runs the program, without a server.
fn alone(words: &[&str]) -> Ran {
    landfall(words).output().expect("the program runs").into()
}

/// A server with its folder, and a session with it.
struct World {
    server: Server,
    session: Session,
    directory: TempDir,
}

impl World {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("scratch directory");
        let server = Server::start(&directory.path().join("data"));
        let session = Session::of(&server);
        Self {
            server,
            session,
            directory,
        }
    }

    /// Runs a command against the server.
    fn run(&self, words: &[&str]) -> Ran {
        self.server.landfall(words).into()
    }
}

/// Times, ids and the port become zeros of the same length; the rest of what
/// is printed here never changes.
fn scrub(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for shape in [
        "dddd-dd-dd_dd:dd:dd",
        "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
    ] {
        for start in 0..bytes.len().saturating_sub(shape.len() - 1) {
            let window = &mut bytes[start..start + shape.len()];
            let fits = window
                .iter()
                .zip(shape.bytes())
                .all(|(byte, kind)| match kind {
                    b'd' => byte.is_ascii_digit(),
                    b'x' => byte.is_ascii_hexdigit(),
                    b'_' => matches!(byte, b' ' | b'T'),
                    exact => *byte == exact,
                });
            if fits {
                let digits = window.iter_mut().filter(|byte| byte.is_ascii_hexdigit());
                digits.for_each(|byte| *byte = b'0');
            }
        }
    }
    let text = String::from_utf8(bytes).expect("text");
    // The fraction of a time has as many digits as it needs.
    let mut parts = text.split("00:00:00.");
    let mut scrubbed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        scrubbed.push_str("00:00:00");
        scrubbed.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    scrubbed
}

/// Fails if a line is wider than a terminal.
fn assert_narrow(text: &str) {
    for line in text.lines() {
        assert!(
            line.chars().count() <= 80,
            "{} columns: {line}",
            line.chars().count()
        );
    }
}
