//! Bearer tokens: Ed25519-signed JWTs (RFC 7519, RFC 8037) for minutes.
//!
//! A token is checked for its signature, algorithm, issuer, audience, start
//! and end; then the principal that it names must still be there. A checked
//! signature is remembered by the token's hash until the token ends, because
//! checking it costs more than answering most requests.

use std::{collections::HashSet, time::Duration};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use landfall_clock::Timestamp;
use landfall_ids::{PrincipalId, StoreId};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::{Caller, Error, Identity, Scope, ScopeLimit, Secret, store};

/// Checked tokens that are remembered.
const REMEMBERED: usize = 10_000;
/// By how much the clock of the server that made a token may be ahead, in
/// seconds.
const AHEAD: i64 = 60;
/// The longest token that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;

/// A token that was just made.
#[derive(Debug)]
pub struct IssuedToken {
    /// The token itself.
    pub token: Secret,
    /// When it was made.
    pub issued: Timestamp,
    /// How long it is good.
    pub lifetime: Duration,
}

/// The content of a token; `access` is as registry clients know it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The principal; empty for a caller that did not say who it is.
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    access: Vec<Scope>,
}

pub(crate) struct Tokens {
    service: String,
    lifetime: Duration,
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    verified: Cache<[u8; 32], Claims>,
}

impl Tokens {
    /// `pkcs8` is the key that signs.
    pub(crate) fn new(pkcs8: &[u8], store: StoreId, lifetime: Duration) -> Result<Self, Error> {
        let pair =
            Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|error| Error::Key(error.to_string()))?;
        let service = format!("landfall:{store}");
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&service]);
        validation.set_audience(&[&service]);
        validation.required_spec_claims = ["iss", "aud", "exp", "nbf", "sub"]
            .map(str::to_owned)
            .into_iter()
            .collect::<HashSet<_>>();
        // The clock is ours, and is asked below: the library reads another.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self {
            service,
            lifetime,
            signing: EncodingKey::from_ed_der(pkcs8),
            verifying: DecodingKey::from_ed_der(pair.public_key().as_ref()),
            validation,
            verified: Cache::new(REMEMBERED),
        })
    }

    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Error> {
        let refused = |reason| Error::Unauthenticated { reason };
        if token.len() > LONGEST {
            return Err(refused("the token is too long"));
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let claims = if let Some(claims) = self.verified.get(&hash) {
            claims
        } else {
            let decoded = jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.validation)
                .map_err(|error| {
                    tracing::debug!(%error, "a bearer token was refused");
                    refused("the token does not verify")
                })?;
            self.verified.insert(hash, decoded.claims.clone());
            decoded.claims
        };
        let now = now.unix_seconds();
        if now >= claims.exp {
            return Err(refused("the token has ended"));
        }
        if now.saturating_add(AHEAD) < claims.nbf {
            return Err(refused("the token is not good yet"));
        }
        Ok(claims)
    }
}

impl Identity {
    /// A bearer token for what the caller may do of the asked scopes.
    pub fn token_issue(&self, caller: &Caller, asked: Vec<Scope>) -> Result<IssuedToken, Error> {
        let now = self.clock.now();
        let claims = Claims {
            iss: self.tokens.service.clone(),
            aud: self.tokens.service.clone(),
            sub: caller
                .principal
                .as_ref()
                .map(|p| p.id.to_string())
                .unwrap_or_default(),
            iat: now.unix_seconds(),
            nbf: now.unix_seconds(),
            exp: (now + self.tokens.lifetime).unix_seconds(),
            access: asked
                .into_iter()
                .filter_map(|scope| self.reduce(caller, scope))
                .collect(),
        };
        let token = jsonwebtoken::encode(
            &Header::new(Algorithm::EdDSA),
            &claims,
            &self.tokens.signing,
        )
        .map_err(|error| Error::Key(error.to_string()))?;
        Ok(IssuedToken {
            token: Secret::new(token),
            issued: now,
            lifetime: self.tokens.lifetime,
        })
    }

    /// The caller that this bearer token proves.
    pub async fn caller_by_token(&self, token: &str) -> Result<Caller, Error> {
        let claims = self.tokens.verify(token, self.clock.now())?;
        let principal = if claims.sub.is_empty() {
            None
        } else {
            let gone = Error::Unauthenticated {
                reason: "the principal of the token is gone",
            };
            let Ok(id) = claims.sub.parse::<PrincipalId>() else {
                return Err(gone);
            };
            let found = store::principal_look_up(&self.database, id).await?;
            Some(found.ok_or(gone)?)
        };
        Ok(Caller {
            principal,
            scope: ScopeLimit::Only(claims.access),
        })
    }
}
