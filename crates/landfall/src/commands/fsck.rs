//! `landfall fsck`.

use std::{process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cli::Format,
    client::Client,
    output::{self, bytes, number, text},
};

/// How often a check is looked at.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn run(
    client: &Client,
    repair: bool,
    quick: bool,
    format: Format,
) -> Result<ExitCode> {
    let body = json!({ "repair": repair, "quick": quick });
    let mut run = client
        .call(Method::POST, &["fsck", "runs"], &[], Some(&body))
        .await?;
    let id = text(&run, "id");
    let bar = output::progress(
        "{bar:30} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {msg}",
    );
    while run["ended"].is_null() {
        bar.set_length(number(&run, "total_bytes"));
        bar.set_position(number(&run, "bytes"));
        bar.set_message(format!("{} blobs", number(&run, "blobs")));
        tokio::time::sleep(LOOK).await;
        run = client.get(&["fsck", "runs", &id]).await?;
    }
    bar.finish_and_clear();
    if let Some(error) = run["error"].as_str() {
        bail!("{error}");
    }
    let report = &run["report"];
    let clean = report["clean"].as_bool().unwrap_or_default();
    output::details(
        format,
        &run,
        &[
            (
                "blobs",
                format!("{} ({})", number(report, "blobs"), bytes(report, "bytes")),
            ),
            ("manifests", text(report, "manifests")),
            ("problems", text(report, "problem_count")),
            ("repaired", text(report, "repaired")),
        ],
    );
    if format == Format::Table {
        for problem in report["problems"].as_array().into_iter().flatten() {
            output::line(&text(problem, "detail"));
        }
        if !clean && !repair && has_damage(report) {
            output::warn("hint: `landfall fsck --repair` lets the next push heal damaged blobs");
        }
    }
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn has_damage(report: &Value) -> bool {
    let problems = report["problems"].as_array().into_iter().flatten();
    problems
        .into_iter()
        .any(|problem| text(problem, "kind").starts_with("blob-"))
}
