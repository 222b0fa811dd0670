//! Landfall's conformance suite for the OCI distribution specification 1.1:
//! one check for each rule, against any registry.
//!
//! [`checks`] lists them; [`run_all`] runs them on a [`Target`] and gives a
//! [`Report`]. The `conformance` binary does the same from a shell. A check is
//! named after the section its rule stands in, carries the rule in our words,
//! and says how binding it is ([`Level`]). What a registry may lack is a
//! [`Feature`]; the suite finds out and skips the checks that need it.
//!
//! Not tried, because no request shows it: rules that bind clients only; that a
//! registry gives up unfinished uploads after a time; and "Enabling the
//! Referrers API", which is about content from before an upgrade.
//!
//! The checks push to repositories below the namespaces of the target and do
//! not clean up after themselves.
//!
//! **Invariant**: this crate knows HTTP and the specification, and nothing of
//! the registry that it judges; it shares no code with Landfall.
#![forbid(unsafe_code)]

mod answer;
mod api;
mod auth;
mod beyond;
mod check;
mod client;
mod discovery;
mod failure;
mod features;
mod fixture;
mod management;
mod pull;
mod push;
mod report;
mod repository;
mod target;
mod upload;

pub use check::{Check, Level, Run};
pub use client::Registry;
pub use failure::Failure;
pub use features::{Feature, missing_features};
pub use report::{Finished, Outcome, Report, run_all, run_some};
pub use target::Target;

/// Every check, in the order of the specification.
pub fn checks() -> Vec<Check> {
    [
        api::checks(),
        pull::checks(),
        push::checks(),
        discovery::checks(),
    ]
    .into_iter()
    .chain([management::checks(), beyond::checks()])
    .flatten()
    .collect()
}
