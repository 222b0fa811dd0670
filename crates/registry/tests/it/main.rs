//! Tests of the registry over a real database and a real store, without HTTP.
//!
//! `world` makes a registry to test, `documents` manifests to push, and
//! `consistency` says what is true at any time. One module for each
//! capability; then `garbage_*`, `damage`, `faults`; `model` compares random
//! histories with a model that is obviously right, and `concurrent` runs
//! clients and the collector at once.

#![forbid(unsafe_code)]

mod concurrent;
mod consistency;
mod damage;
mod delete;
mod documents;
mod faults;
mod garbage;
mod images;
mod layers_check;
mod manifests;
mod model;
mod mounts;
mod opening;
mod referrers;
mod repositories;
mod tags;
mod upload_contention;
mod uploads;
mod world;
