//! Tests of the blob stores from the outside.
//!
//! `contract` holds what is true of every store, as functions over the
//! interface; `contract_tests!` makes the tests of one store from them. The
//! other modules hold what is true of one store only.

#![forbid(unsafe_code)]

#[macro_use]
mod contract;
mod bytes_of;
mod disk;
mod faulty;
mod mounts;
mod pool;
mod s3;
mod uploads;
