//! The folder of a test with clients, and what they need to know of a server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::Engine;

use crate::server::{Options, PASSWORD, Server};

/// A folder that is gone after the test, with everything mounted in it.
pub(super) struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("scratch directory"),
        }
    }

    /// A path in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A folder in it, made.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a folder");
        path
    }

    /// A server whose data lie in it.
    pub(super) fn serve(&self, options: &Options) -> Server {
        Server::start_with(&self.path("data"), options)
    }

    /// A file with the administrator's password, as clients keep it after a
    /// login.
    pub(super) fn login(&self, server: &Server) -> PathBuf {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("admin:{PASSWORD}"));
        let login = serde_json::json!({ "auths": { server.host(): { "auth": pair } } });
        self.write("auth.json", &login.to_string())
    }

    /// A file that says that the server speaks plain HTTP.
    pub(super) fn registries(&self, server: &Server) -> PathBuf {
        let host = server.host();
        let text = format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n");
        self.write("registries.conf", &text)
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let ours = points.filter(|point| Path::new(point).starts_with(self.directory.path()));
        for point in ours.collect::<Vec<_>>().into_iter().rev() {
            let _ = Command::new("umount").args(["--lazy", point]).status();
        }
    }
}
