//! Migrations run once, in order, and never backwards.

use landfall_database::{Database, Error, Migration, MigrationSet, params};

const FIRST: Migration = Migration {
    name: "first",
    sql: "create table thing(id BIGINT)",
};
const SECOND: Migration = Migration {
    name: "second",
    sql: "insert into thing values (1); insert into thing values (2)",
};
const OLD: &[MigrationSet] = &[MigrationSet {
    domain: "things",
    migrations: &[FIRST],
}];
const NEW: &[MigrationSet] = &[MigrationSet {
    domain: "things",
    migrations: &[FIRST, SECOND],
}];
const BROKEN: &[MigrationSet] = &[MigrationSet {
    domain: "things",
    migrations: &[
        FIRST,
        SECOND,
        Migration {
            name: "broken",
            sql: "delete from thing; nonsense",
        },
    ],
}];

async fn things(database: &Database) -> u64 {
    let count: Result<_, Error> = database
        .read(|tx| tx.number("select count(*) from thing", params![]))
        .await;
    count.expect("count")
}

#[tokio::test]
async fn each_migration_runs_once() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let database = Database::open_sqlite(&directory.path().join("it.sqlite")).expect("open");
    database.migrate(OLD).await.expect("old");
    assert_eq!(things(&database).await, 0);
    for _ in 0..2 {
        database.migrate(NEW).await.expect("new");
        assert_eq!(things(&database).await, 2);
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_one_sentence() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let database = Database::open_sqlite(&directory.path().join("it.sqlite")).expect("open");
    database.migrate(NEW).await.expect("new");
    let error = database
        .migrate(OLD)
        .await
        .expect_err("the schema is newer");
    assert!(
        error
            .to_string()
            .contains("newer Landfall (`things` is at version 2, this one knows 1)")
    );
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_schema_as_it_was() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let database = Database::open_sqlite(&directory.path().join("it.sqlite")).expect("open");
    database.migrate(NEW).await.expect("new");
    database.migrate(BROKEN).await.expect_err("nonsense");
    assert_eq!(things(&database).await, 2);
    database
        .migrate(NEW)
        .await
        .expect("still at the version before");
}
