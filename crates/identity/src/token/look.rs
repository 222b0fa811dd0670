//! From a token to its caller.

use std::{net::IpAddr, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use landfall_clock::Timestamp;
use quick_cache::sync::Cache;

use super::{LONGEST, REMEMBERED, Use, verify::Signed};
use crate::{
    Caller, Credential, CredentialKind, Error, Identity, LocalName, Principal, ScopeLimit, api_key,
    generation::Generation,
    store::{self, principals::Standing},
};

/// By how much the clock of the server that made a token may be ahead, in
/// seconds.
const AHEAD: i64 = 60;

/// What was found in one epoch of tokens whose signature is right, by their
/// hash.
pub(crate) struct Looked(Cache<[u8; 32], Arc<Found>>);

impl Default for Looked {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

/// What was found of a token.
struct Found {
    not_before: i64,
    ends: i64,
    /// Whom it proves, or why it proves nobody.
    proven: Result<Proven, &'static str>,
    /// The epoch that its caller was known in.
    epoch: u64,
    /// Whose it says that it is.
    subject: String,
    credential: Credential,
}

/// A caller, without where it calls from.
struct Proven {
    principal: Option<Arc<Principal>>,
    scope: ScopeLimit,
}

impl Found {
    fn caller(&self, now: Timestamp, source: Option<IpAddr>) -> Result<Caller, Error> {
        let refused = |reason| Error::Unauthenticated { reason };
        in_time(self.not_before, self.ends, now).map_err(refused)?;
        let proven = self.proven.as_ref().map_err(|reason| refused(reason))?;
        Ok(Caller {
            principal: proven.principal.clone(),
            scope: proven.scope.clone(),
            credential: self.credential.clone(),
            source,
            request_id: None,
            epoch: Some(self.epoch),
            ends: Some(Timestamp::from_unix_micros(
                self.ends.saturating_mul(1_000_000),
            )),
        })
    }
}

fn in_time(not_before: i64, ends: i64, now: Timestamp) -> Result<(), &'static str> {
    let now = now.unix_seconds();
    if now >= ends {
        return Err("the token has ended");
    }
    if now.saturating_add(AHEAD) < not_before {
        return Err("the token is not good yet");
    }
    Ok(())
}

impl Identity {
    /// The caller that this bearer token, authorization token or API key proves.
    pub async fn caller_by_token(
        &self,
        token: &str,
        source: Option<IpAddr>,
    ) -> Result<Caller, Error> {
        if token.starts_with(api_key::PREFIX) {
            return self.caller_by_api_key(None, token, source).await;
        }
        self.caller_by_jwt(token, source).await
    }

    /// The caller whose authorization token was sent as the password of `name`:
    /// that of its principal, or the word `token`.
    pub(crate) async fn caller_by_authorization_token(
        &self,
        name: &str,
        token: &str,
        source: Option<IpAddr>,
    ) -> Result<Caller, Error> {
        let caller = self.caller_by_jwt(token, source).await?;
        if caller.credential.kind != CredentialKind::AuthorizationToken {
            return Err(Error::Unauthenticated {
                reason: "a bearer token was sent as a password",
            });
        }
        let named = |principal: &Principal| {
            name == api_key::ANY_NAME
                || name.parse::<LocalName>().is_ok_and(|name| {
                    name.account() == principal.account_name && name.name() == principal.name
                })
        };
        if caller.principal.as_deref().is_some_and(named) {
            Ok(caller)
        } else {
            Err(Error::Unauthenticated {
                reason: "the authorization token is another principal's",
            })
        }
    }

    async fn caller_by_jwt(&self, token: &str, source: Option<IpAddr>) -> Result<Caller, Error> {
        if token.len() > LONGEST {
            return Err(Error::Unauthenticated {
                reason: "the token is too long",
            });
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let generation = self.generation().await?;
        let now = self.clock.now();
        if let Some(found) = generation.tokens.0.get(&hash) {
            return found.caller(now, source);
        }
        // Rare, and large: not a part of each request's future.
        let found = Box::pin(self.look(token, hash, generation)).await?;
        if let Err(reason) = found.proven {
            // It was good once: somebody goes on with what was taken from them.
            let credential = found.credential.clone();
            self.login_refused(&found.subject, credential, source, reason)
                .await?;
        }
        found.caller(now, source)
    }

    async fn look(
        &self,
        token: &str,
        hash: [u8; 32],
        mut generation: Arc<Generation>,
    ) -> Result<Arc<Found>, Error> {
        let signed = if let Some(signed) = self.tokens.signed.get(&hash) {
            signed
        } else {
            let signed = Arc::new(self.token_verify(token, &mut generation).await?);
            self.tokens.signed.insert(hash, Arc::clone(&signed));
            signed
        };
        let claims = &signed.claims;
        if claims.epoch > generation.number {
            // Another server was quicker to see the epoch that this token is of.
            self.refresh().await?;
            generation = self.generation().await?;
        }
        let proven = self.proven(&signed, &generation).await?;
        let found = Arc::new(Found {
            not_before: claims.nbf,
            ends: claims.exp,
            epoch: claims.epoch,
            proven,
            subject: claims.sub.clone(),
            credential: Credential {
                kind: match claims.usage {
                    Use::Authorization => CredentialKind::AuthorizationToken,
                    Use::Bearer => CredentialKind::BearerToken,
                },
                id: Some(claims.jti.to_string()),
            },
        });
        generation.tokens.0.insert(hash, Arc::clone(&found));
        Ok(found)
    }

    /// Whom the token proves in this epoch, or why nobody.
    async fn proven(
        &self,
        signed: &Signed,
        generation: &Generation,
    ) -> Result<Result<Proven, &'static str>, Error> {
        let (claims, now) = (&signed.claims, self.clock.now());
        match generation.keys.find(&signed.key.to_string()) {
            None => return Ok(Err("the token's key is gone")),
            Some(key) if key.revoked => return Ok(Err("the token's key was revoked")),
            Some(key) if !key.verifies(now) => return Ok(Err("the token's key has ended")),
            Some(_) => {}
        }
        if claims.epoch > generation.number {
            // The database was restored from a backup of before the token.
            return Ok(Err(
                "the token is of an epoch that the database doesn't know",
            ));
        }
        let principal = match claims.principal() {
            Ok(principal) => principal,
            Err(reason) => return Ok(Err(reason)),
        };
        let (token, auth, key) = (claims.jti, claims.auth, claims.key);
        let (doubts, standing) = self
            .database
            .read(move |tx| {
                let doubts = store::tokens::token_doubts(tx, principal, token, auth, key)?;
                let standing = match principal {
                    Some(id) => {
                        let standing = store::principals::principal_standing(tx, id)?;
                        Some(standing.unwrap_or(Standing::Gone))
                    }
                    None => None,
                };
                Ok::<_, landfall_database::Error>((doubts, standing))
            })
            .await?;
        if doubts.revoked {
            return Ok(Err("the token was revoked, or what it was made with"));
        }
        if claims.epoch < doubts.from {
            return Ok(Err("the tokens of the principal were revoked"));
        }
        if claims.epoch < doubts.key_from {
            return Ok(Err(
                "the API key that the token was made with has another secret now",
            ));
        }
        let principal = match standing {
            None => None,
            Some(Standing::Good(principal)) => Some(Arc::new(principal)),
            Some(Standing::Disabled) => {
                return Ok(Err(
                    "the principal of the token, or its account, is disabled",
                ));
            }
            Some(Standing::Gone) => {
                return Ok(Err("the principal of the token, or its account, is gone"));
            }
        };
        let scope = match (claims.usage, &claims.access, &principal) {
            (Use::Bearer, Some(access), _) => ScopeLimit::Only(Arc::from(access.as_slice())),
            (Use::Authorization, None, Some(_)) => ScopeLimit::Whole,
            _ => return Ok(Err("the token's claims contradict each other")),
        };
        Ok(Ok(Proven { principal, scope }))
    }
}
