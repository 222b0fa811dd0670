//! What can go wrong, told by what a caller can do about it.

/// A failure of the database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A row refers to one that is not there, or is referred to. The caller
    /// knows which of its rules this breaks.
    #[error("a row refers to a missing row, or is still referred to")]
    ForeignKey,
    /// A row with the same key is there already.
    #[error("a row with this key exists already")]
    Unique,
    /// The disk is full. Nothing was changed.
    #[error("the disk of the metadata database is full; free some space and try again")]
    Full,
    /// The disk does not take writes. Nothing was changed.
    #[error("the metadata database can't be written; check the disk and its mount")]
    ReadOnly,
    /// The disk failed, or the file is damaged.
    #[error("the metadata database failed")]
    Failed(#[source] rusqlite::Error),
    /// A column holds a value that its reader does not expect.
    #[error("column {column} holds {found} where {expected} is expected")]
    Column {
        /// Index of the column in the row, from 0.
        column: usize,
        /// What the reader asked for.
        expected: &'static str,
        /// What the row holds.
        found: String,
    },
    /// A newer Landfall has changed the schema.
    #[error(
        "the metadata database was migrated by a newer Landfall (`{domain}` is at version \
         {found}, this one knows {known}); start that version, or restore a backup"
    )]
    NewerSchema {
        /// The migration set that is ahead.
        domain: String,
        /// The version that the database has.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The database was closed, or the work panicked.
    #[error("the metadata database has stopped")]
    Stopped,
}

impl Error {
    /// Whether the same work may succeed later without a person's doing.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly | Self::Failed(_))
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ffi;
        match error.sqlite_error().map(|e| (e.extended_code, e.code)) {
            Some((ffi::SQLITE_CONSTRAINT_FOREIGNKEY, _)) => Self::ForeignKey,
            Some((ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY, _)) => {
                Self::Unique
            }
            Some((_, rusqlite::ErrorCode::DiskFull)) => Self::Full,
            Some((_, rusqlite::ErrorCode::ReadOnly)) => Self::ReadOnly,
            _ => Self::Failed(error),
        }
    }
}
