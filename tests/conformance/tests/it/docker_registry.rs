//! Debian's docker-registry, running on a scratch directory.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::TempDir;

/// A running docker-registry; it ends with this value.
pub(crate) struct DockerRegistry {
    process: Child,
    /// Where it listens: `http://127.0.0.1:<port>`.
    pub(crate) url: String,
    _directory: TempDir,
}

impl DockerRegistry {
    /// Starts one, and comes back when it listens.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let address = free_address();
        let config = directory.path().join("config.yml");
        let root = directory.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nhttp: {{addr: '{address}'}}\nstorage:\n  \
             filesystem: {{rootdirectory: '{}'}}\n  delete: {{enabled: true}}\n",
            root.display()
        );
        fs::write(&config, text).expect("the configuration is written");
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry starts (Debian package `docker-registry`)");
        let log = BufReader::new(process.stderr.take().expect("its log"));
        let mut lines = log.lines().map_while(Result::ok);
        let said = lines.find(|line| line.contains("listening on") || line.contains("level=fatal"));
        let line = said.expect("docker-registry says that it listens");
        assert!(
            line.contains("listening on"),
            "docker-registry does not start: {line}"
        );
        // Somebody has to read the rest, or the registry stops at a full pipe.
        thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            url: format!("http://{address}"),
            _directory: directory,
        }
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}
