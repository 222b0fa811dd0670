//! What the registry speaks of. Plain data, no I/O.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use bytes::Bytes;
use landfall_blobs::Location;
use landfall_clock::Timestamp;
use landfall_ids::{AccountId, DeletionId, ManifestId, RepositoryId, UploadId};
use landfall_oci::{Digest, MediaType, RepositoryName, Tag};

use crate::TagRules;

/// What the operator decides about the registry.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The largest manifest that is taken, in bytes.
    pub max_manifest_size: u64,
    /// The largest blob that is taken, in bytes; `None` for any size.
    pub max_blob_size: Option<u64>,
    /// How long a blob is kept, at least, after the last positive answer about
    /// it and after its last reference.
    pub promise: Duration,
    /// How long a deleted manifest keeps its blobs, and a tag's move or
    /// deletion can be undone.
    pub undo_window: Duration,
    /// How long it is remembered what happened to a tag; at least as long as
    /// it can be undone.
    pub tag_history: Duration,
    /// How long an upload may lie still before it is given up.
    pub upload_lifetime: Duration,
    /// How long the bytes of a collected blob stay, at least: the longest
    /// read that may still be going on.
    pub trash_delay: Duration,
    /// How long a manifest without tag, index, subject or pin is kept; `None`
    /// for ever.
    pub untagged_after: Option<Duration>,
}

/// A repository, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its identity.
    pub id: RepositoryId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// Its whole name.
    pub name: RepositoryName,
    /// When it was made.
    pub created: Timestamp,
    /// Which of its tags may move.
    pub rules: TagRules,
}

/// What a repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositorySummary {
    /// The repository itself.
    pub repository: Repository,
    /// Tags.
    pub tags: u64,
    /// Manifests, with and without tags.
    pub manifests: u64,
    /// Blobs that it may see.
    pub blobs: u64,
    /// Their bytes, each blob counted once: what the repository would take if
    /// it stood alone.
    pub bytes: u64,
    /// What was pulled from it.
    pub usage: Usage,
}

/// What was pulled from a repository since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Answers that gave a manifest.
    pub pulls: u64,
    /// Bytes of manifests and blobs that were sent.
    pub bytes: u64,
    /// When a manifest was given last.
    pub last_pull: Option<Timestamp>,
}

/// A manifest as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// Its identity.
    pub id: ManifestId,
    /// The hash of [`StoredManifest::content`].
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// Its bytes, never re-serialised.
    pub content: Bytes,
}

/// A blob that a repository may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// The hash of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// Where they lie.
    pub location: Location,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadStatus {
    /// The session.
    pub id: UploadId,
    /// Bytes that are on the disk.
    pub received: u64,
}

/// What a push of a manifest did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedManifest {
    /// Its digest.
    pub digest: Digest,
    /// The manifest that it refers to.
    pub subject: Option<Digest>,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries, in order.
    pub entries: Vec<T>,
    /// Whether entries follow.
    pub more: bool,
}

/// A manifest that refers to another by its `subject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// The size of the manifest, in bytes.
    pub size: u64,
    /// Its artifact type, or the media type of its config.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A manifest in a listing of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// Its artifact type, or the media type of its config.
    pub artifact_type: Option<String>,
    /// What it refers to.
    pub subject: Option<Digest>,
    /// When it was pushed first.
    pub created: Timestamp,
    /// The tags that point at it, in order.
    pub tags: Vec<Tag>,
    /// The bytes of the manifest and of the blobs that it needs itself.
    pub size: u64,
}

/// Where a layer stands before a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerState {
    /// The repository holds it.
    Present,
    /// Another repository of the account held it, and this one does now.
    Mounted,
    /// It must be uploaded.
    New,
}

/// A tag and what it points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagStatus {
    /// The tag.
    pub tag: Tag,
    /// The manifest that it points at.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: MediaType,
    /// When the tag was made.
    pub created: Timestamp,
    /// When it was moved last.
    pub updated: Timestamp,
    /// Whether it can neither be moved nor deleted.
    pub immutable: bool,
}

/// What can happen to a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagAct {
    /// It was not there, and points at a manifest now.
    Created,
    /// It points at another manifest.
    Moved,
    /// It is not there any more.
    Deleted,
    /// It points again where it pointed before.
    Restored,
}

impl TagAct {
    /// One word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Moved => "moved",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
        }
    }
}

impl FromStr for TagAct {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::Created, Self::Moved, Self::Deleted, Self::Restored];
        all.into_iter().find(|act| act.as_str() == text).ok_or(())
    }
}

/// One entry of a tag's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagEntry {
    /// Its place in the history of the tag, from 1.
    pub number: u64,
    /// What happened.
    pub act: TagAct,
    /// What the tag pointed at before; `None` if it was not there.
    pub before: Option<Digest>,
    /// What it pointed at afterwards; `None` if it was gone.
    pub after: Option<Digest>,
    /// Who did it; `None` if Landfall did, by itself.
    pub actor: Option<String>,
    /// When.
    pub happened: Timestamp,
    /// The number of the entry that this one turned back.
    pub undoes: Option<u64>,
    /// The act that took the tag along with its image.
    pub deletion: Option<DeletionId>,
}

/// What a restoration brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// The manifests.
    pub manifests: Vec<Digest>,
    /// The tags. Those that were set again meanwhile are not among them.
    pub tags: Vec<Tag>,
}

impl<T> Page<T> {
    /// A page of `limit` entries, from a look-up of one more than that.
    pub(crate) fn cut(mut entries: Vec<T>, limit: usize) -> Self {
        let more = entries.len() > limit;
        entries.truncate(limit);
        Self { entries, more }
    }
}
