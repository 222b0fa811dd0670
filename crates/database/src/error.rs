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
    /// A text holds a character that the database does not store.
    #[error("a text holds a character that can't be stored (NUL); leave it out")]
    Text,
    /// The disk failed, the file is damaged, or the server refuses a statement.
    #[error("the metadata database failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server can't be reached now. Nothing was changed.
    #[error("the metadata database can't be reached ({0}); check that it runs, and try again")]
    Unavailable(String),
    /// The connection broke while a change was being kept: it may be there, or
    /// not. Who repeats the work looks first.
    #[error(
        "the connection to the metadata database broke in the middle of a commit, and it is not \
         known whether it was kept; look, and try again"
    )]
    Unknown,
    /// Others were in the way, again and again. Nothing was changed.
    #[error("too many changes at once are in each other's way; try again")]
    Busy,
    /// The database is not one that can be used: its address, its rights, its
    /// version or its settings are wrong.
    #[error("{0}")]
    Refused(String),
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
        matches!(
            self,
            Self::Full
                | Self::ReadOnly
                | Self::Failed(_)
                | Self::Unavailable(_)
                | Self::Unknown
                | Self::Busy
        )
    }

    /// The same failure once more, for another who waits for the same.
    pub(crate) fn repeated(&self) -> Self {
        match self {
            Self::Unavailable(reason) => Self::Unavailable(reason.clone()),
            Self::Refused(reason) => Self::Refused(reason.clone()),
            Self::Full => Self::Full,
            Self::ReadOnly => Self::ReadOnly,
            Self::Busy => Self::Busy,
            Self::Text => Self::Text,
            Self::Stopped => Self::Stopped,
            other => Self::Failed(other.to_string().into()),
        }
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
            _ => Self::Failed(Box::new(error)),
        }
    }
}
