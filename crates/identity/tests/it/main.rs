//! Identities as their callers see them, on SQLite and on PostgreSQL
//! (`on_both!`). `world` makes a service to test; then one module for each
//! subject.

#![forbid(unsafe_code)]

/// Makes of each function a test on SQLite and one on PostgreSQL.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            on_both!(tests landfall_database::Kind::Sqlite; $($test),*);
        }
        mod on_postgres {
            on_both!(tests landfall_database::Kind::Postgres; $($test),*);
        }
    };
    (tests $kind:expr; $($test:ident),*) => {
        $(#[tokio::test]
        async fn $test() {
            crate::world::on($kind);
            super::$test().await;
        })*
    };
}

mod accounts;
mod api_keys;
mod audit;
mod backoff;
mod cursors;
mod earlier_schema;
mod first_start;
mod groups;
mod keys;
mod policies;
mod principals;
mod refused;
mod reset;
mod tokens;
mod world;
