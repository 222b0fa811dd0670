//! What the registry tells the world: the kinds of events, and their data.
//!
//! An event is written in the transaction that makes it true, behind the row
//! that decides (`landfall_database::outbox`). Its subject is the name of the
//! repository, so what happened to one repository is told in order. The data
//! is a JSON object; the crate's README lists the fields of each kind.

use landfall_clock::Timestamp;
use landfall_database::{
    Result, WriteTransaction,
    outbox::{NewEvent, append},
};
use landfall_oci::{Digest, MediaType, Tag};
use serde_json::{Map, Value};

use crate::Repository;

/// Something that happened to a repository.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event<'a> {
    RepositoryCreated,
    RepositoryDeleted {
        purge: bool,
    },
    RepositoryRestored,
    ManifestPushed {
        digest: &'a Digest,
        media_type: &'a MediaType,
        size: u64,
        subject: Option<&'a Digest>,
    },
    ManifestDeleted {
        digest: &'a Digest,
        purge: bool,
    },
    ManifestRestored {
        digest: &'a Digest,
    },
    TagCreated {
        tag: &'a Tag,
        digest: &'a Digest,
    },
    TagMoved {
        tag: &'a Tag,
        digest: &'a Digest,
        previous: &'a Digest,
    },
    TagDeleted {
        tag: &'a Tag,
        previous: &'a Digest,
    },
    TagRestored {
        tag: &'a Tag,
        digest: &'a Digest,
        previous: Option<&'a Digest>,
    },
    BlobDamaged {
        digest: &'a Digest,
    },
}

impl Event<'_> {
    fn kind(self) -> &'static str {
        match self {
            Self::RepositoryCreated => "repository.created",
            Self::RepositoryDeleted { .. } => "repository.deleted",
            Self::RepositoryRestored => "repository.restored",
            Self::ManifestPushed { .. } => "manifest.pushed",
            Self::ManifestDeleted { .. } => "manifest.deleted",
            Self::ManifestRestored { .. } => "manifest.restored",
            Self::TagCreated { .. } => "tag.created",
            Self::TagMoved { .. } => "tag.moved",
            Self::TagDeleted { .. } => "tag.deleted",
            Self::TagRestored { .. } => "tag.restored",
            Self::BlobDamaged { .. } => "blob.damaged",
        }
    }

    /// The fields, without those that every event has.
    fn fields(self) -> Fields {
        let fields = Fields(Map::new());
        match self {
            Self::RepositoryCreated | Self::RepositoryRestored => fields,
            Self::RepositoryDeleted { purge } => fields.with("purge", purge),
            Self::ManifestPushed {
                digest,
                media_type,
                size,
                subject,
            } => fields
                .with("digest", digest.to_string())
                .with("mediaType", media_type.as_str())
                .with("size", size)
                .with_if_any("subject", subject),
            Self::ManifestDeleted { digest, purge } => fields
                .with("digest", digest.to_string())
                .with("purge", purge),
            Self::ManifestRestored { digest } | Self::BlobDamaged { digest } => {
                fields.with("digest", digest.to_string())
            }
            Self::TagCreated { tag, digest } => fields
                .with("tag", tag.as_str())
                .with("digest", digest.to_string()),
            Self::TagMoved {
                tag,
                digest,
                previous,
            } => fields
                .with("tag", tag.as_str())
                .with("digest", digest.to_string())
                .with("previous", previous.to_string()),
            Self::TagDeleted { tag, previous } => fields
                .with("tag", tag.as_str())
                .with("previous", previous.to_string()),
            Self::TagRestored {
                tag,
                digest,
                previous,
            } => fields
                .with("tag", tag.as_str())
                .with("digest", digest.to_string())
                .with_if_any("previous", previous),
        }
    }
}

struct Fields(Map<String, Value>);

impl Fields {
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    fn with_if_any(self, name: &str, digest: Option<&Digest>) -> Self {
        match digest {
            Some(digest) => self.with(name, digest.to_string()),
            None => self,
        }
    }
}

/// Writes the event down. Call it behind the row that makes it true.
pub(crate) fn tell(
    tx: &WriteTransaction<'_>,
    repository: &Repository,
    actor: Option<&str>,
    now: Timestamp,
    event: Event<'_>,
) -> Result<()> {
    let fields = event
        .fields()
        .with("repository", repository.name.as_str())
        .with("repositoryId", repository.id.to_string());
    let data = match actor {
        Some(actor) => fields.with("actor", actor),
        None => fields,
    };
    append(
        tx,
        &NewEvent {
            kind: event.kind(),
            account: repository.account,
            subject: repository.name.to_string(),
            actor: actor.map(str::to_owned),
            data: &Value::Object(data.0).to_string(),
            now,
        },
    )
}
