//! Tags: listed, set by hand, with their history.

use landfall_ids::DeletionId;
use landfall_oci::{Digest, Reference, RepositoryName, Tag};

use crate::{
    Error, Page, Registry, Repository, Result, TagEntry, TagRules, TagStatus,
    act::Act,
    store::{history, manifests, repositories, tags},
};

impl Registry {
    /// Up to `limit` tags after `last`, in the order of their bytes.
    pub async fn tag_list(
        &self,
        name: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<Tag>> {
        let (name, last) = (name.clone(), last.unwrap_or_default().to_owned());
        self.database
            .read_long(move |tx| {
                let repository = find(tx, &name)?;
                let found = tags::tag_page(tx, repository.id, &last, limit + 1)?;
                Ok(Page::cut(found, limit))
            })
            .await
    }

    /// As [`Registry::tag_list`], with what each points at.
    pub async fn tag_statuses(
        &self,
        name: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<TagStatus>> {
        let (name, last) = (name.clone(), last.unwrap_or_default().to_owned());
        self.database
            .read_long(move |tx| {
                let repository = find(tx, &name)?;
                let found = tags::tag_statuses(tx, repository.id, &last, limit + 1)?;
                let found = found.into_iter().map(|tag| ruled(tag, &repository.rules));
                Ok(Page::cut(found.collect(), limit))
            })
            .await
    }

    /// Tags that were deleted and can still be brought back, in the order of
    /// their bytes, each with the entry of its deletion.
    pub async fn tag_deleted(
        &self,
        name: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<(Tag, TagEntry)>> {
        let (name, last) = (name.clone(), last.unwrap_or_default().to_owned());
        let since = self.now() - self.settings.undo_window;
        self.database
            .read_long(move |tx| {
                let repository = find(tx, &name)?;
                let found = history::history_deleted(tx, repository.id, since, &last, limit + 1)?;
                Ok(Page::cut(found, limit))
            })
            .await
    }

    /// One tag and what it points at.
    pub async fn tag_show(&self, name: &RepositoryName, tag: &Tag) -> Result<TagStatus> {
        let (name, tag) = (name.clone(), tag.clone());
        self.database
            .read_long(move |tx| {
                let repository = find(tx, &name)?;
                let found = tags::tag_status(tx, repository.id, &tag)?;
                let found = found.ok_or(Error::TagUnknown(tag))?;
                Ok(ruled(found, &repository.rules))
            })
            .await
    }

    /// The tags that point at an image, in order; none if it is not there.
    pub async fn image_tags(&self, name: &RepositoryName, digest: &Digest) -> Result<Vec<Tag>> {
        let (name, reference) = (name.clone(), Reference::Digest(*digest));
        self.database
            .read_long(move |tx| {
                Ok(match manifests::manifest_resolve(tx, &name, &reference)? {
                    Some(id) => tags::tag_names(tx, id)?,
                    None => Vec::new(),
                })
            })
            .await
    }

    /// The tags that would come back with a deleted image, in order; none if it
    /// is not there.
    pub async fn image_tags_taken(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<Tag>> {
        let (name, digest) = (name.clone(), *digest);
        self.database
            .read_long(move |tx| {
                let Some(repository) = repositories::repository_find(tx, &name)? else {
                    return Ok(Vec::new());
                };
                let standing = manifests::manifest_standing(tx, repository.id, &digest)?;
                let Some(deletion) = standing.and_then(|standing| standing.deletion) else {
                    return Ok(Vec::new());
                };
                let taken = history::history_taken(tx, repository.id, deletion)?;
                Ok(taken.into_iter().map(|(tag, ..)| tag).collect())
            })
            .await
    }

    /// Up to `limit` entries of a tag's history before the number `before`, the
    /// newest first. Also of a tag that is not there any more.
    pub async fn tag_history(
        &self,
        name: &RepositoryName,
        tag: &Tag,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<TagEntry>> {
        let (name, tag) = (name.clone(), tag.clone());
        let before = before.unwrap_or(u64::MAX);
        self.database
            .read_long(move |tx| {
                let repository = find(tx, &name)?.id;
                let found = history::history_page(tx, repository, &tag, before, limit + 1)?;
                if found.is_empty() && tags::tag_status(tx, repository, &tag)?.is_none() {
                    return Err(Error::TagUnknown(tag));
                }
                Ok(Page::cut(found, limit))
            })
            .await
    }

    /// Points a tag at an image of the repository, without a push; the digest
    /// of the image.
    pub async fn tag_create(
        &self,
        name: &RepositoryName,
        tag: &Tag,
        image: &Reference,
    ) -> Result<Digest> {
        let (name, tag, image, now) = (name.clone(), tag.clone(), image.clone(), self.now());
        let actor = self.actor.clone();
        self.database
            .write(move |tx| {
                let repository = find(tx, &name)?;
                let unknown = || Error::ManifestUnknown(image.to_string());
                let id = manifests::manifest_resolve(tx, &name, &image)?.ok_or_else(unknown)?;
                let digest = manifests::manifest_lock(tx, id)?.ok_or_else(unknown)?;
                let act = Act {
                    tx,
                    repository: &repository,
                    actor: actor.as_deref(),
                    now,
                };
                act.tag_set(&tag, id, &digest)?;
                Ok(digest)
            })
            .await
    }

    /// Takes a tag away. The manifest stays.
    pub async fn tag_delete(&self, name: &RepositoryName, tag: &Tag) -> Result<()> {
        let (name, tag, now) = (name.clone(), tag.clone(), self.now());
        let actor = self.actor.clone();
        self.database
            .write(move |tx| {
                let unknown = || Error::ManifestUnknown(tag.to_string());
                let repository = repositories::repository_find(tx, &name)?.ok_or_else(unknown)?;
                let from = tags::tag_lock(tx, repository.id, &tag)?.ok_or_else(unknown)?;
                let act = Act {
                    tx,
                    repository: &repository,
                    actor: actor.as_deref(),
                    now,
                };
                act.tag_take(&tag, from, None::<DeletionId>, None)?;
                Ok(())
            })
            .await
    }
}

fn find(tx: &landfall_database::ReadTransaction<'_>, name: &RepositoryName) -> Result<Repository> {
    repositories::repository_find(tx, name)?
        .ok_or_else(|| Error::RepositoryUnknown(name.to_string()))
}

fn ruled(tag: TagStatus, rules: &TagRules) -> TagStatus {
    TagStatus {
        immutable: rules.holds(&tag.tag),
        ..tag
    }
}
