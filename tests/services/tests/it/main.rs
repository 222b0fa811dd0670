//! Tests of the services that tests use.
#![forbid(unsafe_code)]

mod postgres;
