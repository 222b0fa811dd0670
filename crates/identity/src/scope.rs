//! Scopes: what a bearer token is good for.
//!
//! The text form is the one that registry clients send to the token service:
//! `repository:acme/web:pull,push`, `registry:catalog:*`. Accounts are ours:
//! `account:acme:read-policies`.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Action, Resource};

/// One resource, and the actions on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The kind of resource: `repository`, `account` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The actions, as [`Action::as_str`] spells them.
    pub actions: Vec<String>,
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no scope: `<type>:<name>:<action>,<action>` is expected")]
pub struct InvalidScope {
    /// The text, shortened.
    pub given: String,
}

/// The kind of a repository's scope.
pub(crate) const REPOSITORY: &str = "repository";
/// The kind of an account's scope.
pub(crate) const ACCOUNT: &str = "account";
/// The name, in a scope of the registry, of the list of repositories. Clients
/// know it.
pub(crate) const CATALOG: &str = "catalog";
/// The name of what an operator does.
pub(crate) const OPERATION: &str = "operation";

/// The longest scope that is read, in bytes.
const LONGEST: usize = 1024;

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let invalid = || InvalidScope {
            given: text.chars().take(64).collect(),
        };
        if text.len() > LONGEST {
            return Err(invalid());
        }
        let (kind, rest) = text.split_once(':').ok_or_else(invalid)?;
        let (name, actions) = rest.rsplit_once(':').ok_or_else(invalid)?;
        if kind.is_empty() || name.is_empty() {
            return Err(invalid());
        }
        let actions = actions.split(',').filter(|action| !action.is_empty());
        Ok(Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            actions: actions.map(str::to_owned).collect(),
        })
    }
}

/// As it is sent.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }
}

impl Scope {
    fn covers(&self, action: Action, resource: Resource<'_>) -> bool {
        let named = match (resource, action) {
            (Resource::Repository(name), _) => {
                self.kind == REPOSITORY && self.name == name.as_str()
            }
            (Resource::Account(name), _) => self.kind == ACCOUNT && self.name == name,
            (Resource::Registry, Action::ListCatalog) => {
                self.kind == "registry" && self.name == CATALOG
            }
            (Resource::Registry, _) => self.kind == "registry" && self.name == OPERATION,
        };
        named
            && self
                .actions
                .iter()
                .any(|each| each == action.as_str() || each == "*")
    }
}

/// How far a caller's credential reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeLimit {
    /// As far as its principal: a password, or no credential at all.
    Whole,
    /// The scopes of a bearer token, and nothing else.
    Only(Arc<[Scope]>),
}

impl ScopeLimit {
    /// Whether the credential is good for this, whatever policies say.
    pub fn covers(&self, action: Action, resource: Resource<'_>) -> bool {
        match self {
            Self::Whole => true,
            Self::Only(scopes) => scopes.iter().any(|scope| scope.covers(action, resource)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_its_own_repository_and_actions_only() {
        let scope: Scope = "repository:acme/web:pull".parse().expect("scope");
        let (web, other) = (
            "acme/web".parse().expect("name"),
            "acme/other".parse().expect("name"),
        );
        assert!(scope.covers(Action::Pull, Resource::Repository(&web)));
        assert!(!scope.covers(Action::Push, Resource::Repository(&web)));
        assert!(!scope.covers(Action::Pull, Resource::Repository(&other)));
        assert!(!scope.covers(Action::Administer, Resource::Registry));
    }

    #[test]
    fn a_token_for_the_catalog_operates_nothing() {
        let scope: Scope = "registry:catalog:*".parse().expect("scope");
        assert!(scope.covers(Action::ListCatalog, Resource::Registry));
        assert!(!scope.covers(Action::Administer, Resource::Registry));
        let scope: Scope = "registry:operation:*".parse().expect("scope");
        assert!(!scope.covers(Action::ListCatalog, Resource::Registry));
        assert!(scope.covers(Action::Administer, Resource::Registry));
    }

    #[test]
    fn a_text_without_its_three_parts_is_refused() {
        for text in [
            "",
            "repository",
            "repository:name",
            ":name:pull",
            "repository::pull",
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text:?} was read");
        }
    }
}
