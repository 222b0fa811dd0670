//! Images as a person looks at them: lists, trees and histories.

use futures_util::StreamExt;
use landfall_ids::ManifestId;
use landfall_oci::{Descriptor, Digest, Manifest, Platform, Reference, RepositoryName};
use serde::Deserialize;

use crate::{
    Error, Image, Page, Registry, Result,
    store::{images, manifests, repositories},
};

/// The largest configuration that is read, in bytes.
const LARGEST_CONFIG: u64 = 4 * 1024 * 1024;
/// Nodes of a tree, and its depth, at the most.
const LARGEST_TREE: usize = 1000;
/// Bytes of the manifests of a tree, at the most.
const LARGEST_TREE_BYTES: usize = 16 * 1024 * 1024;
/// Steps of a history, at the most.
const LONGEST_HISTORY: usize = 10_000;
const DEEPEST_TREE: usize = 32;

/// An image with what hangs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageNode {
    /// The image itself.
    pub image: Image,
    /// What it runs on, where an index says so.
    pub platform: Option<Platform>,
    /// Its configuration.
    pub config: Option<Descriptor>,
    /// Its layers, lowest first, or the files of an artifact.
    pub layers: Vec<Descriptor>,
    /// The images of an index.
    pub children: Vec<Self>,
    /// The manifests that refer to it.
    pub referrers: Vec<Self>,
}

/// One step of how an image was built, as its configuration tells it
/// (image specification, `config.md`, "history").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When, in RFC 3339.
    pub created: Option<String>,
    /// The command.
    pub created_by: Option<String>,
    /// A note.
    pub comment: Option<String>,
    /// The layer that the step made; `None` if it made none.
    pub layer: Option<Descriptor>,
}

/// The part of an image's configuration that tells its history.
#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    history: Vec<ConfigHistory>,
}

#[derive(Debug, Deserialize)]
struct ConfigHistory {
    created: Option<String>,
    created_by: Option<String>,
    comment: Option<String>,
    #[serde(default)]
    empty_layer: bool,
}

impl Registry {
    /// Up to `limit` images of a repository after `last`, in digest order.
    pub async fn image_list(
        &self,
        name: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<Image>> {
        let (name, last) = (name.clone(), last.unwrap_or_default().to_owned());
        self.database
            .read_long(move |tx| {
                let repository = repositories::repository_find(tx, &name)?
                    .ok_or_else(|| Error::RepositoryUnknown(name.to_string()))?;
                let found = images::image_page(tx, repository.id, &last, limit + 1)?;
                Ok(Page::cut(found, limit))
            })
            .await
    }

    /// An image, the images of its index, and everything that refers to them.
    pub async fn image_tree(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<ImageNode> {
        let (name, reference) = (name.clone(), reference.clone());
        self.database
            .read_long(move |tx| {
                let unknown = || Error::ManifestUnknown(reference.to_string());
                let root = manifests::manifest_resolve(tx, &name, &reference)?;
                let mut tree = Tree {
                    tx,
                    name: &name,
                    nodes: 0,
                    bytes: 0,
                    depth: 0,
                };
                tree.node(root.ok_or_else(unknown)?, None)?
                    .ok_or_else(unknown)
            })
            .await
    }

    /// How an image was built. Of an index, the image for `platform`, or the
    /// first one.
    pub async fn image_history(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        platform: Option<&str>,
    ) -> Result<Vec<HistoryEntry>> {
        let manifest = self.image_of_platform(name, reference, platform).await?;
        let config = manifest.config.as_ref().ok_or_else(|| {
            Error::ManifestInvalid("the manifest has no configuration".to_owned())
        })?;
        let (blob, source) = self.blob_open(name, &config.digest).await?;
        if blob.size > LARGEST_CONFIG {
            return Err(Error::ManifestInvalid(
                "the configuration is too large".to_owned(),
            ));
        }
        let mut text = Vec::with_capacity(blob.size as usize);
        let mut bytes = source.read(0..blob.size);
        while let Some(frame) = bytes.next().await {
            text.extend_from_slice(&frame?);
        }
        let config: Config = serde_json::from_slice(&text).map_err(|error| {
            Error::ManifestInvalid(format!("the configuration can't be read: {error}"))
        })?;
        if config.history.len() > LONGEST_HISTORY {
            return Err(Error::ManifestInvalid(format!(
                "the configuration tells of more than {LONGEST_HISTORY} steps"
            )));
        }
        let mut layers = manifest.layers.into_iter();
        let steps = config.history.into_iter().map(|step| HistoryEntry {
            layer: if step.empty_layer {
                None
            } else {
                layers.next()
            },
            created: step.created,
            created_by: step.created_by,
            comment: step.comment,
        });
        let mut history: Vec<_> = steps.collect();
        // Layers that the configuration does not tell of.
        history.extend(layers.map(|layer| HistoryEntry {
            created: None,
            created_by: None,
            comment: None,
            layer: Some(layer),
        }));
        Ok(history)
    }

    async fn image_of_platform(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        platform: Option<&str>,
    ) -> Result<Manifest> {
        let stored = self.manifest_get(name, reference).await?;
        let manifest = read(&stored.content)?;
        if manifest.manifests.is_empty() {
            return Ok(manifest);
        }
        let mut images = manifest.required_manifests();
        let chosen = match platform {
            Some(wanted) => images.find(|image| {
                image
                    .platform
                    .as_ref()
                    .is_some_and(|platform| platform.to_string() == wanted)
            }),
            None => images.next(),
        };
        let chosen = chosen.ok_or_else(|| {
            let wanted = platform.unwrap_or("any platform");
            Error::ManifestUnknown(format!("{reference} for {wanted}"))
        })?;
        let stored = self
            .manifest_get(name, &Reference::Digest(chosen.digest))
            .await?;
        read(&stored.content)
    }
}

fn read(content: &[u8]) -> Result<Manifest> {
    Manifest::parse(content, None).map_err(|error| Error::ManifestInvalid(error.to_string()))
}

/// A walk over what hangs on an image.
struct Tree<'a> {
    tx: &'a landfall_database::ReadTransaction<'a>,
    name: &'a RepositoryName,
    nodes: usize,
    /// Bytes of the manifests that were read.
    bytes: usize,
    depth: usize,
}

impl Tree<'_> {
    /// The node of a manifest; `None` for one that is hidden, one too many, one
    /// too large or one too deep. A digest can't contain itself, so the walk ends.
    fn node(&mut self, id: ManifestId, platform: Option<Platform>) -> Result<Option<ImageNode>> {
        self.nodes += 1;
        if self.nodes > LARGEST_TREE {
            return Ok(None);
        }
        let Some(image) = images::image_find(self.tx, id)? else {
            return Ok(None);
        };
        let Some(stored) = manifests::manifest_load(self.tx, id)? else {
            return Ok(None);
        };
        self.bytes += stored.content.len();
        if self.bytes > LARGEST_TREE_BYTES {
            return Ok(None);
        }
        let manifest = read(&stored.content)?;
        let mut children = Vec::new();
        for child in manifest.required_manifests() {
            children.extend(self.named(&child.digest, child.platform.clone())?);
        }
        let mut referrers = Vec::new();
        let found =
            manifests::manifest_referrer_digests(self.tx, self.name, &stored.digest, LARGEST_TREE)?;
        for referrer in found {
            referrers.extend(self.named(&referrer, None)?);
        }
        Ok(Some(ImageNode {
            image,
            platform,
            config: manifest.config,
            layers: manifest.layers,
            children,
            referrers,
        }))
    }

    fn named(&mut self, digest: &Digest, platform: Option<Platform>) -> Result<Option<ImageNode>> {
        let reference = Reference::Digest(*digest);
        match manifests::manifest_resolve(self.tx, self.name, &reference)? {
            Some(id) if self.depth < DEEPEST_TREE => {
                self.depth += 1;
                let node = self.node(id, platform);
                self.depth -= 1;
                node
            }
            _ => Ok(None),
        }
    }
}
