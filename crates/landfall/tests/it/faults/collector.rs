//! The collector, run again and again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::{runtime::Runtime, task::JoinHandle};

use super::{
    client::{Client, Lost},
    load::Gate,
};

/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How long a run of a server that has died is taken for going on, at the most.
const LEASE: Duration = Duration::from_secs(20);

/// Runs the collector as long as there is a server.
pub(crate) struct Collector(JoinHandle<Lost>);

impl Collector {
    /// With this grace in seconds, or as the settings say.
    pub(crate) fn start(runtime: &Runtime, url: &str, grace: Option<u64>, gate: Gate) -> Self {
        let client = Client::new(url);
        Self(runtime.spawn(async move {
            loop {
                let _open = gate.read().await;
                if let Err(lost) = collect(&client, grace).await {
                    return lost;
                }
            }
        }))
    }

    /// Waits until the server is gone.
    pub(crate) async fn ends(self) -> Lost {
        match self.0.await {
            Ok(lost) => lost,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Runs the collector once, to its end, and tells what it did.
pub(crate) async fn collect(client: &Client, grace: Option<u64>) -> Result<Value, Lost> {
    let body = json!({ "dry_run": false, "grace_seconds": grace });
    let since = Instant::now();
    let started = loop {
        let started = client.post_json("/api/v1/gc/runs", &body).await?;
        // A server that died in a run keeps the others waiting for a while.
        if started.status != 409 || since.elapsed() > LEASE {
            break started;
        }
        tokio::time::sleep(LOOK).await;
    };
    assert_eq!(started.status, 202, "{}", started.told());
    let mut run: Value = serde_json::from_slice(&started.body).unwrap_or_default();
    let path = format!("/api/v1/gc/runs/{}", run["id"].as_str().unwrap_or_default());
    while run["ended"].is_null() {
        tokio::time::sleep(LOOK).await;
        let answer = client.get(&path).await?;
        assert_eq!(answer.status, 200, "{}", answer.told());
        run = serde_json::from_slice(&answer.body).unwrap_or_default();
    }
    assert!(run["error"].is_null(), "the collector failed: {run}");
    Ok(run)
}
