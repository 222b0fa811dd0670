//! Content that nobody pushed before: random blobs, and manifests of them.
//!
//! Digests are computed here from the hash functions themselves, not with the
//! code of the registry under test.

use std::fmt::Write;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

/// OCI image manifest.
pub(crate) const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker image manifest, schema 2.
pub(crate) const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list, schema 2.
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Everything that a client takes as a manifest, for `Accept`.
pub(crate) const MANIFESTS: [&str; 4] = [OCI_IMAGE, OCI_INDEX, DOCKER_IMAGE, DOCKER_LIST];

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY_JSON: &str = "application/vnd.oci.empty.v1+json";

/// A word that no other run of the suite comes up with.
pub(crate) fn unique() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// The digest of `bytes` under SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    prefixed("sha256:", &Sha256::digest(bytes))
}

/// The digest of `bytes` under SHA-512.
pub(crate) fn sha512(bytes: &[u8]) -> String {
    prefixed("sha512:", &Sha512::digest(bytes))
}

fn prefixed(algorithm: &str, hash: &[u8]) -> String {
    hash.iter().fold(algorithm.to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The digest of content that no registry has.
pub(crate) fn missing_digest() -> String {
    Blob::random(32).digest
}

/// Bytes and their digest.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) bytes: Bytes,
    pub(crate) digest: String,
}

impl Blob {
    /// These bytes, under SHA-256.
    pub(crate) fn of(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            digest: sha256(&bytes),
            bytes,
        }
    }

    /// `length` random bytes, under SHA-256.
    pub(crate) fn random(length: usize) -> Self {
        let mut bytes = vec![0; length];
        rand::fill(&mut bytes);
        Self::of(bytes)
    }

    /// The same bytes under SHA-512.
    #[must_use]
    pub(crate) fn under_sha512(self) -> Self {
        Self {
            digest: sha512(&self.bytes),
            bytes: self.bytes,
        }
    }

    /// A descriptor of the blob as something of `media_type`.
    pub(crate) fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

/// A manifest as it is pushed.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// What `Content-Type` says; also its `mediaType`, unless a check wants
    /// them to differ.
    pub(crate) media_type: String,
    pub(crate) blob: Blob,
}

impl Document {
    /// `content` as bytes of the type that its `mediaType` names.
    pub(crate) fn of(content: &Value) -> Self {
        let media_type = content["mediaType"]
            .as_str()
            .unwrap_or(OCI_IMAGE)
            .to_owned();
        Self {
            media_type,
            blob: Blob::of(content.to_string()),
        }
    }

    /// Exactly these bytes, pushed as `media_type`.
    pub(crate) fn raw(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        Self {
            media_type: media_type.to_owned(),
            blob: Blob::of(bytes),
        }
    }

    /// The same bytes under SHA-512.
    #[must_use]
    pub(crate) fn under_sha512(self) -> Self {
        Self {
            blob: self.blob.under_sha512(),
            ..self
        }
    }

    pub(crate) fn digest(&self) -> &str {
        &self.blob.digest
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.blob.bytes
    }

    /// A descriptor of the manifest.
    pub(crate) fn descriptor(&self) -> Value {
        self.blob.descriptor(&self.media_type)
    }
}

/// A manifest together with the blobs that it needs.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) blobs: Vec<Blob>,
    /// The manifest before it is serialised, for a check to change.
    pub(crate) content: Value,
}

impl Image {
    /// An OCI image with one random layer.
    pub(crate) fn new() -> Self {
        Self::of_blobs(Blob::random(1000), |blob| blob)
    }

    /// An OCI image whose blobs go by SHA-512.
    pub(crate) fn with_sha512() -> Self {
        Self::of_blobs(Blob::random(1000), Blob::under_sha512)
    }

    fn of_blobs(layer: Blob, digested: fn(Blob) -> Blob) -> Self {
        let text = json!({"architecture": "amd64", "os": "linux", "created_by": unique(),
            "config": {}, "rootfs": {"type": "layers", "diff_ids": [sha256(&layer.bytes)]}});
        let (config, layer) = (digested(Blob::of(text.to_string())), digested(layer));
        let content = json!({"schemaVersion": 2, "mediaType": OCI_IMAGE,
            "config": config.descriptor(OCI_CONFIG), "layers": [layer.descriptor(OCI_LAYER)]});
        Self {
            blobs: vec![config, layer],
            content,
        }
    }

    /// An artifact of `artifact_type` with the empty JSON object as its
    /// config, as the image specification guides.
    pub(crate) fn artifact(artifact_type: &str) -> Self {
        let (empty, payload) = (Blob::of("{}"), Blob::random(100));
        let content = json!({"schemaVersion": 2, "mediaType": OCI_IMAGE,
            "artifactType": artifact_type, "config": empty.descriptor(EMPTY_JSON),
            "layers": [payload.descriptor("application/octet-stream")]});
        Self {
            blobs: vec![empty, payload],
            content,
        }
    }

    /// An OCI index of `children`.
    pub(crate) fn index(children: &[Document]) -> Self {
        let manifests: Vec<Value> = children.iter().map(Document::descriptor).collect();
        let content = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests,
            "annotations": {"org.example.unique": unique()}});
        Self {
            blobs: Vec::new(),
            content,
        }
    }

    /// The same manifest with one field set.
    #[must_use]
    pub(crate) fn with(mut self, field: &str, value: Value) -> Self {
        self.content[field] = value;
        self
    }

    /// The same manifest, referring to `subject`.
    #[must_use]
    pub(crate) fn about(self, subject: &Document) -> Self {
        self.with("subject", subject.descriptor())
    }

    /// The manifest as it is pushed.
    pub(crate) fn document(&self) -> Document {
        Document::of(&self.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_published_ones_of_the_empty_string() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), format!("sha256:{empty}"));
        assert!(sha512(b"").starts_with("sha512:cf83e1357eefb8bd"));
    }

    #[test]
    fn two_images_share_nothing() {
        let (one, other) = (Image::new(), Image::new());
        assert_ne!(one.document().digest(), other.document().digest());
        assert!(
            one.blobs
                .iter()
                .zip(&other.blobs)
                .all(|(a, b)| a.digest != b.digest)
        );
    }
}
