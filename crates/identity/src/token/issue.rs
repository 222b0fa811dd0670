//! Making tokens.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use landfall_clock::Timestamp;
use landfall_ids::{ApiKeyId, TokenId};

use super::{AuthorizationToken, Claims, IssuedToken, LONGEST, LONGEST_LIFETIME, Use};
use crate::{
    AuditEvent, Caller, CredentialKind, Error, Identity, Scope, Secret, generation::Generation,
    store,
};

impl Identity {
    /// A bearer token for what the caller may do of the asked scopes. A caller
    /// that came with a bearer token gets none: a token that was stolen could be
    /// renewed for ever.
    pub async fn token_issue(
        &self,
        caller: &Caller,
        asked: Vec<Scope>,
    ) -> Result<IssuedToken, Error> {
        if caller.credential.kind == CredentialKind::BearerToken {
            return Err(Error::Unauthenticated {
                reason: "a bearer token makes no other token",
            });
        }
        // Before the policies are asked: an anonymous caller is of this epoch, and
        // the others of the one that they were known in.
        let generation = self.generation().await?;
        let mut access = Vec::with_capacity(asked.len());
        for scope in asked {
            access.extend(self.reduce(caller, scope).await?);
        }
        let granted: Vec<String> = access.iter().map(ToString::to_string).collect();
        let issued = self.clock.now();
        let expires = issued + self.tokens.lifetime;
        let expires = caller.ends.map_or(expires, |ends| expires.min(ends));
        let claims = self.claims(
            caller,
            &generation,
            Use::Bearer,
            (issued, expires),
            Some(access),
        );
        let issued = sign(&generation, &claims, (issued, expires))?;
        // Anybody may ask for what anybody may do; that fills no log.
        if caller.principal.is_some() {
            let event = AuditEvent::new(caller, "token.issue", "token", caller.name());
            let event = event.id(issued.id).detail(granted.join(" "));
            self.audit(event).await?;
        }
        Ok(issued)
    }

    /// An authorization token, which stands for the caller for `lifetime`, 12
    /// hours if none is given. Only a password or an API key makes one, and one
    /// that an API key makes ends with it.
    pub async fn authorization_token_issue(
        &self,
        caller: &Caller,
        lifetime: Option<Duration>,
    ) -> Result<IssuedToken, Error> {
        let lifetime = lifetime.unwrap_or(LONGEST_LIFETIME);
        if lifetime < SHORTEST_LIFETIME || lifetime > LONGEST_LIFETIME {
            return Err(Error::invalid(format!(
                "an authorization token lasts {} seconds to {} hours",
                SHORTEST_LIFETIME.as_secs(),
                LONGEST_LIFETIME.as_secs() / 3600
            )));
        }
        let Some(principal) = &caller.principal else {
            return Err(Error::Unauthenticated {
                reason: "an authorization token was asked for by nobody",
            });
        };
        let api_key: Option<ApiKeyId> = match caller.credential.kind {
            CredentialKind::Password => None,
            CredentialKind::ApiKey => caller.credential.id.as_ref().and_then(|id| id.parse().ok()),
            _ => {
                return Err(Error::invalid(
                    "a token makes no authorization token; log in with the password or an API key",
                ));
            }
        };
        let generation = self.generation().await?;
        let now = self.clock.now();
        let mut expires = now + lifetime;
        if let Some(key) = api_key {
            let ends = self
                .database
                .read(move |tx| store::api_keys::api_key_expiry(tx, key))
                .await?;
            let Some(ends) = ends else {
                return Err(Error::Unauthenticated {
                    reason: "the API key is gone",
                });
            };
            expires = ends.map_or(expires, |ends| expires.min(ends));
        }
        // Also where the secret was exchanged, and ends before its key.
        expires = caller.ends.map_or(expires, |ends| expires.min(ends));
        let times = (now, expires);
        let claims = self.claims(caller, &generation, Use::Authorization, times, None);
        let issued = sign(&generation, &claims, times)?;
        let row = AuthorizationToken {
            id: issued.id,
            principal: principal.id,
            issued: now,
            expires,
            revoked: None,
        };
        let event = AuditEvent::new(
            caller,
            "authorization-token.issue",
            "authorization-token",
            caller.name(),
        );
        self.add(event.id(issued.id), move |tx| {
            store::tokens::authorization_token_insert(tx, &row, api_key)?;
            Ok(())
        })
        .await?;
        Ok(issued)
    }

    fn claims(
        &self,
        caller: &Caller,
        generation: &Generation,
        usage: Use,
        (issued, expires): (Timestamp, Timestamp),
        access: Option<Vec<Scope>>,
    ) -> Claims {
        let made_with = caller.credential.id.as_deref().unwrap_or_default();
        let principal = caller.principal.as_ref();
        Claims {
            iss: self.tokens.service.clone(),
            aud: self.tokens.service.clone(),
            sub: principal.map(|it| it.id.to_string()).unwrap_or_default(),
            jti: TokenId::new_at(issued.unix_micros()),
            usage,
            iat: issued.unix_seconds(),
            nbf: issued.unix_seconds(),
            exp: expires.unix_seconds(),
            epoch: caller.epoch.unwrap_or(generation.number),
            auth: match caller.credential.kind {
                CredentialKind::AuthorizationToken => made_with.parse().ok(),
                _ => None,
            },
            key: match caller.credential.kind {
                CredentialKind::ApiKey => made_with.parse().ok(),
                _ => None,
            },
            access,
        }
    }
}

fn sign(
    generation: &Generation,
    claims: &Claims,
    (issued, expires): (Timestamp, Timestamp),
) -> Result<IssuedToken, Error> {
    let key = generation.keys.signing(issued);
    let Some((key, signing)) = key.and_then(|key| Some((key, key.signing.as_ref()?))) else {
        return Err(Error::Key("there is none".to_owned()));
    };
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(key.id.to_string());
    let token = jsonwebtoken::encode(&header, claims, signing)
        .map_err(|error| Error::Key(error.to_string()))?;
    if token.len() > LONGEST {
        return Err(Error::invalid(format!(
            "a token for these scopes would have {} bytes, and {LONGEST} are the most; ask \
             for fewer at once",
            token.len()
        )));
    }
    Ok(IssuedToken {
        id: claims.jti,
        token: Secret::new(token),
        issued,
        expires,
    })
}

/// How long an authorization token is good, at the least.
const SHORTEST_LIFETIME: Duration = Duration::from_mins(1);
