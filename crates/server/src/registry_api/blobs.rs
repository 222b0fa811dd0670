//! `/v2/<name>/blobs/<digest>` (specification: "Pulling blobs", "Deleting
//! Blobs"), with ranges and conditions (RFC 9110 sections 13 and 14).

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use landfall_blobs::BlobStream;
use landfall_identity::Action;
use landfall_oci::{ByteRange, Digest, ErrorCode, RepositoryName, RequestedRange};

use super::{Call, OciError};

pub(super) async fn get(
    call: Call,
    name: RepositoryName,
    digest: Digest,
) -> Result<Response, OciError> {
    call.allow(Action::Pull, &name)?;
    let (blob, source) = call.server.registry.blob_open(&name, &digest).await?;
    let mut headers = describe(&digest);
    if call
        .header(header::IF_NONE_MATCH)
        .is_some_and(|sent| matches(sent, &digest))
    {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    // A range is of the content that the client has a part of, or of nothing.
    let current = call
        .header(header::IF_RANGE)
        .is_none_or(|sent| matches(sent, &digest));
    let requested = match call.header(header::RANGE).filter(|_| current) {
        Some(range) => ByteRange::requested(range, blob.size),
        None => RequestedRange::Whole,
    };
    let (status, range) = match requested {
        RequestedRange::Whole => (StatusCode::OK, 0..blob.size),
        RequestedRange::Part(part) => {
            insert(
                &mut headers,
                "content-range",
                &part.content_range(blob.size),
            );
            (StatusCode::PARTIAL_CONTENT, part.first()..part.last() + 1)
        }
        RequestedRange::Unsatisfiable => {
            let message = format!(
                "the blob has {} bytes; the range lies behind them",
                blob.size
            );
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            let error = OciError::new(status, ErrorCode::SizeInvalid, message);
            let size = HeaderValue::from_str(&ByteRange::unsatisfied(blob.size));
            return Err(match size {
                Ok(size) => error.with_header(header::CONTENT_RANGE, size),
                Err(_) => error,
            });
        }
    };
    headers.insert(
        header::CONTENT_LENGTH,
        HeaderValue::from(range.end - range.start),
    );
    let body = Body::new(BlobBody(source.read(range)));
    Ok((status, headers, body).into_response())
}

pub(super) async fn head(
    call: Call,
    name: RepositoryName,
    digest: Digest,
) -> Result<Response, OciError> {
    call.allow(Action::Pull, &name)?;
    let blob = call.server.registry.blob_promise(&name, &digest).await?;
    let mut headers = describe(&digest);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(blob.size));
    Ok(headers.into_response())
}

pub(super) async fn delete(
    call: Call,
    name: RepositoryName,
    digest: Digest,
) -> Result<Response, OciError> {
    call.allow(Action::Delete, &name)?;
    call.server.registry.blob_delete(&name, &digest).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// The headers of every answer that is about a blob.
fn describe(digest: &Digest) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, octets);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let forever = HeaderValue::from_static("private, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, forever);
    name_content(&mut headers, digest);
    headers
}

/// Names the content of an answer: its digest, which is its entity tag too.
pub(super) fn name_content(headers: &mut HeaderMap, digest: &Digest) {
    name_digest(headers, digest);
    insert(headers, "etag", &format!("\"{digest}\""));
}

pub(super) fn name_digest(headers: &mut HeaderMap, digest: &Digest) {
    insert(headers, "docker-content-digest", &digest.to_string());
}

/// Tells where something is: a path, which holds behind every proxy.
pub(super) fn locate(headers: &mut HeaderMap, path: &str) {
    insert(headers, "location", path);
}

pub(super) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Whether a list of entity tags names this digest, or anything.
pub(super) fn matches(sent: &str, digest: &Digest) -> bool {
    let digest = digest.to_string();
    sent.split(',').map(str::trim).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.trim_matches('"') == digest
    })
}

/// The bytes of a blob as the body of an answer, of a known length.
struct BlobBody(BlobStream);

impl http_body::Body for BlobBody {
    type Data = Bytes;
    type Error = landfall_blobs::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.0).poll_next(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.0.remaining() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.remaining())
    }
}
