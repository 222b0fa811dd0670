//! Clients that lie, stall, break off or come in crowds. After each the server
//! is well: it answers right, its store is clean, and nothing is left behind.

mod credentials;
mod crowd;
mod disconnects;
mod documents;
mod held;
mod large;
mod names;
mod raw;
mod slow;
mod tokens;
mod uploads;

use std::{fs, path::Path, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    server::{Options, Server},
    session::{Image, Session},
};

/// A server that will be treated badly.
struct Victim {
    server: Server,
    session: Session,
    _directory: TempDir,
}

impl Victim {
    fn start() -> Self {
        Self::start_with(Options::default())
    }

    fn start_with(options: Options) -> Self {
        let directory = tempfile::tempdir().expect("scratch directory");
        // What is left of an upload goes with the first collection after this.
        let options = options.set("LANDFALL_REGISTRY_UPLOAD_LIFETIME", "1s");
        let server = Server::start_with(&directory.path().join("data"), &options);
        let session = Session::of(&server);
        Self {
            server,
            session,
            _directory: directory,
        }
    }

    /// Fails unless the server does everything that it should, its store is
    /// whole, and no bytes are left of what went wrong.
    async fn assert_well(&self) {
        for path in ["/healthz", "/readyz"] {
            assert_eq!(self.session.get(path).await.status(), 200, "{path}");
        }
        let image = Image::new(7, 8);
        self.session.push("acme/well", "v1", &image).await;
        self.session.assert_pulls("acme/well", "v1", &image).await;
        let leftovers = || {
            let staging = entries(&self.server.data.join("blobs/staging"));
            staging
                .into_iter()
                .chain(entries(&self.server.data.join("scratch")))
        };
        // An upload is given up when it has lain still for its lifetime.
        for _ in 0..120 {
            let words = ["gc", "run", "--grace", "0s", "--output", "json"];
            let gc = tokio::task::block_in_place(|| self.server.landfall(words));
            let said = String::from_utf8_lossy(&gc.stderr);
            // The server's own collector may be at it.
            let is_busy = said.contains("going on already");
            assert!(gc.status.success() || is_busy, "{said}");
            if leftovers().next().is_none() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let left: Vec<_> = leftovers().collect();
        assert!(left.is_empty(), "temporary files are left: {left:?}");
        let fsck = tokio::task::block_in_place(|| self.server.landfall(["fsck", "-o", "json"]));
        let report: Value = serde_json::from_slice(&fsck.stdout).expect("JSON");
        assert_eq!(report["report"]["clean"], true, "{report}");
        self.session.assert_pulls("acme/well", "v1", &image).await;
        let log = self.server.log();
        assert!(!log.contains("panicked"), "a handler panicked:\n{log}");
    }

    /// The value of a metric without labels.
    async fn metric(&self, name: &str) -> f64 {
        let text = self
            .session
            .get("/metrics")
            .await
            .text()
            .await
            .expect("text");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok())
            .unwrap_or_default()
    }

    /// Waits until a metric fits, for at most two minutes.
    async fn wait_for(&self, name: &str, fits: impl Fn(f64) -> bool) {
        let mut last = 0.0;
        for _ in 0..600 {
            last = self.metric(name).await;
            if fits(last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("{name} stays at {last}");
    }
}

/// The names in a folder.
fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
