//! Whether a text is a token that this registry has signed.
//!
//! What a stranger sends decides nothing here: not the algorithm, which is one,
//! and the key only among those that there are.

use std::{collections::HashSet, sync::Arc};

use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use landfall_ids::SigningKeyId;

use super::Claims;
use crate::{Error, Identity, generation::Generation, keys::Key};

/// A token whose signature is right.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) claims: Claims,
    pub(super) key: SigningKeyId,
}

impl Identity {
    /// What the token says, if it was signed with a key of the generation, or of
    /// one that has begun just now.
    pub(super) async fn token_verify(
        &self,
        token: &str,
        generation: &mut Arc<Generation>,
    ) -> Result<Signed, Error> {
        let refused = |reason| Error::Unauthenticated { reason };
        let kid = kid(token).map_err(refused)?;
        if generation.keys.find(&kid).is_none() {
            *generation = self.generation_after(generation).await?;
        }
        let key = generation.keys.find(&kid);
        let key = key.ok_or(refused("the token names a key that is not known"))?;
        let claims = claims(token, key, &self.tokens.service).map_err(refused)?;
        Ok(Signed {
            claims,
            key: key.id,
        })
    }
}

/// The key that a token names. Nothing is verified yet.
fn kid(token: &str) -> Result<String, &'static str> {
    let header = jsonwebtoken::decode_header(token)
        .map_err(|_| "the token is no JWT, or of an algorithm that nobody knows")?;
    if header.alg != Algorithm::EdDSA {
        return Err("the token's algorithm is not EdDSA");
    }
    if header.typ.as_deref() != Some("JWT") || header.crit.is_some() {
        return Err("the token's header is not one of ours");
    }
    header.kid.ok_or("the token names no key")
}

fn claims(token: &str, key: &Key, service: &str) -> Result<Claims, &'static str> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[service]);
    validation.set_audience(&[service]);
    validation.required_spec_claims = ["iss", "aud", "exp", "nbf", "sub"]
        .map(str::to_owned)
        .into_iter()
        .collect::<HashSet<_>>();
    // The clock is ours, and is asked at each use: the library reads another.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let decoded = jsonwebtoken::decode::<Claims>(token, &key.verifying, &validation);
    let decoded = decoded.map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature | ErrorKind::Base64(_) | ErrorKind::InvalidToken => {
            "the token's signature is not right"
        }
        ErrorKind::InvalidIssuer => "the token was issued by somebody else",
        ErrorKind::InvalidAudience => "the token is meant for somebody else",
        _ => "the token's claims are not those of a token of ours",
    })?;
    Ok(decoded.claims)
}
