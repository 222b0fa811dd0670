//! Deleting: hidden at once, gone later.
//!
//! What is deleted answers as unknown from the next request on. A manifest
//! keeps its references until its undo window ends or, with `purge`, until the
//! next run of the collector; the blobs follow. A repository goes the same way.
//! An immutable tag keeps its manifest from being deleted, but not its
//! repository.

use landfall_clock::Timestamp;
use landfall_database::WriteTransaction;
use landfall_ids::{DeletionId, ManifestId, RepositoryId};
use landfall_oci::{Digest, Reference, RepositoryName};

use crate::{
    Error, Registry, Result,
    act::{Act, Hiding},
    event::{self, Event},
    store::{blobs, candidates, history, images, manifests, repositories, tags},
};

impl Registry {
    /// How something that is deleted now is hidden.
    fn hiding(&self, now: Timestamp, purge: bool) -> Hiding {
        let purge_due = if purge {
            now
        } else {
            now + self.settings.undo_window
        };
        Hiding {
            deletion: DeletionId::new_at(now.unix_micros()),
            purge_due,
        }
    }

    /// Deletes a manifest and the tags that point at it.
    pub async fn manifest_delete(&self, name: &RepositoryName, digest: &Digest) -> Result<()> {
        let (name, digest, now) = (name.clone(), *digest, self.now());
        let (actor, hiding) = (self.actor.clone(), self.hiding(now, false));
        self.database
            .write(move |tx| {
                let unknown = || Error::ManifestUnknown(digest.to_string());
                let repository = repositories::repository_find(tx, &name)?.ok_or_else(unknown)?;
                let found = manifests::manifest_resolve(tx, &name, &Reference::Digest(digest))?;
                let act = Act {
                    tx,
                    repository: &repository,
                    actor: actor.as_deref(),
                    now,
                };
                if act.manifest_hide(found.ok_or_else(unknown)?, hiding)? {
                    Ok(())
                } else {
                    Err(unknown())
                }
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
                if !blobs::link_lock(tx, repository, &digest)? {
                    return Err(Error::BlobUnknown(digest));
                }
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

    /// Deletes a repository with everything in it. It can be restored until the
    /// undo window ends, but not with `purge`.
    pub async fn repository_delete(&self, name: &RepositoryName, purge: bool) -> Result<()> {
        let (name, now, actor) = (name.clone(), self.now(), self.actor.clone());
        let purge_due = self.hiding(now, purge).purge_due;
        self.database
            .write(move |tx| {
                let hidden = repositories::repository_hide(tx, &name, now, purge_due)?;
                let hidden = hidden.ok_or_else(|| Error::RepositoryUnknown(name.to_string()))?;
                let deleted = Event::RepositoryDeleted { purge };
                event::tell(tx, &hidden, actor.as_deref(), now, deleted)?;
                Ok(())
            })
            .await
    }

    /// Deletes an image as a person means it, and names the manifests that
    /// went: a tag takes its manifest along when nothing else holds that one,
    /// and an index takes along the images that only it held.
    ///
    /// With `purge` nothing of it can be undone. So an index does not take along
    /// an image to which a tag can still be set back.
    pub async fn image_delete(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        purge: bool,
    ) -> Result<Vec<Digest>> {
        let (name, reference, now) = (name.clone(), reference.clone(), self.now());
        let (actor, hiding) = (self.actor.clone(), self.hiding(now, purge));
        let since = now - self.settings.undo_window;
        self.database
            .write(move |tx| {
                let unknown = || Error::ManifestUnknown(reference.to_string());
                let repository = repositories::repository_find(tx, &name)?.ok_or_else(unknown)?;
                let act = Act {
                    tx,
                    repository: &repository,
                    actor: actor.as_deref(),
                    now,
                };
                let found = manifests::manifest_resolve(tx, &name, &reference)?;
                let id = found.ok_or_else(unknown)?;
                manifests::manifest_lock(tx, id)?.ok_or_else(unknown)?;
                if let Reference::Tag(tag) = &reference {
                    let stands = tags::tag_lock(tx, repository.id, tag)?;
                    if stands != Some(id) {
                        return Err(Error::TagChanged(tag.clone()));
                    }
                    let held = images::image_is_held(tx, id, tag)?;
                    let along = (!held).then_some(hiding.deletion);
                    act.tag_take(tag, id, along, None)?;
                    if held {
                        return Ok(Vec::new());
                    }
                }
                let mut gone = Vec::new();
                let mut waiting = vec![id];
                while let Some(id) = waiting.pop() {
                    for child in images::image_orphans(tx, id)? {
                        if !purge || !may_be_needed(tx, repository.id, child, since)? {
                            waiting.push(child);
                        }
                    }
                    let digest = manifests::manifest_digest(tx, id)?;
                    if act.manifest_hide(id, hiding)? {
                        gone.extend(digest);
                    }
                }
                Ok(gone)
            })
            .await
    }
}

/// Whether a tag can still be set back to the manifest.
fn may_be_needed(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    id: ManifestId,
    since: Timestamp,
) -> Result<bool> {
    match manifests::manifest_digest(tx, id)? {
        Some(digest) => Ok(history::history_may_need(tx, repository, &digest, since)?),
        None => Ok(false),
    }
}
