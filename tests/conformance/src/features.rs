//! What a registry may lack without breaking the specification, and how the
//! suite finds out.
//!
//! A feature counts as missing only when the registry says so in the way that
//! the specification gives for it. Any other answer leaves it on, and its
//! checks show what is wrong.

use std::fmt;

use futures_util::future::join_all;
use reqwest::Method;

use crate::{
    Failure, Registry,
    fixture::{Blob, Image, missing_digest},
};

/// Something a registry may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// DELETE of a tag.
    TagDeletion,
    /// DELETE of a manifest by digest.
    ManifestDeletion,
    /// DELETE of a blob.
    BlobDeletion,
    /// `/v2/<name>/referrers/<digest>`, new in 1.1.
    Referrers,
    /// Content under SHA-512.
    Sha512,
    /// Mounting a blob from a named repository.
    Mounting,
    /// A blob in a single POST.
    SinglePost,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::TagDeletion,
        Self::ManifestDeletion,
        Self::BlobDeletion,
        Self::Referrers,
        Self::Sha512,
        Self::Mounting,
        Self::SinglePost,
    ];

    /// What a person calls it, after "the registry does not offer".
    pub const fn title(self) -> &'static str {
        match self {
            Self::TagDeletion => "deletion of tags",
            Self::ManifestDeletion => "deletion of manifests",
            Self::BlobDeletion => "deletion of blobs",
            Self::Referrers => "the referrers API",
            Self::Sha512 => "SHA-512 digests",
            Self::Mounting => "mounting of blobs",
            Self::SinglePost => "blobs in a single POST",
        }
    }

    /// Whether the registry says that it does not offer the feature.
    async fn is_missing(self, registry: &Registry) -> Result<bool, Failure> {
        let repository = registry.repository();
        let refuses_deletion = [400, 405];
        let answer = match self {
            Self::TagDeletion => {
                repository.push_as("latest", &Image::new()).await?;
                repository.manifest(Method::DELETE, "latest").send().await?
            }
            Self::ManifestDeletion => {
                let document = repository.push(&Image::new()).await?;
                repository
                    .manifest(Method::DELETE, document.digest())
                    .send()
                    .await?
            }
            Self::BlobDeletion => {
                let blob = repository.push_random_blob(100).await?;
                repository.blob(Method::DELETE, &blob.digest).send().await?
            }
            Self::Referrers => {
                let repository = repository.populated().await?;
                let digest = missing_digest();
                let answer = repository
                    .get(&format!("referrers/{digest}"))
                    .send()
                    .await?;
                return Ok(answer.status() == 404);
            }
            Self::Sha512 => {
                let upload = repository.start_upload().await?;
                let blob = Blob::random(100).under_sha512();
                let answer = upload.close_with(&blob).send().await?;
                return Ok(answer.expect_refusal().is_ok());
            }
            Self::Mounting => {
                let source = registry.other_repository();
                let blob = source.push_random_blob(100).await?;
                let request = repository.post_upload().query("mount", &blob.digest);
                let answer = request.query("from", &source.name).send().await?;
                return Ok(answer.status() == 202);
            }
            Self::SinglePost => {
                let blob = Blob::random(100);
                let request = repository.post_upload().query("digest", &blob.digest);
                let request = request.header("content-type", "application/octet-stream");
                let answer = request.body(blob.bytes).send().await?;
                return Ok(answer.status() == 202);
            }
        };
        Ok(refuses_deletion.contains(&answer.status()))
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// The features that `registry` says it does not offer.
pub async fn missing_features(registry: &Registry) -> Vec<Feature> {
    let probes = Feature::ALL.map(async |feature| (feature, feature.is_missing(registry).await));
    let found = join_all(probes).await;
    found
        .into_iter()
        .filter(|(_, missing)| matches!(missing, Ok(true)))
        .map(|(f, _)| f)
        .collect()
}
