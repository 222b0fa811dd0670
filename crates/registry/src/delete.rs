//! Deleting: hidden at once, gone later.
//!
//! What is deleted answers as unknown from the next request on. A manifest
//! keeps its references until its undo window ends or, with `purge`, until the
//! next run of the collector; the blobs follow.

use landfall_clock::Timestamp;
use landfall_database::WriteTransaction;
use landfall_ids::RepositoryId;
use landfall_oci::{Digest, Reference, RepositoryName, Tag};

use crate::{
    Error, Registry, Result,
    store::{blobs, candidates, images, manifests, repositories, tags},
};

impl Registry {
    /// Takes a tag away. The manifest stays.
    pub async fn tag_delete(&self, name: &RepositoryName, tag: &Tag) -> Result<()> {
        let (name, tag, now) = (name.clone(), tag.clone(), self.now());
        self.database
            .write(move |tx| {
                let unknown = || Error::ManifestUnknown(tag.to_string());
                let repository = repositories::repository_find(tx, &name)?.ok_or_else(unknown)?;
                tags::tag_delete(tx, repository.id, &tag, now)?
                    .ok_or_else(unknown)
                    .map(drop)
            })
            .await
    }

    /// Deletes a manifest and the tags that point at it.
    pub async fn manifest_delete(&self, name: &RepositoryName, digest: &Digest) -> Result<()> {
        let (name, digest, now) = (name.clone(), *digest, self.now());
        let purge_due = now + self.settings.undo_window;
        self.database
            .write(move |tx| {
                let unknown = || Error::ManifestUnknown(digest.to_string());
                let repository = repositories::repository_find(tx, &name)?.ok_or_else(unknown)?;
                let id = repository.id;
                let hidden = manifests::manifest_hide(tx, id, &digest, now, purge_due)?;
                if hidden { Ok(()) } else { Err(unknown()) }
            })
            .await
    }

    /// Deletes a blob of the repository, if no manifest needs it.
    pub async fn blob_delete(&self, name: &RepositoryName, digest: &Digest) -> Result<()> {
        let (name, digest, now) = (name.clone(), *digest, self.now());
        self.database
            .write(move |tx| {
                let link = blobs::link_find(tx, &name, &digest)?;
                let repository = link.ok_or(Error::BlobUnknown(digest))?.repository;
                if manifests::manifest_needs_blob(tx, repository, &digest)? {
                    return Err(Error::BlobInUse(digest));
                }
                if !blobs::link_hide(tx, repository, &digest, now)? {
                    return Err(Error::BlobUnknown(digest));
                }
                candidates::candidate_insert(tx, &digest, now, now)?;
                Ok(())
            })
            .await
    }

    /// Deletes a repository with everything in it.
    pub async fn repository_delete(&self, name: &RepositoryName) -> Result<()> {
        let (wanted, now) = (name.clone(), self.now());
        let hidden = self
            .database
            .write(move |tx| repositories::repository_hide(tx, &wanted, now))
            .await?;
        if hidden {
            Ok(())
        } else {
            Err(Error::RepositoryUnknown(name.to_string()))
        }
    }

    /// Deletes an image as a person means it, and names the manifests that
    /// went: a tag takes its manifest along when nothing else holds that one,
    /// and an index takes along the images that only it held.
    pub async fn image_delete(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        purge: bool,
    ) -> Result<Vec<Digest>> {
        let (name, reference, now) = (name.clone(), reference.clone(), self.now());
        let purge_due = if purge {
            now
        } else {
            now + self.settings.undo_window
        };
        self.database
            .write(move |tx| {
                let unknown = || Error::ManifestUnknown(reference.to_string());
                let repository = repositories::repository_find(tx, &name)?
                    .ok_or_else(unknown)?
                    .id;
                let digest = match &reference {
                    Reference::Digest(digest) => *digest,
                    Reference::Tag(tag) => {
                        let id = tags::tag_delete(tx, repository, tag, now)?.ok_or_else(unknown)?;
                        if images::image_is_held(tx, id)? {
                            return Ok(Vec::new());
                        }
                        images::image_find(tx, id)?.ok_or_else(unknown)?.digest
                    }
                };
                let mut gone = Vec::new();
                hide_with_children(tx, (&name, repository), digest, (now, purge_due), &mut gone)?;
                if gone.is_empty() {
                    Err(unknown())
                } else {
                    Ok(gone)
                }
            })
            .await
    }
}

/// Hides a manifest, and then the children that only it held, and theirs.
fn hide_with_children(
    tx: &WriteTransaction<'_>,
    (name, repository): (&RepositoryName, RepositoryId),
    digest: Digest,
    (now, purge_due): (Timestamp, Timestamp),
    gone: &mut Vec<Digest>,
) -> Result<()> {
    let mut waiting = vec![digest];
    while let Some(digest) = waiting.pop() {
        let found = manifests::manifest_resolve(tx, name, &Reference::Digest(digest))?;
        let Some(id) = found else { continue };
        waiting.extend(images::image_orphans(tx, id)?);
        if manifests::manifest_hide(tx, repository, &digest, now, purge_due)? {
            gone.push(digest);
        }
    }
    Ok(())
}
