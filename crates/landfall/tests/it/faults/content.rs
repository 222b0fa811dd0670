//! Blobs and images that a seed makes, so that their bytes need not be kept.

use std::sync::Arc;

use bytes::Bytes;
use landfall_oci::{Algorithm, Digest};
use serde_json::json;

use super::dice::Dice;

/// A blob: its digest, and how its bytes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blob {
    seed: u64,
    /// How many bytes it has.
    pub(crate) size: u64,
    pub(crate) digest: Digest,
}

impl Blob {
    pub(crate) fn new(seed: u64, size: u64) -> Self {
        let digest = Digest::of(Algorithm::Sha256, &bytes(seed, size));
        Self { seed, size, digest }
    }

    pub(crate) fn bytes(&self) -> Bytes {
        bytes(self.seed, self.size)
    }

    /// Its bytes from `start` up to, and not with, `end`.
    pub(crate) fn part(&self, start: u64, end: u64) -> Bytes {
        self.bytes().slice(start as usize..end as usize)
    }
}

fn bytes(seed: u64, size: u64) -> Bytes {
    let mut dice = Dice::new(seed);
    let words = size.div_ceil(8);
    let mut bytes = Vec::with_capacity(words as usize * 8);
    for _ in 0..words {
        bytes.extend_from_slice(&dice.roll().to_le_bytes());
    }
    bytes.truncate(size as usize);
    Bytes::from(bytes)
}

/// An image: its manifest, and the blobs that it needs.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// The configuration, then the layers.
    pub(crate) blobs: Arc<[Blob]>,
    pub(crate) manifest: Bytes,
    pub(crate) digest: Digest,
}

pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

impl Image {
    pub(crate) fn new(config: Blob, layers: &[Blob]) -> Self {
        let describe = |blob: &Blob, media_type: &str| {
            json!({
                "mediaType": media_type,
                "digest": blob.digest.to_string(),
                "size": blob.size,
            })
        };
        let layer = |blob| describe(blob, "application/vnd.oci.image.layer.v1.tar");
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": describe(&config, "application/vnd.oci.image.config.v1+json"),
            "layers": layers.iter().map(layer).collect::<Vec<_>>(),
        });
        let manifest = Bytes::from(manifest.to_string());
        Self {
            digest: Digest::of(Algorithm::Sha256, &manifest),
            blobs: [&[config], layers].concat().into(),
            manifest,
        }
    }

    pub(crate) fn needs(&self, digest: &Digest) -> bool {
        self.blobs.iter().any(|blob| blob.digest == *digest)
    }
}
