//! Media types, and those that a registry has to know.
//!
//! The names come from `media-types.md` of the OCI image specification 1.1 and
//! from Docker's image manifest version 2, schema 2.

use std::{borrow::Cow, str::FromStr};

use crate::{shorten::shorten, text::text};

/// A media type: `<type>/<subtype>` by RFC 6838 section 4.2, perhaps with
/// parameters behind a semicolon.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Cow<'static, str>);

text!(MediaType);

/// A text that is no media type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no media type: `<type>/<subtype>` is expected")]
pub struct InvalidMediaType {
    /// What was given, shortened.
    pub given: String,
}

macro_rules! known {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        impl MediaType {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed($text));)+
        }
    };
}

known! {
    /// The manifest of one image or artifact.
    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    /// A list of manifests.
    OCI_INDEX = "application/vnd.oci.image.index.v1+json";
    /// The configuration of an image.
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
    /// The two bytes `{}`, the configuration of an artifact that has none.
    OCI_EMPTY = "application/vnd.oci.empty.v1+json";
    /// A layer, uncompressed.
    OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
    /// A layer, compressed by gzip.
    OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A layer, compressed by zstd.
    OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker's manifest of one image.
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's list of manifests.
    DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's configuration of an image.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
    /// Docker's layer, compressed by gzip.
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker's layer that its owner doesn't allow to be distributed.
    DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    /// Bytes that nothing is known about.
    OCTET_STREAM = "application/octet-stream";
}

/// What the OCI types of layers start with that are not to be distributed.
const NONDISTRIBUTABLE: &str = "application/vnd.oci.image.layer.nondistributable.v1.";

/// What the Docker types of such layers start with.
const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";

impl MediaType {
    /// The types of manifest that the registry takes.
    pub const MANIFESTS: [Self; 4] = [
        Self::OCI_MANIFEST,
        Self::OCI_INDEX,
        Self::DOCKER_MANIFEST,
        Self::DOCKER_MANIFEST_LIST,
    ];

    /// Whether this is a manifest of one image or artifact.
    pub fn is_image(&self) -> bool {
        *self == Self::OCI_MANIFEST || *self == Self::DOCKER_MANIFEST
    }

    /// Whether this is a list of manifests.
    pub fn is_index(&self) -> bool {
        *self == Self::OCI_INDEX || *self == Self::DOCKER_MANIFEST_LIST
    }

    /// Whether this is one of [`MediaType::MANIFESTS`].
    pub fn is_manifest(&self) -> bool {
        self.is_image() || self.is_index()
    }

    /// Whether this is a layer that its owner doesn't allow to be distributed:
    /// clients fetch it from the `urls` of its descriptor, and don't push it.
    pub fn is_nondistributable(&self) -> bool {
        self.0.starts_with(NONDISTRIBUTABLE) || self.0.starts_with(FOREIGN)
    }
}

/// Whether `text` is a restricted name of RFC 6838 section 4.2.
fn is_restricted_name(text: &str) -> bool {
    (1..=127).contains(&text.len())
        && text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
}

impl FromStr for MediaType {
    type Err = InvalidMediaType;

    fn from_str(text: &str) -> Result<Self, InvalidMediaType> {
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let valid = text.len() <= 255
            && essence
                .trim_end_matches(' ')
                .split_once('/')
                .is_some_and(|(top, sub)| is_restricted_name(top) && is_restricted_name(sub))
            && parameters
                .bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if valid {
            Ok(Self(text.to_owned().into()))
        } else {
            Err(InvalidMediaType {
                given: shorten(text),
            })
        }
    }
}
