//! The generator against servers that are made to misbehave: what it says has
//! to show it.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod images;
mod loops;
mod moving_tag;
mod registry;
