//! The lines of the audit log: what is written, and what is read.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use landfall_clock::Timestamp;
use landfall_ids::{AccountId, AuditId, PrincipalId};

use crate::{Caller, Credential, CredentialKind, LocalName, Principal};

/// What something was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditResource {
    /// What kind of thing: `repository`, `principal`, `policy`.
    pub kind: Cow<'static, str>,
    /// Its identity, where it is known.
    pub id: Option<String>,
    /// What it is called, with its account: `acme/web`.
    pub name: String,
    /// The account that it belongs to: who may read that account's log sees
    /// this line.
    pub account: Option<String>,
}

/// How it was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditOutcome {
    /// The caller might do it.
    Allowed,
    /// The caller was refused.
    Refused {
        /// Why.
        reason: String,
    },
}

/// A line of the audit log on its way: who did what to which, from where, and
/// why that was allowed or refused. Made by [`AuditEvent::new`], and completed
/// by the other functions.
#[derive(Debug, Clone)]
pub struct AuditEvent {
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) credential: Credential,
    pub(crate) request: Option<String>,
    pub(crate) action: Cow<'static, str>,
    pub(crate) resource: AuditResource,
    pub(crate) outcome: AuditOutcome,
    pub(crate) policies: Vec<String>,
    pub(crate) detail: Option<String>,
    pub(crate) times: u64,
}

impl AuditEvent {
    /// `caller` was allowed `action` on the thing of this kind and name. The
    /// part of the name before a slash is its account.
    pub fn new(
        caller: &Caller,
        action: impl Into<Cow<'static, str>>,
        kind: impl Into<Cow<'static, str>>,
        name: impl Into<String>,
    ) -> Self {
        let name = name.into();
        let account = name.split_once('/').map(|(account, _)| account.to_owned());
        Self {
            principal: caller.principal.clone(),
            source: caller.source,
            credential: caller.credential.clone(),
            request: caller.request_id.clone(),
            action: action.into(),
            resource: AuditResource {
                kind: kind.into(),
                id: None,
                name,
                account,
            },
            outcome: AuditOutcome::Allowed,
            policies: Vec::new(),
            detail: None,
            times: 1,
        }
    }

    /// The identity of the thing.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "identities are small, and copied"
    )]
    pub fn id(mut self, id: impl ToString) -> Self {
        self.resource.id = Some(id.to_string());
        self
    }

    /// The account that the thing belongs to, where its name does not say it.
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.resource.account = Some(account.into());
        self
    }

    /// It was refused.
    #[must_use]
    pub fn refused(mut self, reason: impl Into<String>) -> Self {
        self.outcome = AuditOutcome::Refused {
            reason: reason.into(),
        };
        self
    }

    /// The policies that decided.
    #[must_use]
    pub fn policies(mut self, policies: impl IntoIterator<Item = impl ToString>) -> Self {
        self.policies = policies.into_iter().map(|name| name.to_string()).collect();
        self
    }

    /// More about it, for people.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its identity; later lines of one server have higher ones.
    pub id: AuditId,
    /// When it was written.
    pub at: Timestamp,
    /// Who did it; `None` if they did not say.
    pub principal: Option<AuditPrincipal>,
    /// The address that they called from.
    pub source: Option<IpAddr>,
    /// By what they were known.
    pub credential: CredentialKind,
    /// Which key or token that was.
    pub credential_id: Option<String>,
    /// The request.
    pub request: Option<String>,
    /// What they wanted to do.
    pub action: String,
    /// What they wanted to do it to.
    pub resource: AuditResource,
    /// How it was decided.
    pub outcome: AuditOutcome,
    /// The policies that decided.
    pub policies: Vec<String>,
    /// More about it.
    pub detail: Option<String>,
    /// How many times it happened: more than once for refused log-ins that are
    /// counted together.
    pub times: u64,
}

/// Somebody in the audit log, as they were then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPrincipal {
    /// Their identity.
    pub id: PrincipalId,
    /// Their account.
    pub account: AccountId,
    /// What the account was called.
    pub account_name: String,
    /// What they were called in it.
    pub name: String,
}

/// Which lines are wanted. The default wants all.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Lines of callers of this account, and of what belongs to it.
    pub account: Option<String>,
    /// Lines of this caller.
    pub principal: Option<LocalName>,
    /// Lines of this action.
    pub action: Option<String>,
    /// Lines of things of this kind.
    pub resource_kind: Option<String>,
    /// Lines of things of this name.
    pub resource_name: Option<String>,
    /// Lines of what was allowed, or of what was refused.
    pub allowed: Option<bool>,
    /// Lines from this instant on.
    pub since: Option<Timestamp>,
    /// Lines before this instant.
    pub until: Option<Timestamp>,
}
