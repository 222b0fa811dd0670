//! One act on a repository: what it does to tags and manifests, what it writes
//! down of that, and whom it tells.
//!
//! Everything that changes a tag goes through here, so nothing changes without
//! an entry in the tag's history and an event, and no rule is passed by.
//!
//! # Two at once
//!
//! Rows are locked in one order: manifests, then tags, then the repository.
//! A tag is moved or taken only with its row locked. The rule of the repository
//! is then read **and kept from changing** until the act has committed, so a
//! rule that was confirmed to whoever set it holds from that moment on. A new
//! tag needs no rule: pushes under new tags don't wait for anybody.

use landfall_clock::Timestamp;
use landfall_database::WriteTransaction;
use landfall_ids::{DeletionId, ManifestId};
use landfall_oci::{Digest, Tag};

use crate::{
    Error, Repository, Result, TagAct,
    event::{self, Event},
    store::{
        history::{NewEntry, history_append},
        manifests, repositories, tags,
    },
};

/// How often a tag is looked for that is made and taken away by others all the
/// time.
const TRIES: usize = 8;

/// An act that is being done.
pub(crate) struct Act<'a, 'c> {
    pub(crate) tx: &'a WriteTransaction<'c>,
    pub(crate) repository: &'a Repository,
    /// Who does it; `None` if Landfall does, by itself.
    pub(crate) actor: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// Why and how long something is hidden.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hiding {
    /// What else is hidden by the same act.
    pub(crate) deletion: DeletionId,
    /// When it lets go of what it refers to.
    pub(crate) purge_due: Timestamp,
}

impl Act<'_, '_> {
    /// Tells the world.
    pub(crate) fn tell(&self, event: Event<'_>) -> Result<()> {
        event::tell(self.tx, self.repository, self.actor, self.now, event)?;
        Ok(())
    }

    /// Points the tag at the manifest, which can be seen and stays so: its row
    /// is locked. Nothing happens if it points there already.
    pub(crate) fn tag_set(&self, tag: &Tag, to: ManifestId, digest: &Digest) -> Result<()> {
        let (tx, repository) = (self.tx, self.repository.id);
        for _ in 0..TRIES {
            if tags::tag_insert(tx, repository, tag, to, self.now)? {
                self.note(tag, TagAct::Created, (None, Some(*digest)), None, None)?;
                return self.tell(Event::TagCreated { tag, digest });
            }
            match tags::tag_lock(tx, repository, tag)? {
                Some(from) if from == to => return Ok(()),
                Some(from) => {
                    let previous = self.tag_move(tag, (from, to))?;
                    let both = (Some(previous), Some(*digest));
                    self.note(tag, TagAct::Moved, both, None, None)?;
                    return self.tell(Event::TagMoved {
                        tag,
                        digest,
                        previous: &previous,
                    });
                }
                // It was taken away between the two statements.
                None => {}
            }
        }
        Err(Error::TagChanged(tag.clone()))
    }

    /// Moves a tag whose row is locked, if the rule lets it; what it pointed
    /// at.
    pub(crate) fn tag_move(
        &self,
        tag: &Tag,
        (from, to): (ManifestId, ManifestId),
    ) -> Result<Digest> {
        self.tag_may_change(tag)?;
        let previous = self.digest_of(from)?;
        if !tags::tag_move(self.tx, self.repository.id, tag, (from, to), self.now)? {
            return Err(Error::TagChanged(tag.clone()));
        }
        Ok(previous)
    }

    /// Takes a tag away whose row is locked, if the rule lets it; what it
    /// pointed at.
    pub(crate) fn tag_take(
        &self,
        tag: &Tag,
        from: ManifestId,
        deletion: Option<DeletionId>,
        undoes: Option<u64>,
    ) -> Result<Digest> {
        self.tag_may_change(tag)?;
        let previous = self.digest_of(from)?;
        if !tags::tag_remove(self.tx, self.repository.id, tag, from)? {
            return Err(Error::TagChanged(tag.clone()));
        }
        let both = (Some(previous), None);
        self.note(tag, TagAct::Deleted, both, undoes, deletion)?;
        self.tell(Event::TagDeleted {
            tag,
            previous: &previous,
        })?;
        Ok(previous)
    }

    /// Makes a tag again that was taken away; `false` if it is there.
    pub(crate) fn tag_restore(
        &self,
        tag: &Tag,
        (manifest, digest): (ManifestId, &Digest),
        undoes: u64,
    ) -> Result<bool> {
        if !tags::tag_insert(self.tx, self.repository.id, tag, manifest, self.now)? {
            return Ok(false);
        }
        let both = (None, Some(*digest));
        self.note(tag, TagAct::Restored, both, Some(undoes), None)?;
        self.tell(Event::TagRestored {
            tag,
            digest,
            previous: None,
        })?;
        Ok(true)
    }

    /// Writes an entry of the tag's history.
    pub(crate) fn note(
        &self,
        tag: &Tag,
        act: TagAct,
        (before, after): (Option<Digest>, Option<Digest>),
        undoes: Option<u64>,
        deletion: Option<DeletionId>,
    ) -> Result<()> {
        let new = NewEntry {
            act,
            before,
            after,
            actor: self.actor,
            undoes,
            deletion,
            now: self.now,
        };
        history_append(self.tx, self.repository.id, tag, &new)?;
        Ok(())
    }

    /// Hides a manifest, and takes its tags along; `false` if it is not there.
    pub(crate) fn manifest_hide(&self, id: ManifestId, hiding: Hiding) -> Result<bool> {
        let tx = self.tx;
        let Some(digest) = manifests::manifest_lock(tx, id)? else {
            return Ok(false);
        };
        // From here on nobody makes a tag that points at it.
        for tag in tags::tag_lock_all(tx, id)? {
            self.tag_take(&tag, id, Some(hiding.deletion), None)?;
        }
        let (now, purge_due) = (self.now, hiding.purge_due);
        manifests::manifest_hide(tx, id, &digest, (now, purge_due), hiding.deletion)?;
        self.tell(Event::ManifestDeleted {
            digest: &digest,
            purge: purge_due <= now,
        })?;
        Ok(true)
    }

    /// Asks the rule of the repository, which stays as it is until the end of
    /// the transaction.
    fn tag_may_change(&self, tag: &Tag) -> Result<()> {
        let rules = repositories::repository_rules_lock(self.tx, self.repository.id)?;
        if rules.is_some_and(|rules| rules.holds(tag)) {
            return Err(Error::TagImmutable {
                tag: tag.clone(),
                repository: self.repository.name.clone(),
            });
        }
        Ok(())
    }

    fn digest_of(&self, id: ManifestId) -> Result<Digest> {
        let digest = manifests::manifest_digest(self.tx, id)?;
        digest.ok_or_else(|| Error::ManifestUnknown(id.to_string()))
    }
}
