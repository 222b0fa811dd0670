//! What is told at the end, or before a copy that is only planned.

use std::process::ExitCode;

use indicatif::DecimalBytes;
use landfall_transfer::{Counted, ImageReport, Outcome, Plan, Report};
use serde_json::{Value, json};

use super::{code, word};
use crate::{cli::Format, output};

/// Prints what would be copied where.
pub(super) fn plan(plan: &Plan, format: Format) -> ExitCode {
    let items: Vec<Value> = plan
        .items()
        .iter()
        .map(|item| json!({ "source": item.from, "destination": item.to }))
        .collect();
    match format {
        Format::Json => {
            let failed = plan.failed().iter().map(failure).collect::<Vec<_>>();
            output::json(&json!({ "images": items, "failed": failed }));
        }
        Format::Table => output::listing(format, &items, &["SOURCE", "DESTINATION"], |item| {
            ["source", "destination"]
                .map(|field| output::text(item, field))
                .to_vec()
        }),
    }
    if format == Format::Table {
        failures(plan.failed().iter());
    }
    code(plan.failed().len())
}

fn failure(image: &ImageReport) -> Value {
    json!({ "source": image.source, "error": image.error })
}

/// Prints what was copied, and what was not.
pub(super) fn report(report: &Report, format: Format) -> ExitCode {
    let failed = report.count(Outcome::Failed);
    if format == Format::Json {
        let mut value = serde_json::to_value(report).unwrap_or_default();
        for outcome in [Outcome::Copied, Outcome::Unchanged, Outcome::Failed] {
            value[word(outcome)] = json!(report.count(outcome));
        }
        output::json(&value);
        return code(failed);
    }
    if let [only] = &report.images[..]
        && failed == 0
    {
        output::line(&format!("{} {}", word(only.outcome), line_of(only)));
    } else {
        let counts = [Outcome::Copied, Outcome::Unchanged, Outcome::Failed]
            .map(|outcome| format!("{} {}", report.count(outcome), word(outcome)));
        output::line(&format!(
            "{} images: {}",
            report.images.len(),
            counts.join(", ")
        ));
    }
    let content = &report.content;
    let parts = [
        ("copied", content.copied),
        ("already there", content.skipped),
        ("mounted", content.mounted),
        ("not to be distributed", content.foreign),
    ];
    let parts = parts
        .iter()
        .filter(|(_, counted)| *counted != Counted::default());
    let parts: Vec<String> = parts.map(|(what, each)| counted(what, *each)).collect();
    if !parts.is_empty() {
        output::line(&format!("content: {}", parts.join(", ")));
    }
    failures(report.images.iter());
    code(failed)
}

/// `3 copied (42.1 MB)`: layers and configurations.
fn counted(what: &str, counted: Counted) -> String {
    format!("{} {what} ({})", counted.count, DecimalBytes(counted.bytes))
}

/// Lists what failed.
fn failures<'a>(images: impl Iterator<Item = &'a ImageReport>) {
    let failed: Vec<&ImageReport> = images
        .filter(|image| image.outcome == Outcome::Failed)
        .collect();
    if failed.is_empty() {
        return;
    }
    output::warn(&format!("error: {} failed:", failed.len()));
    for image in failed {
        let error = image.error.as_deref().unwrap_or_default();
        output::warn(&format!("  {}: {error}", image.source));
    }
}

/// `docker://old/a:1 to acme/a:1, sha256:0123456789ab`.
pub(super) fn line_of(image: &ImageReport) -> String {
    let digest = image.digest.map(|digest| format!(", {digest}"));
    format!(
        "{} to {}{}",
        image.source,
        image.destination,
        digest.unwrap_or_default()
    )
}
