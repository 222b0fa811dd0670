//! Deleting: hidden at once, gone later.
//!
//! What is deleted answers as unknown from the next request on. A manifest
//! keeps its references until its undo window ends or, with `purge`, until the
//! next run of the collector; the blobs follow. A repository goes the same way.
//! An immutable tag keeps its manifest from being deleted, but not its
//! repository.

use landfall_clock::Timestamp;
use landfall_database::{WriteTransaction, epoch};
use landfall_ids::{DeletionId, ManifestId, RepositoryId};
use landfall_oci::{Digest, Reference, RepositoryName, Tag};

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
                // A repository that is made under this name is another one, and
                // what was allowed on this one says nothing about it.
                epoch::bump(tx, epoch::ACCESS)?;
                Ok(())
            })
            .await
    }

    /// Deletes an image as a person means it, and names the manifests that
    /// went: a tag takes its manifest along when nothing else holds that one,
    /// and an index takes along the images that only it held.
    ///
    /// With `purge` nothing of it can be undone. So an image stays that is needed
    /// to undo something else: a tag can still be set back to it, or an index
    /// that holds it can still be brought back.
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
                let digest = manifests::manifest_lock(tx, id)?.ok_or_else(unknown)?;
                let family = Family {
                    tx,
                    repository: repository.id,
                    undo: purge.then_some((now, since)),
                };
                // From here on nothing begins to hold it. All manifests are
                // locked before any tag.
                let tag = match &reference {
                    Reference::Tag(tag) => Some(tag),
                    Reference::Digest(_) => None,
                };
                let held = match tag {
                    Some(tag) => family.is_held(id, tag)?,
                    None => false,
                };
                let going = if held {
                    Vec::new()
                } else {
                    family.lock((id, digest))?
                };
                if let Some(tag) = tag {
                    if tags::tag_lock(tx, repository.id, tag)? != Some(id) {
                        return Err(Error::TagChanged(tag.clone()));
                    }
                    let along = (!held).then_some(hiding.deletion);
                    act.tag_take(tag, id, along, None)?;
                }
                let mut gone = Vec::new();
                for (id, digest) in going {
                    if act.manifest_hide(id, hiding)? {
                        gone.push(digest);
                    }
                }
                Ok(gone)
            })
            .await
    }
}

/// Finds what goes along with an image.
struct Family<'a, 'c> {
    tx: &'a WriteTransaction<'c>,
    repository: RepositoryId,
    /// Where what goes can't be brought back: the time now, by which a deleted
    /// index that can be restored holds its images; and the time after which
    /// what happened to a tag can be undone.
    undo: Option<(Timestamp, Timestamp)>,
}

impl Family<'_, '_> {
    fn restorable(&self) -> Option<Timestamp> {
        self.undo.map(|(now, _)| now)
    }

    /// Whether something but this tag holds the image.
    fn is_held(&self, id: ManifestId, but: &Tag) -> Result<bool> {
        let named = images::image_is_named(self.tx, id, Some(but))?;
        Ok(named || !images::image_indexes(self.tx, id, self.restorable())?.is_empty())
    }

    /// The image, whose row is locked, and all that only it holds, locked as
    /// well: nothing begins to hold any of it until the end of the transaction.
    fn lock(&self, root: (ManifestId, Digest)) -> Result<Vec<(ManifestId, Digest)>> {
        let mut going = vec![root];
        let mut next = 0;
        while let Some((index, _)) = going.get(next).copied() {
            next += 1;
            for child in images::image_children(self.tx, index)? {
                // Asked first without the lock, so as not to hold up those who
                // push indexes of an image that stays.
                if going.iter().any(|(id, _)| *id == child) || self.stays(child, &going)? {
                    continue;
                }
                let Some(digest) = manifests::manifest_lock(self.tx, child)? else {
                    continue;
                };
                // By later statements than the lock, which see what committed
                // before it.
                if !self.stays(child, &going)? && !self.is_needed(&digest)? {
                    going.push((child, digest));
                }
            }
        }
        Ok(going)
    }

    /// Whether a tag, a pin or an index that does not go holds the image.
    fn stays(&self, id: ManifestId, going: &[(ManifestId, Digest)]) -> Result<bool> {
        if images::image_is_named(self.tx, id, None)? {
            return Ok(true);
        }
        let indexes = images::image_indexes(self.tx, id, self.restorable())?;
        let goes = |index: &ManifestId| going.iter().any(|(id, _)| id == index);
        Ok(!indexes.iter().all(goes))
    }

    /// Whether a tag can still be set back to the image, if that has to be
    /// minded. Asked after its tags, so that none slips through that is taken
    /// away just now.
    fn is_needed(&self, digest: &Digest) -> Result<bool> {
        let Some((_, since)) = self.undo else {
            return Ok(false);
        };
        let needed = history::history_may_need(self.tx, self.repository, digest, since)?;
        Ok(needed)
    }
}
