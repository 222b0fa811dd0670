#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access;
mod account;
mod first_start;
mod keys;
mod password;
mod scope;
mod secret;
mod store;
mod token;

use std::{path::Path, sync::Arc, time::Duration};

use landfall_clock::Clock;
use landfall_database::Database;
use landfall_ids::StoreId;
use landfall_seal::MasterKey;

pub use access::{Action, Caller, Principal, Refusal, Resource};
pub use first_start::FirstStart;
pub use keys::{master_key_claim, master_key_forget, master_key_known};
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

/// The identity service.
pub struct Identity {
    database: Database,
    clock: Arc<dyn Clock>,
    settings: Settings,
    passwords: password::Passwords,
    tokens: token::Tokens,
}

impl Identity {
    /// Opens the service on a database whose master key this is. `store` names
    /// this registry in its tokens; `earlier_keys` is the folder where an earlier
    /// version has kept the key that signs them.
    pub async fn open(
        database: Database,
        clock: Arc<dyn Clock>,
        master: &MasterKey,
        earlier_keys: &Path,
        store: StoreId,
        settings: Settings,
    ) -> Result<Self, Error> {
        let now = clock.now();
        let key = keys::token_key_ensure(&database, master, earlier_keys, now).await?;
        let tokens = token::Tokens::new(&key, store, settings.token_lifetime)?;
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
