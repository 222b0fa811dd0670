//! Pushing manifests.
//!
//! One transaction inserts the manifest, its references in digest order, and
//! the tags. What is missing is named, all of it at once, and nothing is left
//! behind. A manifest that was deleted and is pushed again is shown again.

use bytes::Bytes;
use landfall_database::WriteTransaction;
use landfall_ids::{AccountId, ManifestId, RepositoryId};
use landfall_oci::{Algorithm, Descriptor, Digest, Manifest, RepositoryName, Tag};

use crate::{
    Error, PushedManifest, Registry, Result,
    act::Act,
    event::Event,
    store::{blobs, manifests, repositories},
};

/// A larger manifest is parsed off the async threads.
const PARSED_HERE: usize = 64 * 1024;

/// How a manifest is to be named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushTarget {
    /// The digest that its bytes must have; `None` for their SHA-256.
    pub digest: Option<Digest>,
    /// The tags that point at it afterwards.
    pub tags: Vec<Tag>,
}

impl Registry {
    /// Stores a manifest. Makes the repository if it is not there.
    pub async fn manifest_put(
        &self,
        name: &RepositoryName,
        account: AccountId,
        target: PushTarget,
        content_type: Option<&str>,
        content: Bytes,
    ) -> Result<PushedManifest> {
        let limit = self.settings.max_manifest_size;
        if content.len() as u64 > limit {
            return Err(Error::ManifestTooLarge { limit });
        }
        let algorithm = target
            .digest
            .map_or(Algorithm::Sha256, |digest| digest.algorithm());
        let (digest, manifest) = parse(content.clone(), content_type, algorithm).await?;
        if let Some(expected) = target.digest.filter(|expected| *expected != digest) {
            return Err(Error::DigestMismatch {
                expected,
                actual: digest,
            });
        }
        let now = self.now();
        let subject = manifest.subject.as_ref().map(|subject| subject.digest);
        let mut tags = target.tags;
        // In the order in which rows are locked, each once.
        tags.sort_unstable();
        tags.dedup();
        let (name, actor) = (name.clone(), self.actor.clone());
        self.database
            .write(move |tx| {
                let actor = actor.as_deref();
                let repository = repositories::repository_ensure(tx, &name, account, actor, now)?;
                let new = manifests::NewManifest {
                    repository: repository.id,
                    digest,
                    manifest: &manifest,
                    content: &content,
                    now,
                };
                let id = manifests::manifest_upsert(tx, &new)?
                    .ok_or_else(|| Error::ManifestUnknown(digest.to_string()))?;
                refer(tx, id, repository.id, &manifest)?;
                let act = Act {
                    tx,
                    repository: &repository,
                    actor,
                    now,
                };
                act.tell(Event::ManifestPushed {
                    digest: &digest,
                    media_type: &manifest.media_type,
                    size: content.len() as u64,
                    subject: manifest.subject.as_ref().map(|subject| &subject.digest),
                })?;
                for tag in &tags {
                    act.tag_set(tag, id, &digest)?;
                }
                Ok(())
            })
            .await
            .map(|()| PushedManifest { digest, subject })
    }
}

async fn parse(
    content: Bytes,
    content_type: Option<&str>,
    algorithm: Algorithm,
) -> Result<(Digest, Manifest)> {
    let content_type = content_type.map(str::to_owned);
    let small = content.len() <= PARSED_HERE;
    let work = move || {
        let manifest = Manifest::parse(&content, content_type.as_deref())
            .map_err(|error| Error::ManifestInvalid(error.to_string()))?;
        Ok((Digest::of(algorithm, &content), manifest))
    };
    if small {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Error::ManifestInvalid(
            "the manifest can't be read".to_owned(),
        ))
    })
}

/// Writes down what the manifest needs, and refuses it if that is not there.
fn refer(
    tx: &WriteTransaction<'_>,
    id: ManifestId,
    repository: RepositoryId,
    manifest: &Manifest,
) -> Result<()> {
    let mut missing = Vec::new();
    for blob in in_digest_order(manifest.required_blobs()) {
        match blobs::link_size(tx, repository, &blob.digest)? {
            Some(size) if size == blob.size => {
                manifests::manifest_blob_insert(tx, id, repository, &blob.digest)?;
            }
            Some(size) => return Err(wrong_size(blob, size)),
            None => missing.push(blob.digest),
        }
    }
    for child in in_digest_order(manifest.required_manifests()) {
        if !manifests::manifest_child_insert(tx, id, repository, &child.digest)? {
            missing.push(child.digest);
        }
    }
    // Not needed, but kept where it is there.
    for other in in_digest_order(manifest.other_content()) {
        if blobs::link_size(tx, repository, &other.digest)?.is_some() {
            manifests::manifest_blob_insert(tx, id, repository, &other.digest)?;
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::ManifestBlobsUnknown(missing))
    }
}

fn wrong_size(blob: &Descriptor, size: u64) -> Error {
    Error::ManifestInvalid(format!(
        "the manifest says that `{}` has {} bytes, but it has {size}",
        blob.digest, blob.size
    ))
}

/// Each digest once, in the order in which rows are locked.
fn in_digest_order<'a>(descriptors: impl Iterator<Item = &'a Descriptor>) -> Vec<&'a Descriptor> {
    let mut ordered: Vec<_> = descriptors.collect();
    ordered.sort_by_key(|descriptor| descriptor.digest);
    ordered.dedup_by_key(|descriptor| descriptor.digest);
    ordered
}
