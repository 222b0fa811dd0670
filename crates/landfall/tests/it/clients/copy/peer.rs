//! Debian's docker-registry on a scratch directory.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
};

use super::Scratch;
use crate::clients::locate;

/// A running docker-registry; it ends with this value.
pub(super) struct DockerRegistry {
    process: Child,
    /// Host and port.
    pub(super) host: String,
}

impl DockerRegistry {
    /// Starts one whose data are in the folder, and comes back when it
    /// listens.
    pub(super) fn start(scratch: &Scratch) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("its address").to_string();
        drop(listener);
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nhttp: {{addr: '{host}'}}\nstorage:\n  \
             filesystem: {{rootdirectory: '{}'}}\n",
            scratch.path("peer").display()
        );
        let config = scratch.write("peer.yml", &text);
        let mut process = Command::new(locate("docker-registry", "docker-registry"))
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry starts");
        let log = BufReader::new(process.stderr.take().expect("its log"));
        let mut lines = log.lines().map_while(Result::ok);
        let said = lines.find(|line| line.contains("listening on") || line.contains("level=fatal"));
        let line = said.expect("docker-registry says that it listens");
        assert!(line.contains("listening on"), "it does not start: {line}");
        // Somebody has to read the rest, or it stops at a full pipe.
        thread::spawn(move || lines.for_each(drop));
        Self { process, host }
    }

    /// The place of an image in it.
    pub(super) fn place(&self, image: &str) -> String {
        format!("docker://{}/{image}", self.host)
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
