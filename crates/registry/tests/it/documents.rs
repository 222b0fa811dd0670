//! Manifests to push: images, indexes, and what refers to them.

use std::collections::BTreeMap;

use bytes::Bytes;
use landfall_oci::{Descriptor, Digest, Manifest, MediaType, Platform};

use crate::world::digest;

/// An image of a configuration and layers, each given by its bytes.
pub(crate) fn image(config: &Bytes, layers: &[&Bytes]) -> Manifest {
    Manifest {
        media_type: MediaType::OCI_MANIFEST,
        artifact_type: None,
        config: Some(described(MediaType::OCI_CONFIG, config)),
        layers: layers
            .iter()
            .map(|layer| described(MediaType::OCI_LAYER_GZIP, layer))
            .collect(),
        manifests: Vec::new(),
        subject: None,
        annotations: BTreeMap::new(),
    }
}

/// An index of images, each given by its bytes.
pub(crate) fn index(images: &[&Bytes]) -> Manifest {
    let entries = images
        .iter()
        .map(|image| described(MediaType::OCI_MANIFEST, image));
    Manifest::index(entries.collect())
}

/// An artifact of the type `kind` about `subject`, which needs one file.
pub(crate) fn referrer(kind: &str, subject: &Bytes, file: &Bytes) -> Manifest {
    Manifest {
        artifact_type: Some(kind.parse().expect("a media type")),
        subject: Some(described(MediaType::OCI_MANIFEST, subject)),
        ..image(file, &[])
    }
}

/// The bytes of a manifest, as a client pushes them.
pub(crate) fn written(manifest: &Manifest) -> Bytes {
    serde_json::to_vec(manifest)
        .expect("a manifest is JSON")
        .into()
}

/// The descriptor of some bytes.
pub(crate) fn described(media_type: MediaType, bytes: &Bytes) -> Descriptor {
    Descriptor::new(media_type, digest(bytes), bytes.len() as u64)
}

/// The descriptor of an image for `linux` on this architecture.
pub(crate) fn for_linux(image: &Bytes, architecture: &str) -> Descriptor {
    Descriptor {
        platform: Some(Platform {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            ..Platform::default()
        }),
        ..described(MediaType::OCI_MANIFEST, image)
    }
}

/// The digests of some bytes, in order.
pub(crate) fn digests(all: &[&Bytes]) -> Vec<Digest> {
    let mut digests: Vec<_> = all.iter().map(|bytes| digest(bytes)).collect();
    digests.sort_unstable();
    digests
}
