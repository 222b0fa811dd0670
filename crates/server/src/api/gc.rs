//! `/api/v1/gc/runs`: garbage collection.

use std::time::Duration;

use axum::{Json, http::StatusCode};
use landfall_ids::RunId;
use landfall_registry::{GarbageOptions, GarbageReport};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    caller::{Call, Segments},
    paging::{Content, Listing},
    problem::Problem,
    runs::{LOST, RunBody},
};
use crate::runs::GarbageRun;

/// How to run the collector.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NewGarbageRun {
    /// Only tell what would go.
    dry_run: bool,
    /// Instead of the promise and the trash delay of the settings, if shorter.
    grace_seconds: Option<u64>,
}

/// A run of the collector.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct GarbageRunBody {
    /// Its identity.
    #[schema(value_type = String)]
    id: RunId,
    /// Whether it only tells what would go.
    dry_run: bool,
    /// When it began, in RFC 3339.
    started: String,
    /// When it ended; absent while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// What it does now: `uploads`, `untagged`, `purge`, `collect`, `sweep`,
    /// `orphans`; `done` or `failed` at the end.
    phase: String,
    /// Candidates that were looked at.
    candidates: u64,
    /// What was done so far.
    report: GarbageReportBody,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What a run did, or would do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct GarbageReportBody {
    /// Uploads that were given up.
    uploads: u64,
    /// Deleted manifests that let go of their blobs.
    manifests: u64,
    /// Blobs that nobody needed.
    blobs: u64,
    /// Their bytes.
    bytes: u64,
    /// Objects that no row named.
    orphans: u64,
    /// Objects whose bytes were deleted.
    deleted: u64,
    /// The bytes that are free now.
    freed_bytes: u64,
    /// Objects whose bytes wait for the end of the trash delay.
    waiting: u64,
    /// Their bytes.
    waiting_bytes: u64,
}

impl From<GarbageReport> for GarbageReportBody {
    fn from(report: GarbageReport) -> Self {
        Self {
            uploads: report.uploads,
            manifests: report.manifests,
            blobs: report.blobs,
            bytes: report.bytes,
            orphans: report.orphans,
            deleted: report.deleted,
            freed_bytes: report.freed_bytes,
            waiting: report.waiting,
            waiting_bytes: report.waiting_bytes,
        }
    }
}

impl From<&GarbageRun> for GarbageRunBody {
    fn from(run: &GarbageRun) -> Self {
        let outcome = run.outcome();
        let (phase, report, error) = match outcome.as_ref().map(|outcome| &outcome.result) {
            None => (run.progress.phase(), run.progress.report(), None),
            Some(Ok(report)) => ("done", *report, None),
            Some(Err(error)) => ("failed", run.progress.report(), Some(error.clone())),
        };
        Self {
            id: run.id,
            dry_run: run.options.dry_run,
            started: run.started.to_string(),
            ended: outcome.map(|outcome| outcome.ended.to_string()),
            phase: phase.to_owned(),
            candidates: run.progress.candidates(),
            report: report.into(),
            error,
        }
    }
}

impl RunBody for GarbageRunBody {
    fn lost(self, at: String) -> Self {
        Self {
            ended: Some(at),
            phase: "failed".to_owned(),
            error: Some(LOST.to_owned()),
            ..self
        }
    }
}

/// Lists the last runs of all servers, newest first.
#[utoipa::path(get, path = "/gc/runs", operation_id = "gc_run_list",
    tag = "operation",
    responses((status = 200, body = Listing<GarbageRunBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(call: Call) -> Result<Json<Listing<GarbageRunBody>>, Problem> {
    call.allow_operation().await?;
    Ok(Json(Listing::whole(call.server.runs.garbage().await?)))
}

/// Starts the collector; it goes on after the answer.
#[utoipa::path(post, path = "/gc/runs", operation_id = "gc_run_start",
    tag = "operation", request_body = NewGarbageRun,
    responses((status = 202, body = GarbageRunBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn start(
    call: Call,
    content: Content,
) -> Result<(StatusCode, Json<GarbageRunBody>), Problem> {
    call.allow_operation().await?;
    let new: NewGarbageRun = content.read().await?;
    let grace = new.grace_seconds.map(Duration::from_secs);
    let options = GarbageOptions {
        skip_orphans: false,
        dry_run: new.dry_run,
        grace,
    };
    let run = call.server.runs.start_garbage(options).await?;
    Ok((StatusCode::ACCEPTED, Json((&*run).into())))
}

/// How far a run is, or what it did.
#[utoipa::path(get, path = "/gc/runs/{id}", operation_id = "gc_run_show",
    tag = "operation",
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, body = GarbageRunBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    call: Call,
    Segments(id): Segments<RunId>,
) -> Result<Json<GarbageRunBody>, Problem> {
    call.allow_operation().await?;
    let runs = call.server.runs.garbage().await?;
    let run = runs.into_iter().find(|run| run.id == id);
    let run = run.ok_or_else(|| Problem::not_found(format!("no run {id} is remembered")))?;
    Ok(Json(run))
}
