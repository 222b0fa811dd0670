//! What can go wrong while load is made. A benchmark ends with it.

use std::io;

/// The result of an act of the generator.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a measurement can't be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine or the connection failed.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The server's answer is not the one that the load needs.
    #[error("`{request}` was answered with status {status}: {text}")]
    Refused {
        /// Method and path.
        request: String,
        /// The status code.
        status: u16,
        /// The beginning of the body.
        text: String,
    },
    /// The server's answer can't be read, or is not what was asked for.
    #[error("the answer to `{request}` is wrong: {why}")]
    Wrong {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        why: String,
    },
    /// The database that is seeded does not take it.
    #[error("the database can't be seeded: {0}")]
    Database(#[from] landfall_database::Error),
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// For `map_err`: an I/O error with what was being done.
    pub fn io(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
