//! `/api/v1/backups`: a backup of the metadata, as a download.

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio_util::io::ReaderStream;

use super::{caller::Call, problem::Problem};
use crate::{backup, registry_api::chain};

/// Makes a backup of the metadata while everything goes on, and answers with
/// it: a tar archive. It holds password hashes; keep it as you keep those.
#[utoipa::path(post, path = "/backups", operation_id = "backup_create",
    tag = "operation",
    responses((status = 200, content_type = "application/x-tar", body = Vec<u8>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(call: Call) -> Result<Response, Problem> {
    call.allow_operation().await?;
    let server = &call.server;
    let now = server.clock.now();
    let store = server.registry.store_id();
    let made = backup::make(&server.database, store, now, &server.settings.scratch).await;
    let archive = made.map_err(|error| {
        tracing::error!(error = %chain(&error), "a backup was not made");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "backup-failed",
            error.to_string(),
        )
    })?;
    let mut archive = tokio::fs::File::from_std(archive);
    let failed = |error: std::io::Error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "backup-failed",
            error.to_string(),
        )
    };
    tokio::io::AsyncSeekExt::rewind(&mut archive)
        .await
        .map_err(failed)?;
    let size = archive.metadata().await.map_err(failed)?.len();
    let name = format!(
        "attachment; filename=\"landfall-{}.tar\"",
        now.unix_seconds()
    );
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(archive))).into_response())
}
