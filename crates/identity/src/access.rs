//! The one question of every request: may this caller do that to this?
//!
//! Three things are asked in this order. Does the caller's credential reach so
//! far (its scope)? Is the caller the operator? What do the policies say? The
//! answer comes from the [`Generation`](crate::generation::Generation) of the
//! present epoch, so it is as old as the epoch at most.

use std::{
    collections::BTreeSet,
    fmt,
    ops::Deref,
    sync::{Arc, LazyLock},
};

use landfall_oci::RepositoryName;

use crate::{
    Caller, Error, Identity, Scope,
    policy::rules::Said,
    scope::{ACCOUNT, CATALOG, OPERATION, REPOSITORY},
};

/// What a caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Read a repository: its images, tags, referrers and layers.
    Pull,
    /// Write images, tags and layers to a repository. The first push to a name
    /// makes the repository.
    Push,
    /// Delete images, tags and layers of a repository.
    Delete,
    /// Change what a repository is: its rules and pins; delete and restore it.
    ConfigureRepository,
    /// Make a repository of that name, empty.
    CreateRepository,
    /// See an account: that it is there, its principals and groups.
    ReadAccount,
    /// Make, change and delete an account's principals, groups and API keys.
    ManagePrincipals,
    /// See an account's policies, and ask what they say.
    ReadPolicies,
    /// Make, change and delete an account's policies.
    ManagePolicies,
    /// Read what the audit log holds of an account.
    ReadAudit,
    /// List the repositories of the registry that one may read.
    ListCatalog,
    /// Operate the registry: collect garbage, verify, back up, see everything.
    Administer,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Pull,
        Self::Push,
        Self::Delete,
        Self::ConfigureRepository,
        Self::CreateRepository,
        Self::ReadAccount,
        Self::ManagePrincipals,
        Self::ReadPolicies,
        Self::ManagePolicies,
        Self::ReadAudit,
        Self::ListCatalog,
        Self::Administer,
    ];

    /// The word for it in a token's scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::ConfigureRepository => "configure",
            Self::CreateRepository => "create",
            Self::ReadAccount => "read",
            Self::ManagePrincipals => "manage-principals",
            Self::ReadPolicies => "read-policies",
            Self::ManagePolicies => "manage-policies",
            Self::ReadAudit => "read-audit",
            Self::ListCatalog | Self::Administer => "*",
        }
    }

    /// Its name in policies, on the command line and in the audit log.
    pub fn cedar_id(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::ConfigureRepository => "configure-repository",
            Self::CreateRepository => "create-repository",
            Self::ReadAccount => "read-account",
            Self::ManagePrincipals => "manage-principals",
            Self::ReadPolicies => "read-policies",
            Self::ManagePolicies => "manage-policies",
            Self::ReadAudit => "read-audit",
            Self::ListCatalog => "list-catalog",
            Self::Administer => "administer",
        }
    }

    /// The action of that name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|action| action.cedar_id() == name)
    }

    /// The kind of resource that it is done to.
    pub fn kind(self) -> ResourceKind {
        match self {
            Self::Pull
            | Self::Push
            | Self::Delete
            | Self::ConfigureRepository
            | Self::CreateRepository => ResourceKind::Repository,
            Self::ReadAccount
            | Self::ManagePrincipals
            | Self::ReadPolicies
            | Self::ManagePolicies
            | Self::ReadAudit => ResourceKind::Account,
            Self::ListCatalog | Self::Administer => ResourceKind::Registry,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cedar_id())
    }
}

/// The kinds of things that something is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// A repository.
    Repository,
    /// An account.
    Account,
    /// The registry itself.
    Registry,
}

impl ResourceKind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Account => "account",
            Self::Registry => "registry",
        }
    }
}

/// What a caller wants to do it to.
#[derive(Debug, Clone, Copy)]
pub enum Resource<'a> {
    /// One repository, which need not be there.
    Repository(&'a RepositoryName),
    /// One account, which need not be there.
    Account(&'a str),
    /// The whole registry.
    Registry,
}

impl<'a> Resource<'a> {
    /// What kind of thing it is.
    pub fn kind(self) -> ResourceKind {
        match self {
            Self::Repository(_) => ResourceKind::Repository,
            Self::Account(_) => ResourceKind::Account,
            Self::Registry => ResourceKind::Registry,
        }
    }

    /// Its name; empty for the registry.
    pub fn name(self) -> &'a str {
        match self {
            Self::Repository(name) => name.as_str(),
            Self::Account(name) => name,
            Self::Registry => "",
        }
    }
}

/// A question: may this caller do that to this?
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What it wants to do.
    pub action: Action,
    /// To what.
    pub resource: Resource<'a>,
    /// The tag that it is about, where there is one.
    pub tag: Option<&'a str>,
}

/// The name of a policy that decided: `acme/readers`, or `built-in/..` for
/// what holds without a policy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName(Arc<str>);

impl PolicyName {
    pub(crate) fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for PolicyName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether the caller may, or why not.
    pub outcome: Result<(), Refusal>,
    /// The policies that decided: those that allow it, or those that forbid it.
    /// None where nothing allows it, and where the scope was not enough.
    pub policies: Arc<[PolicyName]>,
}

impl Decision {
    /// Whether the caller may.
    pub fn is_allowed(&self) -> bool {
        self.outcome.is_ok()
    }
}

/// Why a caller may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It might, if it said who it is.
    #[error("authentication is required")]
    Unauthenticated,
    /// Its token is not good for this; another may be.
    #[error("the token is not good for this action")]
    OutOfScope,
    /// No rule allows it.
    #[error("this caller may not do that")]
    Denied,
}

/// What decides without a policy.
static BUILT_IN: LazyLock<[Arc<[PolicyName]>; 3]> = LazyLock::new(|| {
    ["administrator", "anonymous-pull", "list-catalog"]
        .map(|name| Arc::from([PolicyName::new(format!("built-in/{name}"))]))
});

/// The decision of nobody's policy.
static NOBODY: LazyLock<Arc<[PolicyName]>> = LazyLock::new(|| Arc::from([]));

fn built_in(number: usize) -> Decision {
    Decision {
        outcome: Ok(()),
        policies: Arc::clone(&BUILT_IN[number]),
    }
}

/// What policies say, and what holds where they say nothing: the operator may
/// everything, anybody may pull where the setting says so, and whoever has said
/// who they are may list what they may read.
pub(crate) fn with_built_in(said: Said, ask: &Ask<'_>, anonymous_pull: bool) -> Decision {
    let principal = ask.caller.principal.as_ref();
    if principal.is_some_and(|principal| principal.administrator) {
        return built_in(0);
    }
    let refused = match principal {
        Some(_) => Refusal::Denied,
        None => Refusal::Unauthenticated,
    };
    let lists = ask.action == Action::ListCatalog;
    match said {
        Said::Allowed(policies) => Decision {
            outcome: Ok(()),
            policies,
        },
        Said::Forbidden(policies) => Decision {
            outcome: Err(refused),
            policies,
        },
        Said::Nothing if anonymous_pull && (lists || ask.action == Action::Pull) => built_in(1),
        Said::Nothing if lists && principal.is_some() => built_in(2),
        Said::Nothing => Decision {
            outcome: Err(refused),
            policies: Arc::clone(&NOBODY),
        },
    }
}

impl Identity {
    /// Whether the caller may do that, now.
    pub async fn authorize(&self, ask: &Ask<'_>) -> Result<Decision, Error> {
        if !ask.caller.scope.covers(ask.action, ask.resource) {
            return Ok(Decision {
                outcome: Err(Refusal::OutOfScope),
                policies: Arc::clone(&NOBODY),
            });
        }
        self.decide(ask).await
    }

    /// As [`Identity::authorize`], whatever the scope is.
    async fn decide(&self, ask: &Ask<'_>) -> Result<Decision, Error> {
        let operates = |principal: &crate::Principal| principal.administrator;
        let said = if ask.caller.principal.as_deref().is_some_and(operates) {
            // Asked of nobody: the operator can't lock itself out.
            Said::Nothing
        } else {
            let generation = self.generation().await?;
            self.policies_say(&generation, ask).await?
        };
        Ok(with_built_in(said, ask, self.settings.anonymous_pull))
    }

    /// Whether the caller may pull from each of these repositories, in their
    /// order. The scope of its token does not count: this is for lists, which
    /// have a scope of their own. A few statements for all that is not known.
    pub async fn readable(
        &self,
        caller: &Caller,
        names: &[RepositoryName],
    ) -> Result<Vec<bool>, Error> {
        let operates = |principal: &crate::Principal| principal.administrator;
        if caller.principal.as_deref().is_some_and(operates) {
            return Ok(vec![true; names.len()]);
        }
        let generation = self.generation().await?;
        self.repositories_load(&generation, names).await?;
        let mut readable = Vec::with_capacity(names.len());
        for name in names {
            let ask = Ask {
                caller,
                action: Action::Pull,
                resource: Resource::Repository(name),
                tag: None,
            };
            let said = self.policies_say(&generation, &ask).await?;
            let decision = with_built_in(said, &ask, self.settings.anonymous_pull);
            readable.push(decision.is_allowed());
        }
        Ok(readable)
    }

    /// What of a scope the caller may have; `None` if nothing is left. What a
    /// policy allows under conditions is left in: they are asked at each use.
    pub(crate) async fn reduce(
        &self,
        caller: &Caller,
        scope: Scope,
    ) -> Result<Option<Scope>, Error> {
        let name;
        let (resource, all): (_, &[Action]) = match (scope.kind.as_str(), scope.name.as_str()) {
            (REPOSITORY, given) => {
                let Ok(parsed) = given.parse::<RepositoryName>() else {
                    return Ok(None);
                };
                name = parsed;
                (Resource::Repository(&name), &REPOSITORY_ACTIONS)
            }
            (ACCOUNT, given) => (Resource::Account(given), &ACCOUNT_ACTIONS),
            ("registry", CATALOG) => (Resource::Registry, &[Action::ListCatalog]),
            ("registry", OPERATION) => (Resource::Registry, &[Action::Administer]),
            _ => return Ok(None),
        };
        // Each once: what a caller repeats would be kept with its token.
        let asked: BTreeSet<&str> = scope.actions.iter().map(String::as_str).collect();
        let mut actions = Vec::new();
        for word in asked {
            let wanted = all
                .iter()
                .filter(|action| word == "*" || action.as_str() == word);
            let (mut known, mut may) = (false, true);
            for action in wanted {
                known = true;
                may = may && self.may_sometimes(caller, *action, resource).await?;
            }
            if known && may {
                actions.push(word.to_owned());
            }
        }
        Ok((!actions.is_empty()).then_some(Scope { actions, ..scope }))
    }

    async fn may_sometimes(
        &self,
        caller: &Caller,
        action: Action,
        resource: Resource<'_>,
    ) -> Result<bool, Error> {
        let ask = Ask {
            caller,
            action,
            resource,
            tag: None,
        };
        if self.authorize(&ask).await?.is_allowed() {
            return Ok(true);
        }
        if !caller.scope.covers(action, resource) {
            return Ok(false);
        }
        let generation = self.generation().await?;
        self.policies_may_allow(&generation, &ask).await
    }
}

/// What can be done to a repository.
const REPOSITORY_ACTIONS: [Action; 5] = [
    Action::Pull,
    Action::Push,
    Action::Delete,
    Action::ConfigureRepository,
    Action::CreateRepository,
];
/// What can be done to an account.
const ACCOUNT_ACTIONS: [Action; 5] = [
    Action::ReadAccount,
    Action::ManagePrincipals,
    Action::ReadPolicies,
    Action::ManagePolicies,
    Action::ReadAudit,
];
