//! The few things that histories are about.

use std::sync::LazyLock;

use bytes::Bytes;
use landfall_ids::AccountId;
use landfall_oci::{Digest, RepositoryName};

use crate::{
    documents::{image, index, referrer, written},
    world::{content, digest, repository},
};

pub(crate) const REPOSITORIES: usize = 3;
pub(crate) const BLOBS: usize = 4;
pub(crate) const MANIFESTS: usize = 6;
pub(crate) const TAGS: [&str; 2] = ["latest", "v1"];
pub(crate) const CLIENTS: usize = 2;

/// A blob and its digest.
pub(crate) struct Blob {
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
}

/// A manifest, and what it needs of the others.
pub(crate) struct Template {
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
    pub(crate) blobs: Vec<usize>,
    pub(crate) children: Vec<usize>,
}

pub(crate) struct Universe {
    pub(crate) names: [RepositoryName; REPOSITORIES],
    pub(crate) accounts: [AccountId; REPOSITORIES],
    pub(crate) blobs: [Blob; BLOBS],
    pub(crate) manifests: [Template; MANIFESTS],
}

/// The same for every history.
pub(crate) static UNIVERSE: LazyLock<Universe> = LazyLock::new(|| {
    let blobs = [0, 1, 2, 3].map(|seed: u8| {
        let bytes = content(seed, 40 + 70 * usize::from(seed));
        let digest = digest(&bytes);
        Blob { bytes, digest }
    });
    let bytes = |blob: usize| &blobs[blob].bytes;
    let plain = written(&image(bytes(1), &[]));
    let layered = written(&image(bytes(0), &[bytes(1), bytes(2)]));
    let shared = written(&image(bytes(2), &[bytes(3), bytes(3)]));
    let note = written(&referrer("application/x.note", &plain, bytes(3)));
    let both = written(&index(&[&plain, &layered]));
    let outer = written(&index(&[&shared, &plain]));
    let template = |bytes: Bytes, blobs: &[usize], children: &[usize]| Template {
        digest: digest(&bytes),
        bytes,
        blobs: blobs.to_vec(),
        children: children.to_vec(),
    };
    let manifests = [
        template(plain, &[1], &[]),
        template(layered, &[0, 1, 2], &[]),
        template(shared, &[2, 3], &[]),
        template(note, &[3], &[]),
        template(both, &[], &[0, 1]),
        template(outer, &[], &[2, 0]),
    ];
    let (mine, theirs) = (AccountId::new_at(0), AccountId::new_at(1));
    Universe {
        names: ["acme/a", "acme/b", "other/c"].map(repository),
        accounts: [mine, mine, theirs],
        blobs,
        manifests,
    }
});
