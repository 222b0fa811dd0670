//! Who calls, and by what it is known.

use std::{fmt, net::IpAddr, sync::Arc};

use landfall_clock::Timestamp;
use landfall_ids::{AccountId, PrincipalId};

use crate::ScopeLimit;

/// The account of those who operate the registry. A name without an account
/// is one of its principals.
pub const OPERATOR_ACCOUNT: &str = "admin";
/// What a caller is called that has not said who it is.
const ANONYMOUS: &str = "anonymous";

/// What kind of caller a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalKind {
    /// A person. Only users have passwords.
    User,
    /// A program: a build server, a script.
    Robot,
    /// A machine that runs containers.
    Host,
    /// A worker that does jobs.
    Worker,
}

impl PrincipalKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::User, Self::Robot, Self::Host, Self::Worker];

    /// Its word, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Robot => "robot",
            Self::Host => "host",
            Self::Worker => "worker",
        }
    }

    /// The kind of that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for PrincipalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Somebody or something that calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its identity: what policies and tokens name it by.
    pub id: PrincipalId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// What that account is called.
    pub account_name: String,
    /// What it is called inside of its account: `alice`.
    pub name: String,
    /// What kind of caller it is.
    pub kind: PrincipalKind,
    /// Whether it operates the registry: it may do everything.
    pub administrator: bool,
}

impl Principal {
    /// The name that it logs in by: `acme/alice`, or `admin` for the principal
    /// `admin` of the operator's account.
    pub fn login_name(&self) -> String {
        if self.account_name == OPERATOR_ACCOUNT {
            self.name.clone()
        } else {
            format!("{}/{}", self.account_name, self.name)
        }
    }
}

/// The kinds of proof that a request can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialKind {
    /// None at all.
    None,
    /// A password.
    Password,
    /// An API key, `lfk_..`.
    ApiKey,
    /// A token for hours, which stands for all that its principal may do.
    AuthorizationToken,
    /// A token for minutes, good for the scopes that it names.
    BearerToken,
}

impl CredentialKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::Password,
        Self::ApiKey,
        Self::AuthorizationToken,
        Self::BearerToken,
    ];

    /// Its word, as it is stored, shown, and told to policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Password => "password",
            Self::ApiKey => "api-key",
            Self::AuthorizationToken => "authorization-token",
            Self::BearerToken => "bearer-token",
        }
    }

    /// The kind of that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// By what a caller has proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The kind of proof.
    pub kind: CredentialKind,
    /// Which key or token it was; passwords have no identity.
    pub id: Option<String>,
}

impl Credential {
    /// No proof.
    pub const NONE: Self = Self {
        kind: CredentialKind::None,
        id: None,
    };
    /// A password.
    pub const PASSWORD: Self = Self {
        kind: CredentialKind::Password,
        id: None,
    };
}

/// The author of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is; `None` if it did not say.
    pub principal: Option<Arc<Principal>>,
    /// What its credential is good for.
    pub scope: ScopeLimit,
    /// By what it is known.
    pub credential: Credential,
    /// The address that it calls from, where that is known.
    pub source: Option<IpAddr>,
    /// The request, for the audit log.
    pub request_id: Option<String>,
    /// The epoch that it was known in, where it has proved who it is: tokens
    /// that it asks for are no younger.
    pub epoch: Option<u64>,
    /// When its credential ends, if it does: so do tokens that it asks for.
    pub ends: Option<Timestamp>,
}

impl Caller {
    /// Somebody who did not say who they are, nor where.
    pub const ANONYMOUS: Self = Self::anonymous(None);

    /// Somebody who did not say who they are.
    pub const fn anonymous(source: Option<IpAddr>) -> Self {
        Self {
            principal: None,
            scope: ScopeLimit::Whole,
            credential: Credential::NONE,
            source,
            request_id: None,
            epoch: None,
            ends: None,
        }
    }

    /// The login name of the principal, or `anonymous`.
    pub fn name(&self) -> String {
        self.principal
            .as_ref()
            .map_or_else(|| ANONYMOUS.to_owned(), |principal| principal.login_name())
    }
}
