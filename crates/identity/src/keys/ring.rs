//! The keys of one epoch, opened.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use landfall_clock::Timestamp;
use landfall_ids::SigningKeyId;
use landfall_seal::MasterKey;
use serde_json::{Value, json};

use super::rotation::purpose;
use crate::{Error, store::keys::StoredKey};

/// A key, as it signs and verifies.
pub(crate) struct Key {
    pub(crate) id: SigningKeyId,
    /// `None` once it was revoked.
    pub(crate) signing: Option<EncodingKey>,
    pub(crate) verifying: DecodingKey,
    public: Vec<u8>,
    signs_from: Timestamp,
    verifies_until: Option<Timestamp>,
    pub(crate) revoked: bool,
}

impl Key {
    fn open(master: &MasterKey, stored: StoredKey) -> Result<Self, Error> {
        let unusable = |what: &str| Error::Key(format!("key `{}`: {what}", stored.id));
        let signing = match &stored.sealed {
            None => None,
            Some(sealed) => {
                let pkcs8 = master
                    .open(&purpose(stored.id), sealed)
                    .map_err(Error::Sealed)?;
                let pair = Ed25519KeyPair::from_pkcs8(&pkcs8)
                    .map_err(|error| unusable(&error.to_string()))?;
                if pair.public_key().as_ref() != stored.public {
                    return Err(unusable("its public part is another one's"));
                }
                Some(EncodingKey::from_ed_der(&pkcs8))
            }
        };
        Ok(Self {
            id: stored.id,
            signing,
            verifying: DecodingKey::from_ed_der(&stored.public),
            public: stored.public,
            signs_from: stored.signs_from,
            verifies_until: stored.verifies_until,
            revoked: stored.revoked.is_some(),
        })
    }

    /// Whether its tokens may still be good.
    pub(crate) fn verifies(&self, now: Timestamp) -> bool {
        !self.revoked && self.verifies_until.is_none_or(|until| now < until)
    }
}

/// What decides which key signs.
pub(super) struct Times {
    pub(super) signs_from: Timestamp,
    pub(super) verifies_until: Option<Timestamp>,
    pub(super) revoked: bool,
}

/// The key that signs: the latest whose time has come, and one that has not
/// handed over before one that has, whatever the clocks said that set their
/// times. Where none's time has come, the first one signs: its time was set by a
/// clock that is ahead of ours. The keys are in the order of their times.
pub(super) fn signing<K>(keys: &[K], now: Timestamp, times: impl Fn(&K) -> Times) -> Option<&K> {
    let able = || {
        keys.iter()
            .map(|key| (key, times(key)))
            .filter(|(_, of)| !of.revoked)
    };
    let ready = || able().filter(|(_, of)| of.signs_from <= now);
    let verifies = |of: &Times| of.verifies_until.is_none_or(|until| now < until);
    let found = ready()
        .filter(|(_, of)| of.verifies_until.is_none())
        .last()
        .or_else(|| ready().filter(|(_, of)| verifies(of)).last())
        .or_else(|| able().find(|(_, of)| verifies(of)));
    found.map(|(key, _)| key)
}

/// All keys that there are.
pub(crate) struct KeyRing {
    /// In the order in which they began to sign.
    keys: Vec<Key>,
}

impl KeyRing {
    pub(crate) fn open(master: &MasterKey, stored: Vec<StoredKey>) -> Result<Self, Error> {
        let keys = stored.into_iter().map(|key| Key::open(master, key));
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
        })
    }

    /// The key that signs now.
    pub(crate) fn signing(&self, now: Timestamp) -> Option<&Key> {
        signing(&self.keys, now, |key| Times {
            signs_from: key.signs_from,
            verifies_until: key.verifies_until,
            revoked: key.revoked,
        })
    }

    /// The key of this name.
    pub(crate) fn find(&self, kid: &str) -> Option<&Key> {
        let id: SigningKeyId = kid.parse().ok()?;
        self.keys.iter().find(|key| key.id == id)
    }

    /// The public keys, as a JSON Web Key Set (RFC 7517, RFC 8037).
    pub(crate) fn published(&self, now: Timestamp) -> Value {
        let keys = self.keys.iter().filter(|key| key.verifies(now));
        let keys = keys.map(|key| {
            json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "alg": "EdDSA",
                "use": "sig",
                "kid": key.id.to_string(),
                "x": URL_SAFE_NO_PAD.encode(&key.public),
            })
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    }
}
