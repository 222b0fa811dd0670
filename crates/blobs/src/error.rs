//! What can go wrong, told by what a caller can do about it.

use std::io;

use landfall_ids::{StoreId, UploadId};

use crate::Location;

/// A failure of a blob store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No bytes lie at the location. The row that names it is wrong, or the
    /// blob was deleted meanwhile.
    #[error("there are no bytes at `{location}`")]
    NotFound {
        /// The location that was asked for.
        location: Location,
    },
    /// The bytes at the location are not as many as they were: the file was
    /// cut under a reader. What was read so far must not be taken for a blob;
    /// the row is to be marked as damaged.
    #[error("the bytes at `{location}` are damaged: {missing} bytes less than expected")]
    Damaged {
        /// The location that was read.
        location: Location,
        /// How many bytes of the range never came.
        missing: u64,
    },
    /// The staged bytes of the upload are gone, or fewer than were
    /// acknowledged. The upload has to start anew.
    #[error("the staged bytes of upload `{upload}` are lost")]
    Lost {
        /// The upload.
        upload: UploadId,
    },
    /// A later call of `stage`, `promote` or `discard` took the upload over.
    /// This writer is out of the race, and nothing of it counts any more.
    #[error("another request took over upload `{upload}`")]
    Superseded {
        /// The upload.
        upload: UploadId,
    },
    /// The disk is full, or the quota is used up. What was acknowledged is
    /// still there.
    #[error("the blob store is full; free some space and try again")]
    Full(#[source] io::Error),
    /// The disk does not take writes. Reading still works.
    #[error("the blob store can't be written; check the disk and its mount")]
    ReadOnly(#[source] io::Error),
    /// The location is one of another kind of store. The database and the
    /// configured store do not belong together.
    #[error("`{location}` is no location of this kind of store")]
    Foreign {
        /// The location that was given.
        location: Location,
    },
    /// The store carries another store's identifier: it belongs to another
    /// database.
    #[error("the blob store belongs to the database of store `{by}`")]
    Claimed {
        /// The identifier that the store carries.
        by: StoreId,
    },
    /// Another process has the store open.
    #[error("the blob store is in use by another process")]
    InUse,
    /// The server that has the bytes does not answer, or says that it can't
    /// right now, although it was asked several times. What was acknowledged is
    /// still there.
    #[error("the blob store does not answer; try again later")]
    Away(#[source] io::Error),
    /// The server that has the bytes refuses, and will until a person changes
    /// something: a wrong key, a missing bucket.
    #[error("the blob store can't be used: {0}")]
    Refused(String),
    /// The disk failed, or refused for a reason that none of the others tells.
    #[error("{doing} failed")]
    Io {
        /// What was being done: `reading a blob`.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// The failure of a system call while `doing` something, sorted by what
    /// a caller can do.
    pub fn io(doing: &'static str, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(source),
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(source),
            _ => Self::Io { doing, source },
        }
    }

    /// Whether the same call may succeed later without a person's doing.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Full(_) | Self::ReadOnly(_) | Self::InUse | Self::Away(_) | Self::Io { .. } => {
                true
            }
            Self::NotFound { .. }
            | Self::Damaged { .. }
            | Self::Lost { .. }
            | Self::Superseded { .. }
            | Self::Foreign { .. }
            | Self::Refused(_)
            | Self::Claimed { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_full_disk_and_a_used_up_quota_are_the_same_to_a_caller() {
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            assert!(matches!(Error::io("writing", errno), Error::Full(_)));
        }
        assert!(matches!(
            Error::io("writing", Errno::ROFS),
            Error::ReadOnly(_)
        ));
        assert!(matches!(Error::io("writing", Errno::IO), Error::Io { .. }));
    }
}
