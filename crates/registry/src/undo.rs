//! Undo: a tag goes back to where it was, a deleted image or repository comes
//! back.
//!
//! An act can be undone inside the undo window. Until it ends, the collector
//! keeps what the act took away: a deleted manifest keeps its references, and
//! a manifest that a tag was moved away from counts as tagged.
//!
//! An undo is an act like others: it is written in the history, told to the
//! world, bound by the rules about tags, and can be undone. It sets the state
//! of before **if the state of now is the one that the act left**; what somebody
//! else did meanwhile is never undone by the way.

use landfall_clock::Timestamp;
use landfall_database::epoch;
use landfall_oci::{Digest, RepositoryName, Tag};

use crate::{
    Error, Registry, Repository, Restored, Result, TagAct, TagEntry,
    act::Act,
    event::Event,
    store::{history, manifests, repositories, tags},
};

impl Registry {
    /// Turns back what happened to a tag last, and tells what that was. With
    /// `entry`, only if that is still the last.
    pub async fn tag_undo(
        &self,
        name: &RepositoryName,
        tag: &Tag,
        entry: Option<u64>,
    ) -> Result<TagEntry> {
        let (name, tag, now) = (name.clone(), tag.clone(), self.now());
        let (actor, since) = (self.actor.clone(), now - self.settings.undo_window);
        self.database
            .write(move |tx| {
                let repository = repositories::repository_find(tx, &name)?
                    .ok_or_else(|| Error::RepositoryUnknown(name.to_string()))?;
                let act = Act {
                    tx,
                    repository: &repository,
                    actor: actor.as_deref(),
                    now,
                };
                undo_last(&act, &tag, entry, since)
            })
            .await
    }

    /// Brings back a deleted image, with all that the same deletion took along:
    /// the images of an index, and tags that were not set again meanwhile.
    pub async fn image_restore(&self, name: &RepositoryName, digest: &Digest) -> Result<Restored> {
        let (name, digest, now) = (name.clone(), *digest, self.now());
        let actor = self.actor.clone();
        self.database
            .write(move |tx| {
                let repository = repositories::repository_find(tx, &name)?
                    .ok_or_else(|| Error::RepositoryUnknown(name.to_string()))?;
                let act = Act {
                    tx,
                    repository: &repository,
                    actor: actor.as_deref(),
                    now,
                };
                restore(&act, &digest)
            })
            .await
    }

    /// Brings back the repository of this name that was deleted last, with all
    /// that it had.
    pub async fn repository_restore(&self, name: &RepositoryName) -> Result<Repository> {
        let (name, now, actor) = (name.clone(), self.now(), self.actor.clone());
        self.database
            .write(move |tx| {
                let text = || name.to_string();
                let there = repositories::repository_find(tx, &name)?.is_some();
                let hidden = repositories::repository_last_hidden(tx, &name)?;
                let hidden = match hidden {
                    _ if there => return Err(Error::RepositoryExists(text())),
                    Some(hidden) => hidden,
                    None => return Err(Error::RepositoryUnknown(text())),
                };
                ensure_open(&name, hidden.deleted, hidden.purge_due, now)?;
                match repositories::repository_show(tx, hidden.repository.id, now) {
                    Ok(true) => {}
                    Ok(false) => return Err(Error::UndoEnded(text())),
                    // Somebody has made one of this name just now.
                    Err(landfall_database::Error::Unique) => {
                        return Err(Error::RepositoryExists(text()));
                    }
                    Err(error) => return Err(error.into()),
                }
                let act = Act {
                    tx,
                    repository: &hidden.repository,
                    actor: actor.as_deref(),
                    now,
                };
                act.tell(Event::RepositoryRestored)?;
                // The name means this repository again, with its policies.
                epoch::bump(tx, epoch::ACCESS)?;
                Ok(hidden.repository)
            })
            .await
    }
}

/// Whether what was deleted then, and goes at `purge_due`, can be brought back.
fn ensure_open(
    what: &dyn std::fmt::Display,
    deleted: Timestamp,
    purge_due: Timestamp,
    now: Timestamp,
) -> Result<()> {
    if purge_due > now {
        Ok(())
    } else if purge_due <= deleted {
        Err(Error::Purged(what.to_string()))
    } else {
        Err(Error::UndoEnded(what.to_string()))
    }
}

fn undo_last(
    act: &Act<'_, '_>,
    tag: &Tag,
    expected: Option<u64>,
    since: Timestamp,
) -> Result<TagEntry> {
    let (tx, repository) = (act.tx, act.repository.id);
    let changed = || Error::TagChanged(tag.clone());
    let last = history::history_last(tx, repository, tag)?
        .ok_or_else(|| Error::NothingToUndo(tag.clone()))?;
    if expected.is_some_and(|expected| expected != last.number) {
        return Err(changed());
    }
    if last.happened <= since {
        return Err(Error::UndoEnded(tag.to_string()));
    }
    // The manifest first, then the tag: the order in which rows are locked.
    let target = match &last.before {
        None => None,
        Some(digest) => {
            let standing = manifests::manifest_standing(tx, repository, digest)?
                .ok_or_else(|| Error::UndoEnded(digest.to_string()))?;
            if let (Some(deleted), Some(due)) = (standing.deleted, standing.purge_due) {
                ensure_open(digest, deleted, due, act.now)?;
                return Err(Error::ImageDeleted(*digest));
            }
            manifests::manifest_lock(tx, standing.id)?.ok_or_else(changed)?;
            Some((standing.id, digest))
        }
    };
    let current = tags::tag_lock(tx, repository, tag)?;
    // Under the lock, nothing more happens to the tag.
    let still = history::history_last(tx, repository, tag)?;
    if still.is_none_or(|still| still.number != last.number) {
        return Err(changed());
    }
    match (current, target) {
        (None, Some((to, digest))) => {
            if !act.tag_restore(tag, (to, digest), last.number)? {
                return Err(changed());
            }
        }
        (Some(from), Some((to, digest))) => {
            let previous = act.tag_move(tag, (from, to))?;
            let both = (Some(previous), Some(*digest));
            act.note(tag, TagAct::Restored, both, Some(last.number), None)?;
            act.tell(Event::TagRestored {
                tag,
                digest,
                previous: Some(&previous),
            })?;
        }
        (Some(from), None) => {
            act.tag_take(tag, from, None, Some(last.number))?;
        }
        (None, None) => return Err(changed()),
    }
    Ok(last)
}

fn restore(act: &Act<'_, '_>, digest: &Digest) -> Result<Restored> {
    let (tx, repository) = (act.tx, act.repository.id);
    let standing = manifests::manifest_standing(tx, repository, digest)?
        .ok_or_else(|| Error::ManifestUnknown(digest.to_string()))?;
    let (Some(deleted), Some(due)) = (standing.deleted, standing.purge_due) else {
        return Err(Error::NotDeleted(digest.to_string()));
    };
    ensure_open(digest, deleted, due, act.now)?;
    let hidden = match standing.deletion {
        Some(deletion) => manifests::manifest_hidden_by(tx, repository, deletion)?,
        // Hidden by a Landfall that did not know of acts.
        None => vec![standing.id],
    };
    let mut restored = Restored::default();
    let mut seen = Vec::new();
    for id in hidden {
        if let Some(shown) = manifests::manifest_show(tx, id, act.now)? {
            act.tell(Event::ManifestRestored { digest: &shown })?;
            restored.manifests.push(shown);
            seen.push(id);
        }
    }
    manifests::manifest_links_show(tx, &seen)?;
    if !restored.manifests.contains(digest) {
        return Err(Error::UndoEnded(digest.to_string()));
    }
    let taken = match standing.deletion {
        Some(deletion) => history::history_taken(tx, repository, deletion)?,
        None => Vec::new(),
    };
    // All manifests first, then the tags: the order in which rows are locked.
    let mut coming = Vec::new();
    for (tag, number, digest) in taken {
        let standing = manifests::manifest_standing(tx, repository, &digest)?;
        let Some(there) = standing.filter(|standing| standing.deleted.is_none()) else {
            continue;
        };
        // Somebody may be deleting it just now, if it was not hidden before.
        if manifests::manifest_lock(tx, there.id)?.is_some() {
            coming.push((tag, number, there.id, digest));
        }
    }
    for (tag, number, id, digest) in coming {
        if act.tag_restore(&tag, (id, &digest), number)? {
            restored.tags.push(tag);
        }
    }
    Ok(restored)
}
