//! A repository of the registry under test, and the pushes that come before
//! the thing a check looks at.

use reqwest::{Method, Url};

use crate::{
    Failure,
    answer::Answer,
    client::{Registry, Request},
    fixture::{Blob, Document, Image, MANIFESTS},
    upload::Upload,
};

/// A repository by name; it need not exist.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(crate) registry: Registry,
    pub(crate) name: String,
}

impl Repository {
    /// A request for something below `/v2/<name>/`.
    pub(crate) fn request(&self, method: Method, rest: &str) -> Request {
        self.registry
            .request(method, &format!("/v2/{}/{rest}", self.name))
    }

    /// A GET of something below `/v2/<name>/`.
    pub(crate) fn get(&self, rest: &str) -> Request {
        self.request(Method::GET, rest)
    }

    /// A request for a blob.
    pub(crate) fn blob(&self, method: Method, digest: &str) -> Request {
        self.request(method, &format!("blobs/{digest}"))
    }

    /// A request for a manifest that takes any kind of manifest.
    pub(crate) fn manifest(&self, method: Method, reference: &str) -> Request {
        let request = self.request(method, &format!("manifests/{reference}"));
        request.header("accept", &MANIFESTS.join(", "))
    }

    /// A push of a manifest.
    pub(crate) fn put_manifest(&self, reference: &str, document: &Document) -> Request {
        self.request(Method::PUT, &format!("manifests/{reference}"))
            .header("content-type", &document.media_type)
            .body(document.bytes().clone())
    }

    /// A POST that opens an upload session, or does all of it, as the query
    /// parameters say.
    pub(crate) fn post_upload(&self) -> Request {
        self.request(Method::POST, "blobs/uploads/")
    }

    /// Opens an upload session.
    pub(crate) async fn start_upload(&self) -> Result<Upload, Failure> {
        Upload::start(self).await
    }

    /// Pushes a blob by POST and PUT.
    pub(crate) async fn push_blob(&self, blob: &Blob) -> Result<(), Failure> {
        let upload = self.start_upload().await?;
        upload.close_with(blob).send().await?.expect(201)?;
        Ok(())
    }

    /// Pushes a random blob.
    pub(crate) async fn push_random_blob(&self, length: usize) -> Result<Blob, Failure> {
        let blob = Blob::random(length);
        self.push_blob(&blob).await?;
        Ok(blob)
    }

    /// Pushes a manifest whose blobs are there.
    pub(crate) async fn push_manifest(
        &self,
        reference: &str,
        document: &Document,
    ) -> Result<Answer, Failure> {
        let answer = self.put_manifest(reference, document).send().await?;
        answer.expect(201)?;
        Ok(answer)
    }

    /// Pushes the blobs of an image, then its manifest by digest.
    pub(crate) async fn push(&self, image: &Image) -> Result<Document, Failure> {
        let document = image.document();
        self.push_as(document.digest(), image).await?;
        Ok(document)
    }

    /// Pushes the blobs of an image, then its manifest by `reference`.
    pub(crate) async fn push_as(
        &self,
        reference: &str,
        image: &Image,
    ) -> Result<Document, Failure> {
        self.push_blobs(image).await?;
        let document = image.document();
        self.push_manifest(reference, &document).await?;
        Ok(document)
    }

    /// Pushes the blobs of an image.
    pub(crate) async fn push_blobs(&self, image: &Image) -> Result<(), Failure> {
        for blob in &image.blobs {
            self.push_blob(blob).await?;
        }
        Ok(())
    }

    /// A repository that exists, because it holds one image, tagged `present`.
    pub(crate) async fn populated(self) -> Result<Self, Failure> {
        self.push_as("present", &Image::new()).await?;
        Ok(self)
    }

    /// Holds if a GET of `location` gives exactly these bytes.
    pub(crate) async fn expect_at(&self, location: Url, blob: &Blob) -> Result<(), Failure> {
        let request = self.registry.request_url(Method::GET, location);
        let request = request.header("accept", &MANIFESTS.join(", "));
        request
            .send()
            .await?
            .expect(200)?
            .expect_body(&blob.bytes)?;
        Ok(())
    }

    /// Holds if a GET of the blob gives its bytes.
    pub(crate) async fn expect_blob(&self, blob: &Blob) -> Result<(), Failure> {
        let answer = self.blob(Method::GET, &blob.digest).send().await?;
        answer.expect(200)?.expect_body(&blob.bytes)?;
        Ok(())
    }

    /// Holds if a GET of the manifest gives its bytes.
    pub(crate) async fn expect_manifest(
        &self,
        reference: &str,
        document: &Document,
    ) -> Result<(), Failure> {
        let answer = self.manifest(Method::GET, reference).send().await?;
        answer.expect(200)?.expect_body(document.bytes())?;
        Ok(())
    }
}
