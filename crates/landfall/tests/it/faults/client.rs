//! An HTTP client for tests in which the server may die at any time: each
//! request is answered, or its answer is lost.

use std::{fmt, time::Duration};

use bytes::Bytes;
use landfall_oci::Digest;
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;

use super::content::{Blob, Image, MANIFEST_TYPE};
use crate::server::PASSWORD;

/// A server that does not answer for so long hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// No answer came: what was asked for may have happened, or not.
#[derive(Debug)]
pub(crate) struct Lost(String);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer: {}", self.0)
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// How many bytes an upload has, as `Range: 0-<last>` tells it. That
    /// header can't tell no byte from one; no test sends one.
    pub(crate) fn received(&self) -> u64 {
        let last = self
            .header("range")
            .strip_prefix("0-")
            .and_then(|last| last.parse().ok());
        last.filter(|last| *last > 0)
            .map_or(0, |last: u64| last + 1)
    }

    /// The status and the body, for messages.
    pub(crate) fn told(&self) -> String {
        format!(
            "{} {}",
            self.status,
            String::from_utf8_lossy(&self.body).trim()
        )
    }
}

/// A client of one server; its user is the administrator.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    pub(crate) fn new(url: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build();
        Self {
            http: http.expect("an HTTP client"),
            url: url.to_owned(),
        }
    }

    /// A request to a path of the server.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.basic_auth("admin", Some(PASSWORD))
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Lost> {
        answered(self.request(Method::GET, path)).await
    }

    pub(crate) async fn head(&self, path: &str) -> Result<Answer, Lost> {
        answered(self.request(Method::HEAD, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Answer, Lost> {
        answered(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Bytes) -> Result<Answer, Lost> {
        answered(self.request(Method::POST, path).body(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Bytes) -> Result<Answer, Lost> {
        answered(self.request(Method::PUT, path).body(body)).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Result<Answer, Lost> {
        answered(self.request(Method::POST, path).json(body)).await
    }

    /// Pushes a blob in one request.
    pub(crate) async fn push_whole(&self, repository: &str, blob: &Blob) -> Result<Answer, Lost> {
        self.post(&whole(repository, &blob.digest), blob.bytes())
            .await
    }

    /// Starts an upload; the path of its session where that worked.
    pub(crate) async fn start_upload(&self, repository: &str) -> Result<(Answer, String), Lost> {
        let answer = self.post(&uploads(repository), Bytes::new()).await?;
        let path = session(&answer);
        Ok((answer, path))
    }

    /// Adds the bytes of a chunk that begins at `start` to an upload.
    pub(crate) async fn patch(&self, path: &str, start: u64, bytes: Bytes) -> Result<Answer, Lost> {
        let end = start + bytes.len() as u64;
        let request = self.request(Method::PATCH, path);
        answered(
            request
                .header("content-range", chunk(start, end))
                .body(bytes),
        )
        .await
    }

    /// Adds the last bytes to an upload, and ends it.
    pub(crate) async fn finish(
        &self,
        path: &str,
        digest: &Digest,
        bytes: Bytes,
    ) -> Result<Answer, Lost> {
        self.put(&format!("{path}?digest={digest}"), bytes).await
    }

    /// Pushes the manifest of an image under a tag or a digest.
    pub(crate) async fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        image: &Image,
    ) -> Result<Answer, Lost> {
        let request = self.request(Method::PUT, &manifest(repository, reference));
        let request = request.header("content-type", MANIFEST_TYPE);
        answered(request.body(image.manifest.clone())).await
    }
}

/// Sends a request and reads its answer to the end.
pub(crate) async fn answered(request: RequestBuilder) -> Result<Answer, Lost> {
    let lost = |error: reqwest::Error| Lost(format!("{error:?}"));
    let answer = request.send().await.map_err(lost)?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    if status == 503 && headers.contains_key("retry-after") {
        // What was asked for may have happened when the database went away.
        return Err(Lost("503, try again".to_owned()));
    }
    let body = answer.bytes().await.map_err(lost)?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}

pub(crate) fn uploads(repository: &str) -> String {
    format!("/v2/{repository}/blobs/uploads/")
}

pub(crate) fn whole(repository: &str, digest: &Digest) -> String {
    format!("/v2/{repository}/blobs/uploads/?digest={digest}")
}

pub(crate) fn blob(repository: &str, digest: &Digest) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

pub(crate) fn manifest(repository: &str, reference: &str) -> String {
    format!("/v2/{repository}/manifests/{reference}")
}

/// The value of `Content-Range` for the bytes from `start` up to `end`.
pub(crate) fn chunk(start: u64, end: u64) -> String {
    format!("{start}-{}", end.saturating_sub(1))
}

/// The path of the session that an answer names.
pub(crate) fn session(answer: &Answer) -> String {
    let location = answer.header("location");
    let path = location
        .find("/v2/")
        .map_or(location, |start| &location[start..]);
    path.to_owned()
}
