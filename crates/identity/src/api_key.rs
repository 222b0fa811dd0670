//! API keys: secrets of 256 random bits, for programs.
//!
//! A key reads `lfk_<id>_<secret>`. Only the SHA-256 of the secret is stored: a
//! secret that is random needs no slow hash, because nobody can try them all. A
//! rotation gives the key another secret; the one before may stay good for some
//! time, so that programs can be changed one after the other.

use std::{fmt::Write, net::IpAddr, sync::Arc, time::Duration};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use landfall_clock::Timestamp;
use landfall_ids::ApiKeyId;
use quick_cache::sync::Cache;

use crate::{
    AuditEvent, Caller, Credential, CredentialKind, Error, Identity, LocalName, ScopeLimit, Secret,
    store::{self, api_keys::StoredKey, principals::Standing},
};

/// How each key begins.
pub(crate) const PREFIX: &str = "lfk_";
/// The login name that may stand beside a key, instead of its principal's.
pub(crate) const ANY_NAME: &str = "token";
/// What it is called in the audit log.
const KIND: &str = "api-key";
/// Keys of one principal, at the most.
const MOST_KEYS: u64 = 100;
/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 200;
/// For how long a rotated secret stays good, at the most.
const LONGEST_OVERLAP: Duration = Duration::from_hours(7 * 24);
/// The use of a key is noted once in this time.
const BETWEEN_NOTES: Duration = Duration::from_mins(1);
/// Keys of which it is remembered when their use was noted.
const REMEMBERED: usize = 10_000;

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its identity, which is a part of the key.
    pub id: ApiKeyId,
    /// What it is for, in the words of who made it.
    pub description: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
}

/// When the use of keys was last noted.
pub(crate) type Notes = Cache<ApiKeyId, Timestamp>;

/// No notes.
pub(crate) fn notes() -> Notes {
    Cache::new(REMEMBERED)
}

impl Identity {
    /// Makes an API key for a principal. The secret is told this once.
    pub async fn api_key_create(
        &self,
        of: &LocalName,
        description: &str,
        lifetime: Option<Duration>,
        by: &Caller,
    ) -> Result<(ApiKey, Secret), Error> {
        check_description(description)?;
        if lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            return Err(Error::invalid("a key that ends at once is of no use"));
        }
        let principal = self.principal_of(of, by).await?;
        let now = self.clock.now();
        let key = ApiKey {
            id: ApiKeyId::new_at(now.unix_micros()),
            description: description.to_owned(),
            created: now,
            expires: lifetime.map(|lifetime| now + lifetime),
            last_used: None,
        };
        let (secret, hash) = made_up(key.id);
        let (made, name) = (key.clone(), of.clone());
        self.change(event(by, "api-key.create", of, key.id), move |tx| {
            if !store::principals::principal_hold(tx, principal)? {
                return Err(Error::not_found("principal", &name));
            }
            if store::api_keys::api_key_count(tx, principal)? >= MOST_KEYS {
                return Err(Error::in_use(format!(
                    "`{name}` has {MOST_KEYS} API keys, and more are not possible; delete some \
                     that are not used"
                )));
            }
            Ok(store::api_keys::api_key_insert(
                tx, principal, &made, &hash,
            )?)
        })
        .await?;
        Ok((key, secret))
    }

    /// The API keys of a principal, the oldest first.
    pub async fn api_key_list(&self, of: &LocalName) -> Result<Vec<ApiKey>, Error> {
        let principal = self.principal_show(of).await?.principal.id;
        let listed = self
            .database
            .read(move |tx| store::api_keys::api_key_list(tx, principal));
        Ok(listed.await?)
    }

    /// Gives an API key a new secret, which is told this once. The one that it
    /// had is good for `overlap` more, at most a week. Tokens that were made
    /// with the key end.
    pub async fn api_key_rotate(
        &self,
        of: &LocalName,
        id: ApiKeyId,
        overlap: Duration,
        by: &Caller,
    ) -> Result<(ApiKey, Secret), Error> {
        if overlap > LONGEST_OVERLAP {
            return Err(Error::invalid(
                "the old secret can stay good for a week at the most",
            ));
        }
        let principal = self.principal_of(of, by).await?;
        let now = self.clock.now();
        let (secret, hash) = made_up(id);
        let rotated = self.change(event(by, "api-key.rotate", of, id), move |tx| {
            let until = now + overlap;
            if !store::api_keys::api_key_rotate(tx, principal, id, &hash, until)? {
                return Err(Error::not_found("API key", id));
            }
            let key = store::api_keys::api_key_find(tx, principal, id)?;
            store::tokens::api_key_tokens_renew(tx, id, now)?;
            key.ok_or_else(|| Error::not_found("API key", id))
        });
        Ok((rotated.await?, secret))
    }

    /// Deletes an API key. Tokens that were made with it end.
    pub async fn api_key_delete(
        &self,
        of: &LocalName,
        id: ApiKeyId,
        by: &Caller,
    ) -> Result<(), Error> {
        let principal = self.principal_of(of, by).await?;
        let now = self.clock.now();
        self.change(event(by, "api-key.delete", of, id), move |tx| {
            if !store::api_keys::api_key_delete(tx, principal, id)? {
                return Err(Error::not_found("API key", id));
            }
            Ok(store::tokens::api_key_tokens_end(tx, id, now)?)
        })
        .await
    }

    /// The caller that this API key proves. A name that is given has to be its
    /// principal's login name, or `token`.
    pub(crate) async fn caller_by_api_key(
        &self,
        name: Option<&str>,
        key: &str,
        source: Option<IpAddr>,
    ) -> Result<Caller, Error> {
        // Before anything is read: a token never says that it is younger.
        let known_in = self.generation().await?.number;
        let now = self.clock.now();
        let parsed = parse(key);
        let id = parsed.as_ref().map(|(id, _)| *id);
        let found = match &parsed {
            Some((id, _)) => store::api_keys::api_key_look_up(&self.database, *id).await?,
            None => None,
        };
        let last_used = found.as_ref().and_then(|found| found.last_used);
        let secret = parsed.map_or("", |(_, secret)| secret);
        let credential = Credential {
            kind: CredentialKind::ApiKey,
            id: id.map(|id| id.to_string()),
        };
        let (principal, tokens_from, ends) = match owner(found, secret, name, now) {
            Ok(owner) => owner,
            Err(reason) => {
                let name = name.unwrap_or(ANY_NAME);
                self.login_refused(name, credential, source, reason).await?;
                return Err(Error::Unauthenticated { reason });
            }
        };
        if let Some(id) = id {
            self.api_key_note(id, last_used, now);
        }
        Ok(Caller {
            principal: Some(Arc::new(principal)),
            scope: ScopeLimit::Whole,
            credential,
            source,
            request_id: None,
            // What was read is no older than the rotation that it tells of.
            epoch: Some(known_in.max(tokens_from)),
            ends,
        })
    }

    /// Notes, behind the answer, that a key was used.
    fn api_key_note(&self, id: ApiKeyId, stored: Option<Timestamp>, now: Timestamp) {
        let noted = self.key_notes.get(&id).max(stored);
        if noted.is_some_and(|noted| now.since(noted) < BETWEEN_NOTES) {
            return;
        }
        self.key_notes.insert(id, now);
        let database = self.database.clone();
        tokio::spawn(async move {
            let noting = database
                .write_behind(move |tx| store::api_keys::api_key_used(tx, id, now, BETWEEN_NOTES));
            if let Err(error) = noting.await {
                tracing::warn!(%error, key = %id, "the last use of an API key was not noted");
            }
        });
    }
}

/// Whose key it is, if the secret is right and the key is good; the first epoch
/// whose tokens of it are good; and when the secret ends.
fn owner(
    found: Option<StoredKey>,
    secret: &str,
    name: Option<&str>,
    now: Timestamp,
) -> Result<(crate::Principal, u64, Option<Timestamp>), &'static str> {
    let hash = hash_of(secret);
    let Some(found) = found else {
        return Err("there is no such API key");
    };
    let is = |stored: &[u8]| verify_slices_are_equal(&hash, stored).is_ok();
    let earlier = found.earlier.filter(|(_, until)| now < *until);
    let ends = if is(&found.hash) {
        found.expires
    } else if let Some((_, until)) = earlier.filter(|(stored, _)| is(stored)) {
        Some(found.expires.map_or(until, |expires| expires.min(until)))
    } else {
        return Err("the secret of the API key is wrong");
    };
    if found.expires.is_some_and(|expires| now >= expires) {
        return Err("the API key has ended");
    }
    let principal = match found.owner {
        Standing::Good(principal) => principal,
        Standing::Disabled => {
            return Err("the principal of the API key, or its account, is disabled");
        }
        Standing::Gone => return Err("the principal of the API key, or its account, was deleted"),
    };
    let Some(name) = name.filter(|name| *name != ANY_NAME) else {
        return Ok((principal, found.tokens_from, ends));
    };
    let meant = name.parse::<LocalName>();
    let same = meant.is_ok_and(|meant| {
        meant.account() == principal.account_name && meant.name() == principal.name
    });
    if same {
        Ok((principal, found.tokens_from, ends))
    } else {
        Err("the API key is not that of the given name")
    }
}

/// The parts of a key.
fn parse(key: &str) -> Option<(ApiKeyId, &str)> {
    let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
    Some((id.parse().ok()?, secret))
}

/// A new key, and the hash of its secret.
fn made_up(id: ApiKeyId) -> (Secret, Vec<u8>) {
    let secret = hex(&rand::random::<[u8; 32]>());
    let hash = hash_of(&secret);
    let id = hex(id.as_bytes());
    (Secret::new(format!("{PREFIX}{id}_{secret}")), hash)
}

fn hash_of(secret: &str) -> Vec<u8> {
    digest(&SHA256, secret.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn check_description(description: &str) -> Result<(), Error> {
    if description.len() > LONGEST_DESCRIPTION || description.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "a description has {LONGEST_DESCRIPTION} bytes at the most, in one line"
        )));
    }
    Ok(())
}

fn event(by: &Caller, action: &'static str, of: &LocalName, id: ApiKeyId) -> AuditEvent {
    AuditEvent::new(by, action, KIND, of.to_string())
        .account(of.account())
        .id(id)
}
