//! A database to test with, of either kind.

use landfall_database::{Database, Kind, PostgresOptions};
use landfall_services::postgres::{self, PostgresUrl};

/// A database that goes with the test.
pub(crate) struct Scratch {
    pub(crate) database: Database,
    /// Where a SQLite database lies.
    pub(crate) folder: tempfile::TempDir,
    url: Option<PostgresUrl>,
}

impl Scratch {
    pub(crate) async fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let url = (kind == Kind::Postgres).then(postgres::fresh);
        let database = match &url {
            None => Database::open_sqlite(&folder.path().join("it.sqlite")).expect("open"),
            Some(url) => open(url).await,
        };
        Self {
            database,
            folder,
            url,
        }
    }

    /// The same database, opened by another server; only on PostgreSQL.
    pub(crate) async fn again(&self) -> Database {
        open(self.url.as_ref().expect("a database that can be shared")).await
    }
}

pub(crate) async fn open(url: &str) -> Database {
    let opened = Database::open_postgres(&PostgresOptions::new(url)).await;
    opened.expect("the database opens")
}

/// Makes of each function a test on SQLite and one on PostgreSQL.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(landfall_database::Kind::Sqlite).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test(landfall_database::Kind::Postgres).await;
            })+
        }
    };
}
pub(crate) use on_both;
