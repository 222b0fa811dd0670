//! The database as its callers see it.

#![forbid(unsafe_code)]

mod migrations;
mod transactions;
