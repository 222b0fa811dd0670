//! The SQL of the registry. One file for each table or pair of tables.
//!
//! Names are noun first (`link_find`, `manifest_insert`), so that a search
//! finds all that is done with a table. Every function takes a transaction and
//! does one thing; what belongs together is put together by the capabilities.

pub(crate) mod blobs;
pub(crate) mod candidates;
mod columns;
pub(crate) mod history;
pub(crate) mod images;
pub(crate) mod manifests;
pub(crate) mod pins;
pub(crate) mod purges;
pub(crate) mod repositories;
pub(crate) mod runs;
pub(crate) mod tags;
pub(crate) mod trash;
pub(crate) mod uploads;
pub(crate) mod usage;
