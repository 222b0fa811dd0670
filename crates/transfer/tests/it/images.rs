//! Images that are made up.

use landfall_oci::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::fake::Shelf;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Larger than what is sent in one request.
pub(crate) const BIG: usize = 700_000;

pub(crate) fn digest(bytes: &[u8]) -> String {
    Digest::of(Algorithm::Sha256, bytes).to_string()
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

/// Bytes that don't repeat themselves.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A configuration, layers, and their manifest.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    /// An image with a small and a big layer.
    pub(crate) fn new(seed: u64) -> Self {
        Self::of(vec![noise(seed, 3000), noise(seed + 1000, BIG)], "amd64")
    }

    pub(crate) fn of(layers: Vec<Vec<u8>>, architecture: &str) -> Self {
        let config = json!({
            "os": "linux",
            "architecture": architecture,
            "rootfs": {
                "type": "layers",
                "diff_ids": layers.iter().map(|each| digest(each)).collect::<Vec<_>>(),
            },
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": layers.iter().map(|each| descriptor(LAYER, each)).collect::<Vec<_>>(),
        });
        Self {
            config,
            layers,
            manifest: manifest.to_string().into_bytes(),
        }
    }

    pub(crate) fn digest(&self) -> String {
        digest(&self.manifest)
    }

    pub(crate) fn put(&self, into: &mut Shelf, repository: &str, tag: Option<&str>) {
        for blob in self.layers.iter().chain([&self.config]) {
            into.put_blob(repository, blob);
        }
        into.put_manifest(repository, tag, MANIFEST, &self.manifest);
    }

    /// Whether all of it is in a repository under this tag.
    pub(crate) fn is_in(&self, content: &Shelf, repository: &str, tag: &str) -> bool {
        content.manifest(repository, tag) == Some(&self.manifest)
            && self
                .layers
                .iter()
                .chain([&self.config])
                .all(|blob| content.has(repository, blob))
    }
}

/// An index of images with their architectures.
pub(crate) fn index(images: &[(&Image, &str)]) -> Vec<u8> {
    let entries: Vec<Value> = images
        .iter()
        .map(|(image, architecture)| {
            let mut entry = descriptor(MANIFEST, &image.manifest);
            entry["platform"] = json!({ "os": "linux", "architecture": architecture });
            entry
        })
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    index.to_string().into_bytes()
}

/// An artifact that refers to a manifest.
pub(crate) fn referrer(subject: &[u8], kind: &str) -> Vec<u8> {
    let empty = descriptor("application/vnd.oci.empty.v1+json", b"{}");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": empty,
        "layers": [empty],
        "subject": descriptor(MANIFEST, subject),
    });
    manifest.to_string().into_bytes()
}
