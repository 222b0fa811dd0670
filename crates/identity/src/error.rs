//! What can go wrong, told by what a caller can do about it.

use std::time::Duration;

/// A failure of the identity service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller is not who it says. The reason is for the log alone: the
    /// answer must not tell an attacker what was wrong.
    #[error("the credentials are not right: {reason}")]
    Unauthenticated {
        /// What was wrong.
        reason: &'static str,
    },
    /// Too many wrong passwords for this name from this address, or too many
    /// passwords at once. Nothing was looked at.
    #[error("too many wrong passwords from this address, or too many at once; try again in {} s", .retry_after.as_secs().max(1))]
    TooManyFailures {
        /// When the next password is looked at.
        retry_after: Duration,
    },
    /// There is no such account, principal, group, key, or other thing.
    #[error("there is no {what}")]
    NotFound {
        /// What it is, and its name.
        what: String,
    },
    /// The name is taken, maybe by something that was deleted.
    #[error(
        "{what} is there already, or was once, and names are not used twice; choose another name"
    )]
    Exists {
        /// What it is, and its name.
        what: String,
    },
    /// What was sent can't be right.
    #[error("{message}")]
    Invalid {
        /// What is wrong, and what to do.
        message: String,
    },
    /// Something still needs it.
    #[error("{message}")]
    InUse {
        /// What needs it, and what to do.
        message: String,
    },
    /// The text of a policy is wrong.
    #[error(transparent)]
    Policy(#[from] crate::PolicyErrors),
    /// Only who operates the registry may do this.
    #[error("only an administrator may change an administrator")]
    OperatorOnly,
    /// What access depends on can't be read now.
    #[error("the state of access can't be read now; try again")]
    Unavailable,
    /// The metadata database failed.
    #[error(transparent)]
    Database(#[from] landfall_database::Error),
    /// The key that signs tokens can't be read, made or used.
    #[error("the key that signs tokens can't be used: {0}")]
    Key(String),
    /// The key that signs tokens can't be opened.
    #[error("the key that signs tokens can't be opened")]
    Sealed(#[source] landfall_seal::Error),
    /// The database's secrets are sealed under another master key.
    #[error(
        "the secrets in the metadata database are sealed under the master key {known}, and this \
         server has {ours}; give it the key that the other servers on this database have"
    )]
    MasterKey {
        /// The fingerprint of the key that the database knows.
        known: String,
        /// The fingerprint of ours.
        ours: String,
    },
    /// Hashing a password failed.
    #[error("the password can't be hashed: {0}")]
    Password(String),
}

impl Error {
    /// Nothing of that kind and name is there.
    pub(crate) fn not_found(kind: &str, name: impl std::fmt::Display) -> Self {
        Self::NotFound {
            what: format!("{kind} `{name}`"),
        }
    }

    /// Something of that kind has the name.
    pub(crate) fn exists(kind: &str, name: impl std::fmt::Display) -> Self {
        Self::Exists {
            what: format!("{kind} `{name}`"),
        }
    }

    /// What was sent can't be right.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid {
            message: message.into(),
        }
    }

    /// Something still needs it.
    pub(crate) fn in_use(message: impl Into<String>) -> Self {
        Self::InUse {
            message: message.into(),
        }
    }
}
