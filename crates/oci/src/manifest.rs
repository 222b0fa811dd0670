//! Manifests: the documents that hold an image, an artifact or an index
//! together.
//!
//! Sources: `manifest.md` and `image-index.md` of the OCI image specification
//! 1.1, and Docker's image manifest version 2, schema 2. The two families have
//! the same shape, so one type holds all four documents.
//!
//! A [`Manifest`] is what a document says, not the document: the bytes that
//! were pushed are what is stored, served and digested.

mod error;
mod json;
mod limits;
mod parse;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::{Descriptor, MediaType};

pub use error::ManifestError;

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The type of the document, one of [`MediaType::MANIFESTS`].
    pub media_type: MediaType,
    /// The type of the artifact, if the document states one.
    pub artifact_type: Option<MediaType>,
    /// The configuration; every image has one, no index has.
    pub config: Option<Descriptor>,
    /// The layers of an image, lowest first, or the files of an artifact.
    pub layers: Vec<Descriptor>,
    /// The manifests of an index, in the order of preference.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about.
    pub subject: Option<Descriptor>,
    /// Free-form notes.
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// An OCI index of these manifests, as an answer to a query for referrers.
    pub const fn index(manifests: Vec<Descriptor>) -> Self {
        Self {
            media_type: MediaType::OCI_INDEX,
            artifact_type: None,
            config: None,
            layers: Vec::new(),
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The blobs that the repository must hold before it takes this manifest:
    /// the configuration and the layers, without those layers that are not to
    /// be distributed. A blob that is used twice is listed twice.
    pub fn required_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let layers = self
            .layers
            .iter()
            .filter(|layer| !layer.media_type.is_nondistributable());
        self.config.iter().chain(layers)
    }

    /// The entries of an index that are manifests of a type the registry
    /// takes, so that the repository must hold them first.
    pub fn required_manifests(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests
            .iter()
            .filter(|entry| entry.media_type.is_manifest())
    }

    /// The entries of an index that are something else. The specification has
    /// readers ignore them, so nothing demands them; but where the repository
    /// holds such a blob, the index keeps it alive. (An exported build cache
    /// is an index of layers.)
    pub fn other_content(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests
            .iter()
            .filter(|entry| !entry.media_type.is_manifest())
    }

    /// The artifact type that a list of referrers shows for this manifest: its
    /// `artifactType`, else, for an image, the type of its configuration
    /// (distribution specification 1.1, "Listing Referrers").
    pub fn referrer_type(&self) -> Option<&MediaType> {
        self.artifact_type
            .as_ref()
            .or_else(|| Some(&self.config.as_ref()?.media_type))
    }
}

/// As a document of its type. This is for documents that the registry writes;
/// one that was pushed is served as it came.
impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            schema_version: u8,
            media_type: &'a MediaType,
            #[serde(skip_serializing_if = "Option::is_none")]
            artifact_type: Option<&'a MediaType>,
            #[serde(skip_serializing_if = "Option::is_none")]
            config: Option<&'a Descriptor>,
            #[serde(skip_serializing_if = "Option::is_none")]
            layers: Option<&'a [Descriptor]>,
            #[serde(skip_serializing_if = "Option::is_none")]
            manifests: Option<&'a [Descriptor]>,
            #[serde(skip_serializing_if = "Option::is_none")]
            subject: Option<&'a Descriptor>,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            annotations: &'a BTreeMap<String, String>,
        }

        let is_index = self.media_type.is_index();
        Document {
            schema_version: 2,
            media_type: &self.media_type,
            artifact_type: self.artifact_type.as_ref(),
            config: self.config.as_ref(),
            layers: (!is_index).then_some(&self.layers),
            manifests: is_index.then_some(&self.manifests),
            subject: self.subject.as_ref(),
            annotations: &self.annotations,
        }
        .serialize(serializer)
    }
}
