//! How signing keys follow each other, without a request that fails.
//!
//! A new key is published at once and signs [`BEFORE_IT_SIGNS`] later: by then
//! every server has read it, because none answers out of an epoch that is older
//! than two seconds. A server whose clock is behind may still meet a key that it
//! doesn't know; it reads the keys again before it refuses the token. The key
//! that signed before goes on to verify until the last token that it could have
//! signed has ended.
//!
//! A key that has leaked is **revoked**: its tokens end at once, its private part
//! is wiped, and if it was the one that signs, a new one does at once.

use std::time::Duration;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use landfall_clock::Timestamp;
use landfall_ids::SigningKeyId;
use landfall_seal::MasterKey;
use zeroize::Zeroizing;

use crate::{
    AuditEvent, Caller, Error, Identity,
    keys::ring::{self, Times},
    store::{
        self,
        keys::{KeyRevoked, StoredKey},
    },
    token::LONGEST_LIFETIME,
};

/// How long a new key is known before it signs.
const BEFORE_IT_SIGNS: Duration = Duration::from_secs(5);
/// What is added to the life of a key's last token: servers' clocks differ, and
/// one may sign for two seconds with a key that another has replaced.
const SLACK: Duration = Duration::from_mins(5);

/// A key that signs tokens, or has signed some that are still good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name, the `kid` of its tokens.
    pub id: SigningKeyId,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// Until when it verifies; `None` until another one takes over.
    pub verifies_until: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// Whether it is the one that signs now.
    pub signs: bool,
}

impl SigningKey {
    fn of(stored: &StoredKey, signs: bool) -> Self {
        Self {
            id: stored.id,
            created: stored.created,
            signs_from: stored.signs_from,
            verifies_until: stored.verifies_until,
            revoked: stored.revoked,
            signs,
        }
    }
}

/// A new private key, as PKCS #8.
pub(super) fn make() -> Result<Zeroizing<Vec<u8>>, Error> {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|error| Error::Key(error.to_string()))?;
    Ok(Zeroizing::new(made.as_ref().to_vec()))
}

/// What a private key is sealed for: no key opens in another's row.
pub(super) fn purpose(id: SigningKeyId) -> String {
    format!("token signing key {id}")
}

/// A private key as a row.
pub(super) fn stored(
    master: &MasterKey,
    pkcs8: &[u8],
    now: Timestamp,
    signs_from: Timestamp,
) -> Result<StoredKey, Error> {
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|error| Error::Key(error.to_string()))?;
    let id = SigningKeyId::new_at(now.unix_micros());
    Ok(StoredKey {
        id,
        sealed: Some(master.seal(&purpose(id), pkcs8)),
        public: pair.public_key().as_ref().to_vec(),
        created: now,
        signs_from,
        verifies_until: None,
        revoked: None,
    })
}

impl Identity {
    /// The keys that sign tokens or have signed some, in the order in which they
    /// began to. Those that have ended are forgotten at the next rotation.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, Error> {
        let now = self.clock.now();
        let stored = self.database.read(store::keys::signing_key_list).await?;
        let signing = ring::signing(&stored, now, |key| Times {
            signs_from: key.signs_from,
            verifies_until: key.verifies_until,
            revoked: key.revoked.is_some(),
        });
        let signing = signing.map(|key| key.id);
        let keys = stored
            .iter()
            .map(|key| SigningKey::of(key, signing == Some(key.id)));
        Ok(keys.collect())
    }

    /// Makes a new key, which signs in a few seconds. Tokens of the present one
    /// stay good until they end.
    pub async fn signing_key_rotate(&self, by: &Caller) -> Result<SigningKey, Error> {
        let now = self.clock.now();
        let next = stored(&self.master, &make()?, now, now)?;
        let after = self.longest_lifetime() + SLACK;
        let event = AuditEvent::new(by, "signing-key.rotate", "signing-key", next.id.to_string());
        self.change(event.id(next.id), move |tx| {
            let made = store::keys::signing_key_rotate(tx, &next, BEFORE_IT_SIGNS, after)?;
            Ok(SigningKey::of(&made, false))
        })
        .await
    }

    /// Ends a key and all tokens that it has signed. Who used them has to log
    /// in again.
    pub async fn signing_key_revoke(&self, id: SigningKeyId, by: &Caller) -> Result<(), Error> {
        let now = self.clock.now();
        let next = stored(&self.master, &make()?, now, now)?;
        let until = now + self.longest_lifetime() + SLACK;
        let event = AuditEvent::new(by, "signing-key.revoke", "signing-key", id.to_string());
        self.change(
            event.id(id),
            move |tx| match store::keys::signing_key_revoke(tx, id, &next, until)? {
                KeyRevoked::Unknown => Err(Error::not_found("signing key", id)),
                KeyRevoked::Already | KeyRevoked::Now => Ok(()),
            },
        )
        .await
    }

    fn longest_lifetime(&self) -> Duration {
        LONGEST_LIFETIME.max(self.settings.token_lifetime)
    }

    /// The public keys that verify this registry's tokens, as a JSON Web Key Set
    /// (RFC 7517).
    pub async fn jwks(&self) -> Result<serde_json::Value, Error> {
        Ok(self.generation().await?.keys.published(self.clock.now()))
    }
}
