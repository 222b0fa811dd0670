#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod file;
mod key;

use std::path::PathBuf;

pub use key::{Fingerprint, MasterKey};

/// What can be wrong with a master key, or with what was sealed under one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file can't be read or written.
    #[error("the master key `{}` can't be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error(
        "the master key `{0}` is open to others: `chmod 600 {0}` makes it private",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// What should be a key is none.
    #[error("{place} is no master key: 64 hexadecimal digits are expected")]
    Malformed {
        /// Where it came from, without its content.
        place: String,
    },
    /// It was sealed under another master key.
    #[error("the secret was sealed under the master key {theirs}, and this server has {ours}")]
    OtherKey {
        /// The key that would open it.
        theirs: Fingerprint,
        /// The key that we have.
        ours: Fingerprint,
    },
    /// The bytes are not what was sealed, or not for this purpose.
    #[error("a sealed secret is damaged or stands in another's place")]
    Damaged,
}
