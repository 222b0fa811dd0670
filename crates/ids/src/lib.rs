//! Typed identifiers: one type for each kind of thing that has an identity.
//!
//! An identifier is a UUID of version 7 (RFC 9562 section 5.7): it starts with
//! the millisecond of its making, so rows inserted together lie together in an
//! index. [`Id`] carries the kind as a type parameter, so a [`RepositoryId`]
//! can't be passed where a [`ManifestId`] is meant.
//!
//! The kinds stand here, on the lowest floor, because the domains of one floor
//! refer to each other's things by identifier only: `registry` stores the
//! [`AccountId`] of a repository without knowing what an account is.
//!
//! **Invariant**: this crate knows identifiers, and nothing of what they name.

#![forbid(unsafe_code)]

use std::{fmt, hash, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::{NoContext, Timestamp, Uuid};

/// A kind of identified thing.
pub trait Kind: 'static {
    /// What a person calls it, for messages: `repository`.
    const NAME: &'static str;
}

/// The identifier of one thing of the kind `K`.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

/// A text or a byte string that is no identifier.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{given}` is no {kind} identifier: a UUID is expected")]
pub struct InvalidId {
    /// The kind that was expected.
    pub kind: &'static str,
    /// What was given instead, shortened.
    pub given: String,
}

impl<K: Kind> Id<K> {
    /// A new identifier made at a time given in microseconds since the Unix
    /// epoch. Two calls with the same time differ in their random part.
    pub fn new_at(unix_micros: i64) -> Self {
        let micros = unix_micros.max(0).unsigned_abs();
        let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
        let time = Timestamp::from_unix(NoContext, micros / 1_000_000, nanos);
        Self(Uuid::new_v7(time), PhantomData)
    }

    /// The sixteen bytes of the UUID, big-endian, as they are stored.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The identifier that [`Id::as_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidId> {
        Uuid::from_slice(bytes)
            .map(|uuid| Self(uuid, PhantomData))
            .map_err(|_| InvalidId {
                kind: K::NAME,
                given: format!("{} bytes", bytes.len()),
            })
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::try_parse(text)
            .map(|uuid| Self(uuid, PhantomData))
            .map_err(|_| InvalidId {
                kind: K::NAME,
                given: text.chars().take(64).collect(),
            })
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", K::NAME, self.0)
    }
}

// Written out, because a derive would ask the same of `K`.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> hash::Hash for Id<K> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $alias:ident = $kind:ident, $name:literal;)+) => {$(
        #[doc = concat!("The kind of thing that [`", stringify!($alias), "`] names.")]
        pub enum $kind {}
        impl Kind for $kind {
            const NAME: &'static str = $name;
        }
        $(#[$doc])*
        pub type $alias = Id<$kind>;
    )+};
}

kinds! {
    /// An account: the tenant that owns repositories.
    AccountId = Account, "account";
    /// Somebody or something that calls Landfall: a user, a robot, a host.
    PrincipalId = Principal, "principal";
    /// A group of principals of one account.
    GroupId = Group, "group";
    /// A policy: what somebody may do, or may not.
    PolicyId = Policy, "policy";
    /// A principal's API key.
    ApiKeyId = ApiKey, "API key";
    /// One line of the audit log.
    AuditId = Audit, "audit entry";
    /// An authorization token or a bearer token.
    TokenId = Token, "token";
    /// A key that signs tokens.
    SigningKeyId = SigningKey, "signing key";
    /// A repository of an account.
    RepositoryId = Repository, "repository";
    /// A manifest in one repository.
    ManifestId = Manifest, "manifest";
    /// An upload session; also part of the location its bytes end up at.
    UploadId = Upload, "upload";
    /// One act of deleting, by what it took away.
    DeletionId = Deletion, "deletion";
    /// A run of the garbage collector or of `fsck`.
    RunId = Run, "run";
    /// The one store that a database and a blob directory belong to.
    StoreId = Store, "store";
    /// Something that happened.
    EventId = Event, "event";
    /// A subscription to events.
    WebhookId = Webhook, "webhook";
    /// One event on its way to one webhook.
    DeliveryId = Delivery, "delivery";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wrong_text_is_refused_with_its_kind() {
        let error = "nonsense".parse::<RepositoryId>().expect_err("no UUID");
        assert_eq!(
            error.to_string(),
            "`nonsense` is no repository identifier: a UUID is expected"
        );
    }

    proptest! {
        #[test]
        fn text_and_bytes_round_trip(micros in 0i64..4_000_000_000_000_000) {
            let id = UploadId::new_at(micros);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(UploadId::from_bytes(id.as_bytes()), Ok(id));
        }

        #[test]
        fn a_later_millisecond_sorts_later(
            earlier in 0i64..4_000_000_000_000_000,
            gap in 1_000i64..1_000_000_000,
        ) {
            prop_assert!(UploadId::new_at(earlier) < UploadId::new_at(earlier + gap));
        }
    }
}
