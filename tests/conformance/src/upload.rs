//! An upload session, driven step by step.

use bytes::Bytes;
use reqwest::{Method, Url};

use crate::{
    Failure,
    answer::Answer,
    client::{Registry, Request},
    fixture::Blob,
    repository::Repository,
};

/// The size of a chunk where the registry does not ask for more.
const CHUNK: usize = 1000;

/// An open upload session.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    registry: Registry,
    /// Where the next request of the session goes.
    pub(crate) location: Url,
    /// The size of a chunk that the registry takes, in bytes.
    pub(crate) chunk: usize,
}

impl Upload {
    /// Opens a session in `repository`.
    pub(crate) async fn start(repository: &Repository) -> Result<Self, Failure> {
        let answer = repository
            .post_upload()
            .header("content-length", "0")
            .send()
            .await?;
        Self::opened(repository, &answer)
    }

    /// The session that `answer` opened.
    pub(crate) fn opened(repository: &Repository, answer: &Answer) -> Result<Self, Failure> {
        answer.expect(202)?;
        let minimum = answer
            .header("oci-chunk-min-length")
            .and_then(|text| text.parse().ok());
        Ok(Self {
            registry: repository.registry.clone(),
            location: answer.location()?,
            chunk: minimum.unwrap_or(0).max(CHUNK),
        })
    }

    /// A blob that takes two whole chunks and a bit.
    pub(crate) fn blob_of_three_chunks(&self) -> Blob {
        Blob::random(2 * self.chunk + 10)
    }

    fn request(&self, method: Method) -> Request {
        self.registry.request_url(method, self.location.clone())
    }

    /// A PATCH without a range.
    pub(crate) fn patch(&self) -> Request {
        self.request(Method::PATCH)
            .header("content-type", "application/octet-stream")
    }

    /// A PATCH of `bytes` that claims to start at `start`.
    pub(crate) fn patch_at(&self, start: usize, bytes: Bytes) -> Request {
        let range = range(start, bytes.len());
        self.patch().header("content-range", &range).body(bytes)
    }

    /// Sends a chunk, and goes on where the registry says.
    pub(crate) async fn send_chunk(
        &mut self,
        start: usize,
        bytes: Bytes,
    ) -> Result<Answer, Failure> {
        let answer = self.patch_at(start, bytes).send().await?;
        answer.expect(202)?;
        self.location = answer.location()?;
        Ok(answer)
    }

    /// A PUT that closes the session, without a body.
    pub(crate) fn close(&self, digest: &str) -> Request {
        self.request(Method::PUT)
            .query("digest", digest)
            .header("content-length", "0")
    }

    /// A PUT that carries the last chunk and closes the session.
    pub(crate) fn close_at(&self, digest: &str, start: usize, bytes: Bytes) -> Request {
        let range = range(start, bytes.len());
        self.put(digest, bytes).header("content-range", &range)
    }

    /// A PUT that carries the whole blob and closes the session.
    pub(crate) fn close_with(&self, blob: &Blob) -> Request {
        self.put(&blob.digest, blob.bytes.clone())
    }

    /// A PUT that carries `bytes` and claims `digest`.
    pub(crate) fn put(&self, digest: &str, bytes: Bytes) -> Request {
        self.bare_put()
            .query("digest", digest)
            .header("content-type", "application/octet-stream")
            .body(bytes)
    }

    /// A PUT with nothing set.
    pub(crate) fn bare_put(&self) -> Request {
        self.request(Method::PUT)
    }

    /// A GET of the state of the session.
    pub(crate) fn status(&self) -> Request {
        self.request(Method::GET)
    }

    /// A DELETE of the session.
    pub(crate) fn cancel(&self) -> Request {
        self.request(Method::DELETE).header("content-length", "0")
    }
}

/// `Content-Range` of a chunk: inclusive on both ends, without a unit.
fn range(start: usize, length: usize) -> String {
    format!("{start}-{}", (start + length).saturating_sub(1))
}
