//! What the registry speaks of. Plain data, no I/O.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use landfall_blobs::Location;
use landfall_clock::Timestamp;
use landfall_ids::{AccountId, ManifestId, RepositoryId, UploadId};
use landfall_oci::{Digest, MediaType, RepositoryName, Tag};

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
    /// How long a deleted manifest keeps its blobs.
    pub undo_window: Duration,
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

impl<T> Page<T> {
    /// A page of `limit` entries, from a look-up of one more than that.
    pub(crate) fn cut(mut entries: Vec<T>, limit: usize) -> Self {
        let more = entries.len() > limit;
        entries.truncate(limit);
        Self { entries, more }
    }
}
