//! A client of one repository that writes everything into its ledger, and
//! fails the test when an answer contradicts the ledger.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use landfall_oci::Digest;
use reqwest::{Body, Method};

use super::{
    client::{self, Answer, Client, Lost},
    content::{Blob, Image},
    ledger::{Ledger, Presence},
};

/// How often a chunk is sent again that another request came before.
const TRIES: usize = 20;

/// The client and its ledger.
#[derive(Debug, Clone)]
pub(crate) struct Hand {
    pub(crate) client: Client,
    pub(crate) name: String,
    /// A std mutex: held to read or to write down one fact, never over a
    /// request. Who holds it keeps the next request from starting.
    ledger: Arc<Mutex<Ledger>>,
}

impl Hand {
    pub(crate) fn new(client: Client, ledger: Arc<Mutex<Ledger>>) -> Self {
        let name = lock(&ledger).repository.clone();
        Self {
            client,
            name,
            ledger,
        }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Fails the test: the server answered what can't be right.
    fn refuse(&self, doing: &str, answer: &Answer) -> ! {
        panic!("{} in `{}`: {}", doing, self.name, answer.told())
    }

    /// Whether the server says that it has the blob, which promises to keep it.
    pub(crate) async fn has(&self, blob: &Blob) -> Result<bool, Lost> {
        let answer = self
            .client
            .head(&client::blob(&self.name, &blob.digest))
            .await?;
        let mut ledger = self.ledger();
        match (answer.status, ledger.blob_expected(&blob.digest)) {
            (200, Presence::There | Presence::Maybe) => {
                ledger.blob_is(blob, Presence::There);
                Ok(true)
            }
            (404, Presence::Maybe | Presence::Gone) => {
                ledger.blob_is(blob, Presence::Gone);
                Ok(false)
            }
            (_, is) => self.refuse(
                &format!("HEAD of `{}`, which is {is:?}", blob.digest),
                &answer,
            ),
        }
    }

    /// Pushes a blob in one request.
    pub(crate) async fn push_whole(&self, blob: &Blob) -> Result<(), Lost> {
        self.ledger().blob_pushing(blob);
        let answer = self.client.push_whole(&self.name, blob).await?;
        match answer.status {
            201 => self.ledger().blob_is(blob, Presence::There),
            _ => self.refuse("pushing a blob", &answer),
        }
        Ok(())
    }

    /// Starts an upload for the blob.
    pub(crate) async fn start_upload(&self, blob: &Blob) -> Result<String, Lost> {
        let (answer, path) = self.client.start_upload(&self.name).await?;
        match answer.status {
            202 => self.ledger().upload_begun(&path, blob),
            _ => self.refuse("starting an upload", &answer),
        }
        Ok(path)
    }

    /// How far an upload is that nobody has ended.
    pub(crate) async fn stand(&self, path: &str) -> Result<u64, Lost> {
        let answer = self.client.get(path).await?;
        let received = answer.received();
        let mut ledger = self.ledger();
        let known = ledger.upload(path);
        let fits = known.is_some_and(|known| (known.least..=known.most).contains(&received));
        match answer.status {
            204 if fits => ledger.upload_has(path, received),
            _ => self.refuse(&format!("asking for an upload at {received}"), &answer),
        }
        Ok(received)
    }

    /// Sends a chunk of at most `length` bytes, from where the upload stands.
    pub(crate) async fn send_chunk(&self, path: &str, length: u64) -> Result<u64, Lost> {
        for _ in 0..TRIES {
            let start = self.stand(path).await?;
            let Some(upload) = self.ledger().upload(path) else {
                return Ok(start);
            };
            let end = (start + length).min(upload.blob.size);
            if start == end {
                return Ok(end);
            }
            self.ledger().upload_sending(path, end);
            let answer = self
                .client
                .patch(path, start, upload.blob.part(start, end))
                .await?;
            match answer.status {
                202 if answer.received() == end => {
                    self.ledger().upload_stands(path, end);
                    return Ok(end);
                }
                // What was sent before and broke off has just arrived.
                416 => {}
                _ => self.refuse(&format!("sending the chunk from {start} to {end}"), &answer),
            }
        }
        panic!("{TRIES} chunks in a row did not follow on what was there")
    }

    /// Sends a chunk, and hangs up in its middle.
    pub(crate) async fn break_off(&self, path: &str, length: u64) -> Result<(), Lost> {
        let start = self.stand(path).await?;
        let Some(upload) = self.ledger().upload(path) else {
            return Ok(());
        };
        let end = (start + length).min(upload.blob.size);
        if end < start + 2 {
            return Ok(());
        }
        self.ledger().upload_sending(path, end);
        let half = upload.blob.part(start, start + (end - start) / 2);
        let broken = std::io::Error::other("hung up");
        let body = Body::wrap_stream(stream::iter([Ok(half), Err(broken)]));
        let request = self.client.request(Method::PATCH, path);
        let request = request.header("content-range", client::chunk(start, end));
        let request = request.header("content-length", end - start).body(body);
        assert!(
            client::answered(request).await.is_err(),
            "half a chunk was answered"
        );
        Ok(())
    }

    /// Sends what is missing, and ends the upload.
    pub(crate) async fn finish(&self, path: &str) -> Result<(), Lost> {
        let start = self.stand(path).await?;
        let Some(upload) = self.ledger().upload(path) else {
            return Ok(());
        };
        let blob = upload.blob;
        {
            let mut ledger = self.ledger();
            ledger.blob_pushing(&blob);
            ledger.upload_sending(path, blob.size);
            ledger.upload_ending(path);
        }
        let rest = blob.part(start, blob.size);
        let answer = self.client.finish(path, &blob.digest, rest).await?;
        if answer.status != 201 {
            self.refuse(&format!("ending an upload that stood at {start}"), &answer);
        }
        let mut ledger = self.ledger();
        ledger.upload_is_gone(path);
        ledger.blob_is(&blob, Presence::There);
        Ok(())
    }

    pub(crate) async fn cancel(&self, path: &str) -> Result<(), Lost> {
        self.ledger().upload_ending(path);
        let answer = self.client.delete(path).await?;
        match answer.status {
            204 => self.ledger().upload_is_gone(path),
            _ => self.refuse("cancelling an upload", &answer),
        }
        Ok(())
    }

    /// Mounts a blob of another repository, or uploads it if it is not there.
    pub(crate) async fn mount(&self, blob: &Blob, from: &str, must: bool) -> Result<(), Lost> {
        self.ledger().blob_pushing(blob);
        let path = client::uploads(&self.name);
        let path = format!("{path}?mount={}&from={from}", blob.digest);
        let answer = self.client.post(&path, Bytes::new()).await?;
        match answer.status {
            201 => self.ledger().blob_is(blob, Presence::There),
            202 if !must => {
                let path = client::session(&answer);
                self.ledger().upload_begun(&path, blob);
                self.finish(&path).await?;
            }
            _ => self.refuse(&format!("mounting from `{from}`"), &answer),
        }
        Ok(())
    }

    /// Pushes the manifest of an image; `false` if the server lacks a blob,
    /// which it must not if the ledger has them all.
    pub(crate) async fn push_manifest(
        &self,
        image: &Image,
        tag: Option<&str>,
    ) -> Result<bool, Lost> {
        let complete = {
            let mut ledger = self.ledger();
            let there = |blob: &Blob| ledger.blob_expected(&blob.digest) == Presence::There;
            let complete = image.blobs.iter().all(there);
            ledger.image_pushing(image, tag);
            complete
        };
        let digest = image.digest.to_string();
        let reference = tag.unwrap_or(&digest);
        let answer = self
            .client
            .push_manifest(&self.name, reference, image)
            .await?;
        let mut ledger = self.ledger();
        match answer.status {
            201 => {
                ledger.image_is_there(image);
                if let Some(tag) = tag {
                    ledger.tag_is(tag, Some(image.digest));
                }
                Ok(true)
            }
            400 if !complete && answer.told().contains("MANIFEST_BLOB_UNKNOWN") => Ok(false),
            _ => self.refuse("pushing a manifest", &answer),
        }
    }

    pub(crate) async fn delete_image(&self, digest: &Digest) -> Result<(), Lost> {
        self.ledger().image_deleting(digest);
        let path = client::manifest(&self.name, &digest.to_string());
        let answer = self.client.delete(&path).await?;
        let expected = self.ledger().image_expected(digest);
        match answer.status {
            202 => self.ledger().image_is_gone(digest),
            // A push without answer never happened.
            404 if expected != Presence::There => self.ledger().image_is_gone(digest),
            _ => self.refuse("deleting an image", &answer),
        }
        Ok(())
    }

    pub(crate) async fn delete_tag(&self, tag: &str) -> Result<(), Lost> {
        let must = !self.ledger().tag_expected(tag).contains(&None);
        self.ledger().tag_changing(tag, None);
        let answer = self
            .client
            .delete(&client::manifest(&self.name, tag))
            .await?;
        match answer.status {
            202 => self.ledger().tag_is(tag, None),
            404 if !must => self.ledger().tag_is(tag, None),
            _ => self.refuse("deleting a tag", &answer),
        }
        Ok(())
    }

    /// Deletes a blob; the server refuses if an image needs it.
    pub(crate) async fn delete_blob(&self, blob: &Blob) -> Result<(), Lost> {
        let before = self.ledger().blob_expected(&blob.digest);
        let needed = self.ledger().needs(&blob.digest);
        self.ledger().blob_deleting(&blob.digest);
        let answer = self
            .client
            .delete(&client::blob(&self.name, &blob.digest))
            .await?;
        let presence = match answer.status {
            202 if needed != Presence::There => Presence::Gone,
            404 if before != Presence::There => Presence::Gone,
            405 if needed != Presence::Gone => Presence::There,
            _ => self.refuse(&format!("deleting a blob that is {before:?}"), &answer),
        };
        self.ledger().blob_is(blob, presence);
        Ok(())
    }

    pub(crate) async fn delete_repository(&self) -> Result<(), Lost> {
        let must = !self.ledger().images(&[Presence::There]).is_empty();
        self.ledger().repository_deleting();
        let path = format!("/api/v1/repositories/{}", self.name.replace('/', "%2F"));
        let answer = self.client.delete(&path).await?;
        match answer.status {
            204 => self.ledger().repository_is_gone(),
            404 if !must => self.ledger().repository_is_gone(),
            _ => self.refuse("deleting a repository", &answer),
        }
        Ok(())
    }
}

pub(crate) fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
