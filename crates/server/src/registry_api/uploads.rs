//! `/v2/<name>/blobs/uploads/` (specification: "Pushing Blobs", "Mounting a
//! blob from another repository").

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, TryStreamExt};
use landfall_identity::Action;
use landfall_ids::{AccountId, UploadId};
use landfall_oci::{Algorithm, ByteRange, Digest, ErrorCode, RepositoryName};
use landfall_registry::{Error, UploadStatus};

use super::{Call, OciError, blobs, query::Query, route};

/// `POST`: mount, push in one request, or start a session.
pub(super) async fn start(
    call: Call,
    name: RepositoryName,
    body: Body,
) -> Result<Response, OciError> {
    call.allow(Action::Push, &name).await?;
    let query = call.query()?;
    let account = call.account(&name).await?;
    // A mount that does not work out falls back to an upload.
    if let Some(text) = query.get("mount") {
        let digest = route::digest(text)?;
        if mount(&call, &name, account, &digest, &query).await? {
            return Ok(created(&name, &digest));
        }
    } else if let Some(text) = query.get("digest") {
        let digest = route::digest(text)?;
        call.registry()
            .blob_push(&name, account, &digest, frames(body))
            .await?;
        return Ok(created(&name, &digest));
    }
    let algorithm = match query.get("digest-algorithm") {
        None => Algorithm::Sha256,
        Some(text) => text.parse().map_err(|error: landfall_oci::InvalidDigest| {
            OciError::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::DigestInvalid,
                error.to_string(),
            )
        })?,
    };
    let started = call
        .registry()
        .upload_start(&name, account, algorithm)
        .await?;
    Ok((StatusCode::ACCEPTED, progress(&name, started)).into_response())
}

/// Links the blob from the named repository, or from one of the same account,
/// if the caller may read it there.
async fn mount(
    call: &Call,
    name: &RepositoryName,
    account: AccountId,
    digest: &Digest,
    query: &Query,
) -> Result<bool, OciError> {
    let registry = call.registry();
    let sources = match query.get("from") {
        Some(from) => from.parse().into_iter().collect(),
        None => registry.blob_sources(account, digest).await?,
    };
    for from in &sources {
        // The right comes first: what the caller may not read is not looked at.
        if call.may_pull(from).await? && registry.blob_mount(name, account, digest, from).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) async fn status(
    call: Call,
    name: RepositoryName,
    id: UploadId,
) -> Result<Response, OciError> {
    call.allow(Action::Push, &name).await?;
    let status = call.server.registry.upload_status(&name, id).await?;
    Ok((StatusCode::NO_CONTENT, progress(&name, status)).into_response())
}

pub(super) async fn append(
    call: Call,
    name: RepositoryName,
    id: UploadId,
    body: Body,
) -> Result<Response, OciError> {
    call.allow(Action::Push, &name).await?;
    let range = chunk(&call, &name, id).await?;
    let appended = call
        .server
        .registry
        .upload_append(&name, id, range, frames(body))
        .await;
    let status = appended.map_err(|error| failed(&name, id, error))?;
    Ok((StatusCode::ACCEPTED, progress(&name, status)).into_response())
}

pub(super) async fn finish(
    call: Call,
    name: RepositoryName,
    id: UploadId,
    body: Body,
) -> Result<Response, OciError> {
    call.allow(Action::Push, &name).await?;
    let query = call.query()?;
    let Some(named) = query.get("digest") else {
        let message = "the closing request must name the `digest` of the blob".to_owned();
        return Err(OciError::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::DigestInvalid,
            message,
        ));
    };
    let digest = route::digest(named)?;
    let range = chunk(&call, &name, id).await?;
    let finished = call
        .registry()
        .upload_finish(&name, id, &digest, range, frames(body))
        .await;
    finished.map_err(|error| failed(&name, id, error))?;
    Ok(created(&name, &digest))
}

pub(super) async fn cancel(
    call: Call,
    name: RepositoryName,
    id: UploadId,
) -> Result<Response, OciError> {
    call.allow(Action::Push, &name).await?;
    call.server.registry.upload_cancel(&name, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The range that a chunk says it is, if it says so. A text that is no range
/// is answered as a chunk out of order.
async fn chunk(
    call: &Call,
    name: &RepositoryName,
    id: UploadId,
) -> Result<Option<ByteRange>, OciError> {
    let Some(value) = call.parts.headers.get(header::CONTENT_RANGE) else {
        return Ok(None);
    };
    if let Some(range) = value
        .to_str()
        .ok()
        .and_then(|text| ByteRange::of_chunk(text).ok())
    {
        return Ok(Some(range));
    }
    let UploadStatus { received, .. } = call.server.registry.upload_status(name, id).await?;
    Err(failed(name, id, Error::ChunkOutOfOrder { received }))
}

/// A chunk out of order is told where the upload stands.
fn failed(name: &RepositoryName, id: UploadId, error: Error) -> OciError {
    let Error::ChunkOutOfOrder { received } = error else {
        return error.into();
    };
    let mut answer = OciError::from(error);
    let mut headers = progress(name, UploadStatus { id, received });
    // This answer has a body.
    headers.remove(header::CONTENT_LENGTH);
    for (header, value) in headers {
        if let Some(header) = header {
            answer = answer.with_header(header, value);
        }
    }
    answer
}

/// The headers that tell how far an upload is.
fn progress(name: &RepositoryName, status: UploadStatus) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let UploadStatus { id, received } = status;
    blobs::locate(&mut headers, &format!("/v2/{name}/blobs/uploads/{id}"));
    blobs::insert(
        &mut headers,
        "range",
        &format!("0-{}", received.saturating_sub(1)),
    );
    blobs::insert(&mut headers, "docker-upload-uuid", &id.to_string());
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers
}

fn created(name: &RepositoryName, digest: &Digest) -> Response {
    let mut headers = HeaderMap::new();
    blobs::locate(&mut headers, &format!("/v2/{name}/blobs/{digest}"));
    blobs::name_digest(&mut headers, digest);
    (StatusCode::CREATED, headers).into_response()
}

fn frames(body: Body) -> landfall_registry::Body<'static> {
    body.into_data_stream()
        .map_err(|error| error.to_string())
        .boxed()
}
