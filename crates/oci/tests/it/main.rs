//! Tests of the public interface of `landfall-oci`, one module per subject.
//!
//! Properties hold for anything that proptest thinks of; the `fuzz` module
//! feeds arbitrary bytes, and the kept inputs below `__fuzz__`, to the parsers.

#![forbid(unsafe_code)]

mod digest;
mod error_code;
mod fuzz;
mod manifest;
mod manifest_properties;
mod manifest_refusals;
mod media_type;
mod names;
mod range;
