//! What a server remembers of one epoch: all of it goes when the next begins.

use crate::{keys::KeyRing, policy, token};

/// What is remembered of one epoch. What is read while it is the present one
/// may be put in here; what is found in here is no older than the epoch.
pub(crate) struct Generation {
    /// The number of the epoch.
    pub(crate) number: u64,
    /// The keys that sign and verify tokens.
    pub(crate) keys: KeyRing,
    /// Tokens that were looked at.
    pub(crate) tokens: token::Looked,
    /// Policies, compiled, and what they have decided.
    pub(crate) policies: policy::Caches,
}

impl Generation {
    /// Of an epoch, with nothing in it but the keys.
    pub(crate) fn new(number: u64, keys: KeyRing) -> Self {
        Self {
            number,
            keys,
            tokens: token::Looked::default(),
            policies: policy::Caches::default(),
        }
    }
}
