#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access;
mod account;
mod api_key;
mod audit;
mod backoff;
mod caller;
mod cursor;
mod error;
mod first_start;
mod generation;
mod group;
mod keys;
mod name;
mod password;
mod policy;
mod principal;
mod reset;
mod scope;
mod secret;
mod session;
mod source;
mod store;
mod token;
mod turns;

use std::{path::Path, sync::Arc, time::Duration};

use landfall_clock::Clock;
use landfall_database::Database;
use landfall_ids::StoreId;
use landfall_seal::MasterKey;

pub use access::{Action, Ask, Decision, PolicyName, Refusal, Resource, ResourceKind};
pub use account::Account;
pub use api_key::ApiKey;
pub use audit::{AuditEntry, AuditEvent, AuditFilter, AuditOutcome, AuditPrincipal, AuditResource};
pub use caller::{Caller, Credential, CredentialKind, OPERATOR_ACCOUNT, Principal, PrincipalKind};
pub use error::Error;
pub use first_start::FirstStart;
pub use group::Group;
pub use keys::{SigningKey, master_key_claim, master_key_forget, master_key_known};
pub use name::LocalName;
pub use policy::{
    Alteration, Explanation, LONGEST_POLICY, MOST_STATEMENTS, Policy, PolicyChange, PolicyError,
    PolicyErrors, PolicyTarget, PolicyTemplate, Repositories, Simulation, StatementOutcome,
    StatementSays,
};
pub use principal::PrincipalEntry;
pub use reset::{PasswordReset, password_reset};
pub use scope::{InvalidScope, Scope, ScopeLimit};
pub use secret::Secret;
pub use store::MIGRATIONS;
pub use token::{AuthorizationToken, IssuedToken};

/// A part of a list, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// What the operator decides about identities.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether anybody may pull without a password.
    pub anonymous_pull: bool,
    /// How long a bearer token is good.
    pub token_lifetime: Duration,
    /// How long lines of the audit log are kept; `None` keeps them for ever.
    pub audit_retention: Option<Duration>,
}

/// The identity service.
pub struct Identity {
    database: Database,
    clock: Arc<dyn Clock>,
    master: Arc<MasterKey>,
    settings: Settings,
    passwords: password::Passwords,
    key_notes: api_key::Notes,
    audit: audit::Queue,
    refused: audit::Refused,
    tokens: token::Tokens,
    freshness: session::Freshness,
    repositories: Arc<dyn Repositories>,
}

impl Identity {
    /// Opens the service on a database whose master key this is. `store` names
    /// this registry in its tokens; `earlier_keys` is the folder where an earlier
    /// version has kept the key that signs them.
    pub async fn open(
        database: Database,
        clock: Arc<dyn Clock>,
        master: Arc<MasterKey>,
        earlier_keys: &Path,
        store: StoreId,
        settings: Settings,
        repositories: Arc<dyn Repositories>,
    ) -> Result<Self, Error> {
        let now = clock.now();
        keys::signing_key_ensure(&database, &master, earlier_keys, now).await?;
        let freshness = session::Freshness::open(&database, &master, &*clock).await?;
        let audit = audit::Queue::new(database.clone());
        Ok(Self {
            database,
            clock,
            master,
            settings,
            passwords: password::Passwords::new(),
            key_notes: api_key::notes(),
            audit,
            refused: audit::Refused::default(),
            tokens: token::Tokens::new(store, settings.token_lifetime),
            freshness,
            repositories,
        })
    }
}
