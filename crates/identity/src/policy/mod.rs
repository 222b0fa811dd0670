//! Policies: what principals may do, in the language Cedar.
//!
//! # Overview
//!
//! A [`Policy`] is a text of one or more statements, attached to one
//! [`PolicyTarget`]. What it is attached to holds it ([`pin`]): a policy of a
//! group speaks of that group alone, and one of a repository of that repository
//! alone. So for a decision only four kinds of policies are loaded, those of the
//! principal, its groups, the resource, and the resource's account ([`slices`]),
//! and the answer is that of all policies together.
//!
//! # What may be relied on
//!
//! - What no policy permits is refused; a forbid wins over every permit.
//! - What can't be compiled, and a forbid that can't be evaluated, refuses.
//! - What is stored has been read and checked against the schema ([`parse`]).
//! - What is remembered belongs to one epoch ([`crate::generation`]).

mod account_key;
mod explain;
mod guard;
mod keep;
pub(crate) mod parse;
pub(crate) mod pin;
pub(crate) mod rules;
pub(crate) mod schema;
mod simulate;
pub(crate) mod slices;
mod stack;
mod templates;

use async_trait::async_trait;
use landfall_clock::Timestamp;
use landfall_ids::{PolicyId, RepositoryId};
use landfall_oci::RepositoryName;

pub use explain::{Explanation, StatementOutcome, StatementSays};
pub use parse::{LONGEST_POLICY, MOST_STATEMENTS, PolicyError, PolicyErrors};
pub use simulate::{Alteration, PolicyChange, Simulation};
pub(crate) use slices::Caches;
pub use templates::PolicyTemplate;

use crate::{LocalName, PolicyName};

/// What identity has to know of repositories: which identity a name has now.
/// A repository that was deleted and made again has another one.
#[async_trait]
pub trait Repositories: Send + Sync {
    /// The identity of the repository of that name, if it is there.
    async fn repository_find(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<RepositoryId>, landfall_database::Error>;

    /// The same for many names, in their order, by one statement.
    async fn repositories_find(
        &self,
        names: &[RepositoryName],
    ) -> Result<Vec<Option<RepositoryId>>, landfall_database::Error>;

    /// The name of the repository of that identity, if it is there.
    async fn repository_name(
        &self,
        id: RepositoryId,
    ) -> Result<Option<RepositoryName>, landfall_database::Error>;
}

/// What a policy is attached to: whom or what it speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyTarget {
    /// A principal: what it may do in its own account.
    Principal(LocalName),
    /// A group: what its members may do in their own account.
    Group(LocalName),
    /// A repository: what anybody may do to it.
    Repository(RepositoryName),
    /// An account: what anybody may do to it, and to all that it owns.
    Account(String),
}

impl PolicyTarget {
    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Principal(_) => "principal",
            Self::Group(_) => "group",
            Self::Repository(_) => "repository",
            Self::Account(_) => "account",
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::Principal(name) | Self::Group(name) => name.to_string(),
            Self::Repository(name) => name.to_string(),
            Self::Account(name) => name.clone(),
        }
    }

    /// The name of the account that it belongs to.
    pub fn account(&self) -> String {
        match self {
            Self::Principal(name) | Self::Group(name) => name.account().to_owned(),
            Self::Repository(name) => name.account().to_string(),
            Self::Account(name) => name.clone(),
        }
    }
}

/// A policy as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its identity.
    pub id: PolicyId,
    /// Its name, with its account: `acme/readers`.
    pub name: PolicyName,
    /// What it is attached to.
    pub target: PolicyTarget,
    /// The statements.
    pub text: String,
    /// When it was made.
    pub created: Timestamp,
    /// When its text was last changed.
    pub updated: Timestamp,
}
