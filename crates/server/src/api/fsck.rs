//! `/api/v1/fsck/runs`: checks of the store.

use axum::{Json, http::StatusCode};
use landfall_ids::RunId;
use landfall_registry::{FsckOptions, FsckReport};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    caller::{Call, Segments},
    paging::{Content, Listing},
    problem::Problem,
    runs::{LOST, RunBody},
};
use crate::runs::FsckRun;

/// How to check.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NewFsckRun {
    /// Quarantine what is damaged, so that the next push heals it.
    repair: bool,
    /// Compare sizes only, and read no bytes.
    quick: bool,
}

/// A check.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FsckRunBody {
    /// Its identity.
    #[schema(value_type = String)]
    id: RunId,
    /// Whether it repairs.
    repair: bool,
    /// When it began, in RFC 3339.
    started: String,
    /// When it ended; absent while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// Blobs that were checked.
    blobs: u64,
    /// Blobs that there were at the start.
    total_blobs: u64,
    /// Bytes that were checked.
    bytes: u64,
    /// Bytes that there were at the start.
    total_bytes: u64,
    /// What was found; absent while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<FsckReportBody>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What a check found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FsckReportBody {
    /// Whether everything is as it should be.
    clean: bool,
    /// Blobs that were checked.
    blobs: u64,
    /// Their bytes.
    bytes: u64,
    /// Manifests that were checked.
    manifests: u64,
    /// The first thousand problems.
    problems: Vec<FsckProblemBody>,
    /// How many problems there are.
    problem_count: u64,
    /// How many of them were repaired.
    repaired: u64,
}

/// Something that is not as it should be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FsckProblemBody {
    /// `blob-missing`, `blob-corrupt`, `blob-damaged`, `manifest-corrupt` or
    /// `orphan`.
    kind: String,
    /// What a person reads.
    detail: String,
}

impl From<FsckReport> for FsckReportBody {
    fn from(report: FsckReport) -> Self {
        let problems = report.problems.iter().map(|problem| FsckProblemBody {
            kind: problem.kind().to_owned(),
            detail: problem.sentence(),
        });
        Self {
            clean: report.problem_count == 0,
            blobs: report.blobs,
            bytes: report.bytes,
            manifests: report.manifests,
            problems: problems.collect(),
            problem_count: report.problem_count,
            repaired: report.repaired,
        }
    }
}

impl From<&FsckRun> for FsckRunBody {
    fn from(run: &FsckRun) -> Self {
        let outcome = run.outcome();
        let ended = outcome.as_ref().map(|outcome| outcome.ended.to_string());
        let (report, error) = match outcome.map(|outcome| outcome.result) {
            None => (None, None),
            Some(Ok(report)) => (Some(report.into()), None),
            Some(Err(error)) => (None, Some(error)),
        };
        let ((blobs, total_blobs), (bytes, total_bytes)) =
            (run.progress.blobs(), run.progress.bytes());
        Self {
            id: run.id,
            repair: run.options.repair,
            started: run.started.to_string(),
            ended,
            blobs,
            total_blobs,
            bytes,
            total_bytes,
            report,
            error,
        }
    }
}

impl RunBody for FsckRunBody {
    fn lost(self, at: String) -> Self {
        Self {
            ended: Some(at),
            error: Some(LOST.to_owned()),
            ..self
        }
    }
}

/// Lists the last checks of all servers, newest first.
#[utoipa::path(get, path = "/fsck/runs", operation_id = "fsck_run_list",
    tag = "operation",
    responses((status = 200, body = Listing<FsckRunBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(call: Call) -> Result<Json<Listing<FsckRunBody>>, Problem> {
    call.allow_operation().await?;
    Ok(Json(Listing::whole(call.server.runs.fsck().await?)))
}

/// Starts a check; it goes on after the answer.
#[utoipa::path(post, path = "/fsck/runs", operation_id = "fsck_run_start",
    tag = "operation", request_body = NewFsckRun,
    responses((status = 202, body = FsckRunBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn start(
    call: Call,
    content: Content,
) -> Result<(StatusCode, Json<FsckRunBody>), Problem> {
    call.allow_operation().await?;
    let new: NewFsckRun = content.read().await?;
    let options = FsckOptions {
        repair: new.repair,
        quick: new.quick,
    };
    let run = call.server.runs.start_fsck(options).await?;
    Ok((StatusCode::ACCEPTED, Json((&*run).into())))
}

/// How far a check is, or what it found.
#[utoipa::path(get, path = "/fsck/runs/{id}", operation_id = "fsck_run_show",
    tag = "operation",
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, body = FsckRunBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    call: Call,
    Segments(id): Segments<RunId>,
) -> Result<Json<FsckRunBody>, Problem> {
    call.allow_operation().await?;
    let runs = call.server.runs.fsck().await?;
    let run = runs.into_iter().find(|run| run.id == id);
    let run = run.ok_or_else(|| Problem::not_found(format!("no check {id} is remembered")))?;
    Ok(Json(run))
}
