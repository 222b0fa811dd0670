//! The one question of every request: may this caller do that to this?

use std::collections::BTreeSet;

use landfall_ids::{AccountId, PrincipalId};
use landfall_oci::RepositoryName;

use crate::{
    Identity, Scope, ScopeLimit,
    scope::{CATALOG, OPERATION},
};

/// What a caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read images, tags, referrers and layers; of the registry, list the
    /// repositories that one may read.
    Pull,
    /// Write images, tags and layers.
    Push,
    /// Delete images, tags and layers.
    Delete,
    /// Operate the registry: collect garbage, verify, back up, see everything.
    Administer,
}

impl Action {
    /// The word for it in a token's scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Administer => "*",
        }
    }
}

/// What a caller wants to do it to.
#[derive(Debug, Clone, Copy)]
pub enum Resource<'a> {
    /// One repository.
    Repository(&'a RepositoryName),
    /// The whole registry.
    Registry,
}

/// Somebody who has proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its identity.
    pub id: PrincipalId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// What it is called: `admin`.
    pub name: String,
    /// Whether it may do everything.
    pub administrator: bool,
}

/// The author of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is; `None` if it did not say.
    pub principal: Option<Principal>,
    /// What its token is good for.
    pub scope: ScopeLimit,
}

impl Caller {
    /// Somebody who did not say who they are.
    pub const ANONYMOUS: Self = Self {
        principal: None,
        scope: ScopeLimit::Whole,
    };

    /// The name of the principal, or `anonymous`.
    pub fn name(&self) -> &str {
        self.principal
            .as_ref()
            .map_or("anonymous", |principal| &principal.name)
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

impl Identity {
    /// Whether the caller may do `action` to `resource`, now.
    pub fn authorize(
        &self,
        caller: &Caller,
        action: Action,
        resource: Resource<'_>,
    ) -> Result<(), Refusal> {
        if !caller.scope.covers(action, resource) {
            return Err(Refusal::OutOfScope);
        }
        let anybody = self.settings.anonymous_pull && action == Action::Pull;
        match &caller.principal {
            _ if anybody => Ok(()),
            Some(principal) if principal.administrator => Ok(()),
            Some(_) => Err(Refusal::Denied),
            None => Err(Refusal::Unauthenticated),
        }
    }

    /// What of a scope the caller may have; `None` if nothing is left.
    pub(crate) fn reduce(&self, caller: &Caller, scope: Scope) -> Option<Scope> {
        let allowed = |action: Action, resource: Resource<'_>| {
            self.authorize(caller, action, resource).is_ok()
        };
        let may: Box<dyn Fn(&str) -> bool> = match scope.kind.as_str() {
            "repository" => {
                let name = scope.name.parse::<RepositoryName>().ok()?;
                Box::new(move |asked| match asked {
                    "*" => [Action::Pull, Action::Push, Action::Delete]
                        .iter()
                        .all(|action| allowed(*action, Resource::Repository(&name))),
                    asked => [Action::Pull, Action::Push, Action::Delete]
                        .iter()
                        .any(|action| {
                            action.as_str() == asked
                                && allowed(*action, Resource::Repository(&name))
                        }),
                })
            }
            "registry" if scope.name == CATALOG => {
                Box::new(|asked| asked == "*" && allowed(Action::Pull, Resource::Registry))
            }
            "registry" if scope.name == OPERATION => {
                Box::new(|asked| asked == "*" && allowed(Action::Administer, Resource::Registry))
            }
            _ => return None,
        };
        // Each once: what a caller repeats would be kept with its token.
        let asked: BTreeSet<String> = scope.actions.into_iter().collect();
        let actions: Vec<_> = asked.into_iter().filter(|asked| may(asked)).collect();
        (!actions.is_empty()).then_some(Scope { actions, ..scope })
    }
}
