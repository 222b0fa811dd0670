//! Blobs out of a registry: a download that breaks off goes on where it was.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use landfall_oci::Descriptor;
use reqwest::{
    Method, Response, StatusCode,
    header::{self, HeaderMap, HeaderValue},
};

use super::{
    Registry, answer,
    client::{Ask, Scope},
};
use crate::{Error, Repository, content::ByteStream};

/// A download under way.
struct Download {
    registry: Arc<Registry>,
    repository: Repository,
    descriptor: Descriptor,
    /// The offset of the next byte to give.
    at: u64,
    /// How many bytes of the answer come before that.
    surplus: u64,
    answer: Option<Response>,
    /// How often it broke off, in all, and since the last byte.
    breaks: usize,
    failed: u32,
}

/// The bytes of a blob from `from` on. The first answer is looked at before
/// this returns.
pub(super) async fn blob(
    registry: Arc<Registry>,
    repository: Repository,
    descriptor: Descriptor,
    from: u64,
) -> Result<ByteStream, Error> {
    let mut download = Download {
        registry,
        repository,
        descriptor,
        at: from,
        surplus: 0,
        answer: None,
        breaks: 0,
        failed: 0,
    };
    if from < download.descriptor.size {
        download.open().await?;
    }
    Ok(stream::try_unfold(download, |mut download| async move {
        Ok(download.next().await?.map(|bytes| (bytes, download)))
    })
    .boxed())
}

impl Download {
    fn place(&self) -> String {
        format!("registry `{}`", self.registry.name)
    }

    fn damaged(&self, why: &str) -> Error {
        Error::Damaged(format!("{} {why}", self.place()))
    }

    async fn open(&mut self) -> Result<(), Error> {
        let Descriptor { digest, size, .. } = self.descriptor;
        let mut headers = HeaderMap::new();
        // What is counted and hashed is the blob itself.
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        if self.at > 0
            && let Ok(range) = HeaderValue::try_from(format!("bytes={}-", self.at))
        {
            headers.insert(header::RANGE, range);
        }
        let scope = Scope::pull(&self.repository);
        let what = format!("the blob `{digest}` of `{}`", self.repository);
        let ask = Ask {
            method: Method::GET,
            url: self
                .registry
                .url(&format!("v2/{}/blobs/{digest}", self.repository))?,
            headers,
            body: Bytes::new(),
            scope: &scope,
            what: &what,
        };
        let response = self.registry.send(&ask).await?;
        self.surplus = match response.status() {
            StatusCode::OK => self.at,
            StatusCode::PARTIAL_CONTENT if self.at > 0 => {
                let range = answer::text(&response, "content-range");
                if range.and_then(start_of) != Some(self.at) {
                    return Err(self.damaged(&format!(
                        "answers with another part of the blob `{digest}` than was asked for"
                    )));
                }
                0
            }
            _ => return Err(self.registry.refusal(&ask, response).await),
        };
        let expected = size - self.at + self.surplus;
        if let Some(length) = response.content_length()
            && length != expected
        {
            return Err(self.damaged(&format!(
                "has {} bytes for the blob `{digest}`, and its manifest says {size}",
                length + self.at - self.surplus
            )));
        }
        self.answer = Some(response);
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Descriptor { digest, size, .. } = self.descriptor;
        while self.at < size {
            let chunk = match &mut self.answer {
                None => {
                    self.open().await?;
                    continue;
                }
                Some(answer) => answer.chunk().await,
            };
            let error = match chunk {
                Ok(Some(mut chunk)) => {
                    let cut = self.surplus.min(chunk.len() as u64);
                    self.surplus -= cut;
                    let _ = chunk.split_to(cut as usize);
                    if chunk.is_empty() {
                        continue;
                    }
                    if chunk.len() as u64 > size - self.at {
                        return Err(self.damaged(&format!(
                            "sends more than the {size} bytes that the blob `{digest}` has"
                        )));
                    }
                    self.at += chunk.len() as u64;
                    self.failed = 0;
                    return Ok(Some(chunk));
                }
                Ok(None) => Error::unavailable(format!(
                    "{} breaks off the blob `{digest}` after {} of {size} bytes",
                    self.place(),
                    self.at
                )),
                Err(error) => answer::unreached(&self.registry.name, &error),
            };
            self.answer = None;
            self.failed += 1;
            self.breaks += 1;
            if self.breaks > self.registry.limits.breaks {
                return Err(error);
            }
            self.registry.pause(error, self.failed).await?;
        }
        self.check_end().await
    }

    /// A body that goes on after the last byte is not the blob.
    async fn check_end(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(mut answer) = self.answer.take() else {
            return Ok(None);
        };
        // The length was compared where it is known.
        if answer.content_length().is_none()
            && let Ok(Some(more)) = answer.chunk().await
            && !more.is_empty()
        {
            return Err(self.damaged(&format!(
                "sends more than the {} bytes that the blob `{}` has",
                self.descriptor.size, self.descriptor.digest
            )));
        }
        Ok(None)
    }
}

/// The first offset of `bytes 5-9/10`.
fn start_of(range: &str) -> Option<u64> {
    let (start, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    start.trim().parse().ok()
}
