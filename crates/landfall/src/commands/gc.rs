//! `landfall gc`.

use std::time::Duration;

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cli::{Format, GcCommand},
    client::Client,
    output::{self, bytes, number, text, time},
};

/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn run(client: &Client, command: GcCommand, format: Format) -> Result<()> {
    match command {
        GcCommand::List => {
            let items = client.list(&["gc", "runs"]).await?;
            let header = ["STARTED", "PHASE", "DRY RUN", "BLOBS", "FREED"];
            output::listing(format, &items, &header, |item| {
                vec![
                    time(item, "started"),
                    text(item, "phase"),
                    text(item, "dry_run"),
                    text(&item["report"], "blobs"),
                    bytes(&item["report"], "freed_bytes"),
                ]
            });
        }
        GcCommand::Run { dry_run, grace } => {
            let grace = grace.map(|grace| grace.as_secs());
            let body = json!({ "dry_run": dry_run, "grace_seconds": grace });
            let run = client
                .call(Method::POST, &["gc", "runs"], &[], Some(&body))
                .await?;
            let run = follow(client, run).await?;
            if let Some(error) = run["error"].as_str() {
                bail!("{error}");
            }
            report(format, &run, dry_run);
        }
    }
    Ok(())
}

/// Watches a run until it ends.
async fn follow(client: &Client, mut run: Value) -> Result<Value> {
    let bar = output::progress("{spinner} {msg}");
    let id = text(&run, "id");
    while run["ended"].is_null() {
        bar.set_message(format!(
            "{}: {} candidates, {} blobs, {} freed",
            text(&run, "phase"),
            number(&run, "candidates"),
            number(&run["report"], "blobs"),
            bytes(&run["report"], "freed_bytes"),
        ));
        bar.tick();
        tokio::time::sleep(LOOK).await;
        run = client.get(&["gc", "runs", &id]).await?;
    }
    bar.finish_and_clear();
    Ok(run)
}

fn report(format: Format, run: &Value, dry_run: bool) {
    let report = &run["report"];
    let of =
        |count: &str, size: &str| format!("{} ({})", number(report, count), bytes(report, size));
    let mut rows = vec![(
        if dry_run {
            "would collect"
        } else {
            "collected"
        },
        of("blobs", "bytes"),
    )];
    if dry_run {
        rows.push(("would free", bytes(report, "freed_bytes")));
    } else {
        rows.extend([
            ("purged manifests", text(report, "manifests")),
            ("ended uploads", text(report, "uploads")),
            ("orphans", text(report, "orphans")),
            ("deleted objects", text(report, "deleted")),
            ("freed", bytes(report, "freed_bytes")),
        ]);
    }
    rows.push(("waiting in trash", of("waiting", "waiting_bytes")));
    output::details(format, run, &rows);
}
