//! The collector: what it must keep, what it must free, and in which steps.

mod dry_run;
mod held;
mod leftovers;
mod promises;
mod repositories;
mod steps;
mod untagged;
