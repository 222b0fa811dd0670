//! Why a copy, or a part of one, did not happen.

use std::{io, path::Path, time::Duration};

/// The most characters of foreign input that a message repeats.
const LONGEST: usize = 200;

/// What went wrong, by what a caller can do about it. Each message is one
/// sentence for the person who started the copy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for isn't there.
    #[error("{0}")]
    Missing(String),
    /// Credentials are missing, wrong, or don't allow it.
    #[error("{0}")]
    Denied(String),
    /// Content is not what its digest or its size says. Nothing of it was kept.
    #[error("{0}")]
    Damaged(String),
    /// A place breaks its own form or a limit, or can't take what is asked.
    #[error("{0}")]
    Refused(String),
    /// The other side doesn't answer, or not now; trying again may help.
    #[error("{message}")]
    Unavailable {
        /// The sentence.
        message: String,
        /// How long the other side asks to wait.
        after: Option<Duration>,
    },
    /// A file of this machine can't be read or written.
    #[error("`{path}` {what}: {source}")]
    File {
        /// The file.
        path: String,
        /// What could not be done with it.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// The other side doesn't answer, and didn't say when it will.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable {
            message: message.into(),
            after: None,
        }
    }

    /// Turns an error of the operating system into one that names the file.
    pub(crate) fn file(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { path, what, source }
    }

    /// Whether the same request may succeed a little later.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether it says that something isn't there.
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing(_))
    }
}

/// Foreign text in one line of a bounded length.
pub(crate) fn shorten(given: &str) -> String {
    let mut short = String::new();
    for (index, letter) in given.trim().chars().enumerate() {
        if index == LONGEST {
            short.push('…');
            break;
        }
        if letter.is_control() {
            short.push(' ');
        } else {
            short.push(letter);
        }
    }
    short
}
