//! The database as its callers see it, on SQLite and on PostgreSQL.

#![forbid(unsafe_code)]

mod copies;
mod epochs;
mod isolation;
mod leases;
mod lookups;
mod migrations;
mod postgres_away;
mod postgres_faults;
mod postgres_open;
mod scratch;
mod transactions;
