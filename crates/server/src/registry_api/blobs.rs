//! `/v2/<name>/blobs/<digest>` (specification: "Pulling blobs", "Deleting
//! Blobs"), with ranges and conditions (RFC 9110 sections 13 and 14).

use std::{
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use landfall_blobs::{BlobSource, BlobStream, FilePart, Piece};
use landfall_identity::Action;
use landfall_oci::{ByteRange, Digest, ErrorCode, RepositoryName, RequestedRange};

use super::{Call, OciError, counted::Counted};
use crate::listen::FileLane;

/// How long a client has to begin with the download that it was sent to.
const REDIRECT_LIFETIME: Duration = Duration::from_mins(5);

pub(super) async fn get(
    call: Call,
    name: RepositoryName,
    digest: Digest,
) -> Result<Response, OciError> {
    call.allow(Action::Pull, &name).await?;
    if call.server.settings.redirect_pulls
        && let Some(answer) = redirect(&call, &name, &digest).await?
    {
        return Ok(answer);
    }
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
    let lane = call.parts.extensions.get::<FileLane>().cloned();
    let usage = call.server.registry.usage_of(&name);
    let body = Body::new(Counted::new(BlobBody::new(&source, range, lane), usage));
    Ok((status, headers, body).into_response())
}

/// Sends the client to where the bytes lie, if they can be read there. The
/// client asks there for the same range as here.
async fn redirect(
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Response>, OciError> {
    let registry = &call.server.registry;
    let found = registry.blob_url(name, digest, REDIRECT_LIFETIME).await?;
    let Some((blob, url)) = found else {
        return Ok(None);
    };
    let mut headers = HeaderMap::with_capacity(4);
    name_content(&mut headers, digest);
    // The URL opens the blob for whoever has it.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if call
        .header(header::IF_NONE_MATCH)
        .is_some_and(|sent| matches(sent, digest))
    {
        return Ok(Some((StatusCode::NOT_MODIFIED, headers).into_response()));
    }
    if call.header(header::RANGE).is_none() {
        registry.usage_of(name).sent(blob.size);
    }
    locate(&mut headers, &url);
    Ok(Some(
        (StatusCode::TEMPORARY_REDIRECT, headers).into_response(),
    ))
}

pub(super) async fn head(
    call: Call,
    name: RepositoryName,
    digest: Digest,
) -> Result<Response, OciError> {
    call.allow(Action::Pull, &name).await?;
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
    call.allow(Action::Delete, &name).await?;
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
enum BlobBody {
    /// They are read.
    Read(BlobStream),
    /// They are sent by the kernel where they are in a file.
    Lent(BlobStream<Piece>, FileLane),
}

/// What is lent fits the lane.
const _: () = assert!(FilePart::LONGEST <= FileLane::LONGEST);

impl BlobBody {
    fn new(source: &BlobSource, range: Range<u64>, lane: Option<FileLane>) -> Self {
        match lane {
            Some(lane) => Self::Lent(source.pieces(range), lane),
            None => Self::Read(source.read(range)),
        }
    }

    fn remaining(&self) -> u64 {
        match self {
            Self::Read(bytes) => bytes.remaining(),
            Self::Lent(pieces, _) => pieces.remaining(),
        }
    }
}

impl http_body::Body for BlobBody {
    type Data = Bytes;
    type Error = landfall_blobs::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = match &mut *self {
            Self::Read(bytes) => Pin::new(bytes).poll_next(cx),
            Self::Lent(pieces, lane) => {
                Pin::new(pieces).poll_next(cx).map_ok(|piece| match piece {
                    Piece::Bytes(bytes) => bytes,
                    Piece::File(part) => lane.lend(part.file, part.offset, part.length),
                })
            }
        };
        bytes.map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.remaining() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining())
    }
}
