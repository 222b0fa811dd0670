//! What can go wrong, told by what a caller can do about it.

use landfall_oci::{Digest, RepositoryName, Tag};

/// A failure of the registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No repository of this name is there.
    #[error("repository `{0}` is not known to this registry")]
    RepositoryUnknown(String),
    /// A repository of this name is there already.
    #[error("repository `{0}` exists already")]
    RepositoryExists(String),
    /// No manifest of this tag or digest is in the repository.
    #[error("manifest `{0}` is not known to this repository")]
    ManifestUnknown(String),
    /// No tag of this name is in the repository.
    #[error("tag `{0}` is not known to this repository")]
    TagUnknown(Tag),
    /// The rules of the repository keep the tag where it is.
    #[error(
        "tag `{tag}` of `{repository}` is immutable: it can't be moved or deleted; use another \
         tag, or have the rules of the repository changed"
    )]
    TagImmutable {
        /// The tag.
        tag: Tag,
        /// Its repository.
        repository: RepositoryName,
    },
    /// Somebody else has changed the tag since the caller looked at it.
    #[error("tag `{0}` was changed meanwhile; look at its history and try again")]
    TagChanged(Tag),
    /// Nothing that is known has happened to the tag.
    #[error("nothing is known to have happened to tag `{0}`, so there is nothing to undo")]
    NothingToUndo(Tag),
    /// The image that a tag would point at again was deleted, and may still be
    /// restored.
    #[error("image `{0}`, to which the tag would go back, was deleted; restore the image first")]
    ImageDeleted(Digest),
    /// The image is there, so nothing is to be restored.
    #[error("`{0}` is not deleted")]
    NotDeleted(String),
    /// The time to undo is over.
    #[error("`{0}` can't be brought back any more: the time to undo has ended")]
    UndoEnded(String),
    /// It was deleted without a time to undo.
    #[error("`{0}` can't be brought back: it was deleted with purge, which leaves no time to undo")]
    Purged(String),
    /// No blob of this digest is in the repository.
    #[error("blob `{0}` is not known to this repository")]
    BlobUnknown(Digest),
    /// No upload of this name is going on.
    #[error("this upload is not known: it ended, was cancelled, or lay still too long; start anew")]
    UploadUnknown,
    /// The manifest breaks a rule.
    #[error("{0}")]
    ManifestInvalid(String),
    /// The manifest has too many bytes.
    #[error("the manifest has more than the {limit} bytes that this registry takes")]
    ManifestTooLarge {
        /// The largest that is taken.
        limit: u64,
    },
    /// The manifest needs blobs or manifests that the repository lacks.
    #[error("the manifest needs {} that this repository lacks; push them first", count(.0.len()))]
    ManifestBlobsUnknown(Vec<Digest>),
    /// The bytes are not those of the digest.
    #[error("the content has the digest `{actual}`, not `{expected}`")]
    DigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What the bytes have.
        actual: Digest,
    },
    /// The body is longer or shorter than the client said.
    #[error("the body has {actual} bytes where {expected} were announced")]
    SizeMismatch {
        /// What the client said.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// The blob has too many bytes.
    #[error("the blob has more than the {limit} bytes that this registry takes")]
    BlobTooLarge {
        /// The largest that is taken.
        limit: u64,
    },
    /// The chunk does not follow on what was received, or another request
    /// has taken the upload over.
    #[error("the chunk does not start at byte {received}, where this upload stands")]
    ChunkOutOfOrder {
        /// Bytes that are on the disk.
        received: u64,
    },
    /// A manifest that can be seen needs the blob.
    #[error("blob `{0}` belongs to a manifest of this repository; delete the manifest first")]
    BlobInUse(Digest),
    /// The body broke off. What came before is kept for a session that goes on.
    #[error("the body broke off: {0}")]
    BodyBroken(String),
    /// A run of the same kind is going on.
    #[error("a run of this kind is going on already")]
    RunGoingOn,
    /// The bytes and the metadata belong to different stores.
    #[error("{0}")]
    StoreMismatch(String),
    /// The blob store failed.
    #[error(transparent)]
    Blobs(#[from] landfall_blobs::Error),
    /// The metadata database failed.
    #[error(transparent)]
    Database(#[from] landfall_database::Error),
}

fn count(count: usize) -> String {
    match count {
        1 => "one blob or manifest".to_owned(),
        count => format!("{count} blobs or manifests"),
    }
}
