#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access;
mod account;
mod first_start;
mod password;
mod scope;
mod secret;
mod store;
mod token;

use std::{path::Path, sync::Arc, time::Duration};

use landfall_clock::Clock;
use landfall_database::Database;
use landfall_ids::StoreId;

pub use access::{Action, Caller, Principal, Refusal, Resource};
pub use first_start::FirstStart;
pub use scope::{InvalidScope, Scope, ScopeLimit};
pub use secret::Secret;
pub use store::MIGRATIONS;
pub use token::IssuedToken;

/// What the operator decides about identities.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether anybody may pull without a password.
    pub anonymous_pull: bool,
    /// How long a bearer token is good.
    pub token_lifetime: Duration,
}

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
    /// The metadata database failed.
    #[error(transparent)]
    Database(#[from] landfall_database::Error),
    /// The signing key can't be read, made or used.
    #[error("the signing key `{path}` can't be used: {reason}")]
    Key {
        /// Where the key lies.
        path: String,
        /// Why it can't be used.
        reason: String,
    },
    /// Hashing a password failed.
    #[error("the password can't be hashed: {0}")]
    Password(String),
}

/// The identity service.
pub struct Identity {
    database: Database,
    clock: Arc<dyn Clock>,
    settings: Settings,
    passwords: password::Passwords,
    tokens: token::Tokens,
}

impl Identity {
    /// Opens the service. `keys` is the directory of the signing key, which is
    /// made if it is not there; `store` names this registry in its tokens.
    pub fn open(
        database: Database,
        clock: Arc<dyn Clock>,
        keys: &Path,
        store: StoreId,
        settings: Settings,
    ) -> Result<Self, Error> {
        let tokens = token::Tokens::open(keys, store, settings.token_lifetime)?;
        Ok(Self {
            database,
            clock,
            settings,
            passwords: password::Passwords::new(),
            tokens,
        })
    }

    /// The name of this registry in its tokens: the `service` of the token
    /// service's challenge, and the issuer and audience of a token.
    pub fn service(&self) -> &str {
        self.tokens.service()
    }
}
