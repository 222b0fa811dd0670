//! Tokens: Ed25519-signed JWTs (RFC 7519, RFC 8037).
//!
//! An **authorization token** stands for its principal for hours and works as a
//! password. A **bearer token** is good for minutes and for the scopes that it
//! names. Which of both it is stands in the claim `use`, so that one can't be
//! sent in the other's place.
//!
//! # What is checked
//!
//! When a token is met first ([`verify`]): its length, its shape, the algorithm
//! (there is one), the key that it names, the signature, issuer and audience.
//! In each epoch once ([`look`]): that the key is not revoked, nor the token, nor
//! what it was made with, and that its principal is there and enabled. On each
//! use: start and end, by the clock of now.
//!
//! What the first two found is remembered under the token's SHA-256, so a
//! request costs that hash and one look-up in memory.
//!
//! # How a token ends early
//!
//! By its identity, or that of the authorization token or API key that it was
//! made with. Or by its principal, or by an API key that has got another secret:
//! a token names the epoch that its caller was known in, read before anything
//! else was, and `tokens_from` the first one whose tokens count. A server that has
//! not heard of it yet signs tokens of an earlier epoch, so these are ended
//! as well; no clock is compared.
//!
//! No token outlives the API key, the old secret of one, or the authorization
//! token that it was made with.

mod issue;
mod look;
mod revoke;
mod verify;

use std::{sync::Arc, time::Duration};

use landfall_clock::Timestamp;
use landfall_ids::{ApiKeyId, PrincipalId, StoreId, TokenId};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

pub(crate) use self::look::Looked;
pub use self::revoke::AuthorizationToken;
use self::verify::Signed;
use crate::{Identity, Scope, Secret};

/// How long an authorization token is good, at the most.
pub(crate) const LONGEST_LIFETIME: Duration = Duration::from_hours(12);
/// Tokens whose signature is remembered, and whose callers are.
const REMEMBERED: usize = 20_000;
/// The longest token that is made or looked at, in bytes.
const LONGEST: usize = 16 * 1024;

/// A token that was just made.
#[derive(Debug)]
pub struct IssuedToken {
    /// Its identity, to revoke it by.
    pub id: TokenId,
    /// The token itself.
    pub token: Secret,
    /// When it was made.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

impl IssuedToken {
    /// How long it is good from when it was made.
    pub fn lifetime(&self) -> Duration {
        self.expires.since(self.issued)
    }
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Use {
    Authorization,
    Bearer,
}

/// The content of a token. A claim that comes twice, or that is not one of
/// these, is an error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    /// The principal; empty for a caller that did not say who it is.
    sub: String,
    jti: TokenId,
    #[serde(rename = "use")]
    usage: Use,
    iat: i64,
    nbf: i64,
    exp: i64,
    /// The epoch that the caller was known in.
    epoch: u64,
    /// The authorization token that it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth: Option<TokenId>,
    /// The API key that it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<ApiKeyId>,
    /// The scopes of a bearer token, as registry clients know them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<Vec<Scope>>,
}

impl Claims {
    /// The principal; `Err` if that is no identity.
    fn principal(&self) -> Result<Option<PrincipalId>, &'static str> {
        if self.sub.is_empty() {
            return Ok(None);
        }
        let parsed = self.sub.parse();
        parsed.map(Some).map_err(|_| "the token names no principal")
    }
}

/// What tokens of this registry have in common.
pub(crate) struct Tokens {
    service: String,
    lifetime: Duration,
    /// Signatures that were checked, by the hash of their token. A signature
    /// stays right, so this outlives epochs.
    signed: Cache<[u8; 32], Arc<Signed>>,
}

impl Tokens {
    pub(crate) fn new(store: StoreId, lifetime: Duration) -> Self {
        Self {
            service: format!("landfall:{store}"),
            lifetime,
            signed: Cache::new(REMEMBERED),
        }
    }
}

impl Identity {
    /// The name of this registry in its tokens: the `service` of the token
    /// service's challenge, and the issuer and audience of a token.
    pub fn service(&self) -> &str {
        &self.tokens.service
    }
}
