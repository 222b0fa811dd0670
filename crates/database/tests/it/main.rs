//! The database as its callers see it.

mod migrations;
mod transactions;
