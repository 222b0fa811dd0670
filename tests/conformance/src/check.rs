//! A check: one sentence of the specification, and how to see if it holds.

use std::{future::Future, pin::Pin};

use crate::{Failure, Feature, Registry, Target};

/// How binding a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The specification says MUST, MUST NOT, REQUIRED or SHALL; or its tables
    /// of endpoints and error codes name this answer.
    Must,
    /// The specification says SHOULD, SHOULD NOT or RECOMMENDED.
    Should,
    /// The specification says MAY, and how it is done if it is done.
    May,
    /// The specification is silent, but clients or RFC 9110 expect it.
    Expected,
}

/// A check while it runs.
pub type Run = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// One rule and its proof. It makes its own content in repositories of its
/// own, so checks run in any order and beside each other.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Unique, with the section in front:
    /// `pull::pulling_manifests::get_of_missing_tag_must_be_404`.
    pub name: &'static str,
    /// The heading of the specification that the rule stands under.
    pub section: &'static str,
    /// How binding the rule is.
    pub level: Level,
    /// The rule, in our words.
    pub rule: &'static str,
    /// What the registry has to offer for the rule to apply.
    pub needs: &'static [Feature],
    /// Tries the rule on a registry.
    pub run: fn(Registry) -> Run,
}

impl Check {
    /// Tries the rule on the registry that `target` names.
    pub async fn run_on(&self, target: &Target) -> Result<(), Failure> {
        (self.run)(Registry::new(target.clone())?).await
    }
}

/// The path of a check without the name of this crate.
pub(crate) fn name_of(path: &'static str) -> &'static str {
    path.split_once("::").map_or(path, |(_, name)| name)
}

/// A [`Check`] from a level, a function of the module, a rule and the features
/// it needs. The module has a constant `SECTION`.
macro_rules! check {
    ($level:ident, $run:ident, $rule:literal) => {
        check!($level, $run, $rule, [])
    };
    ($level:ident, $run:ident, $rule:literal, [$($feature:ident),*]) => {
        $crate::Check {
            name: $crate::check::name_of(concat!(module_path!(), "::", stringify!($run))),
            section: SECTION,
            level: $crate::Level::$level,
            rule: $rule,
            needs: &[$($crate::Feature::$feature),*],
            run: |registry| Box::pin($run(registry)),
        }
    };
}
pub(crate) use check;
