//! Tests of the registry over a real database and a real store, without HTTP.
//! Each runs on SQLite and on PostgreSQL (`on_both!`), and those that have to do
//! with bytes over an S3 server as well (`on_s3!`).
//!
//! `world` makes a registry to test, `documents` manifests to push, and
//! `consistency` says what is true at any time. One module for each
//! capability; then `garbage_*`, `damage`, `faults`; `model` compares random
//! histories with a model that is obviously right, and `concurrent` runs
//! clients and the collector at once.

#![forbid(unsafe_code)]

/// Makes of each function a test on SQLite and one on PostgreSQL. Functions
/// that are not asynchronous stand behind `alone:`.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => { on_both!($($test),*; alone:); };
    ($($test:ident),*; alone: $($alone:ident),* $(,)?) => {
        mod on_sqlite {
            on_both!(tests landfall_database::Kind::Sqlite; $($test),*; $($alone),*);
        }
        mod on_postgres {
            on_both!(tests landfall_database::Kind::Postgres; $($test),*; $($alone),*);
        }
    };
    (tests $kind:expr; $($test:ident),*; $($alone:ident),*) => {
        $(#[tokio::test]
        async fn $test() {
            crate::world::on($kind);
            super::$test().await;
        })*
        $(#[test]
        fn $alone() {
            crate::world::on($kind);
            super::$alone();
        })*
    };
}

/// Makes of each function a test whose bytes lie in a bucket of an S3 server.
macro_rules! on_s3 {
    ($($test:ident),* $(,)?) => {
        mod on_s3 {
            $(#[tokio::test]
            async fn $test() {
                crate::shelf::in_bucket();
                super::$test().await;
            })*
        }
    };
}

mod concurrent;
mod consistency;
mod damage;
mod delete;
mod documents;
mod earlier_schema;
mod events;
mod faults;
mod garbage;
mod images;
mod layers_check;
mod manifests;
mod meanwhile;
mod model;
mod mounts;
mod opening;
mod referrers;
mod repositories;
mod servers;
mod shelf;
mod tag_rules;
mod tags;
mod undo;
mod upload_contention;
mod uploads;
mod world;
