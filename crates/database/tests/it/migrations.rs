//! Migrations run once, in order, and never backwards.

use landfall_database::{Database, Error, Kind, Migration, MigrationSet, params};

use crate::scratch::{Scratch, on_both};

on_both!(
    each_migration_runs_once,
    a_newer_schema_is_refused_with_one_sentence,
    a_migration_that_fails_leaves_the_schema_as_it_was,
    texts_sort_by_their_bytes,
);

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

async fn each_migration_runs_once(kind: Kind) {
    let scratch = Scratch::new(kind).await;
    let database = &scratch.database;
    database.migrate(OLD).await.expect("old");
    assert_eq!(things(database).await, 0);
    for _ in 0..2 {
        database.migrate(NEW).await.expect("new");
        assert_eq!(things(database).await, 2);
    }
}

async fn a_newer_schema_is_refused_with_one_sentence(kind: Kind) {
    let scratch = Scratch::new(kind).await;
    let database = &scratch.database;
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

async fn a_migration_that_fails_leaves_the_schema_as_it_was(kind: Kind) {
    let scratch = Scratch::new(kind).await;
    let database = &scratch.database;
    database.migrate(NEW).await.expect("new");
    database.migrate(BROKEN).await.expect_err("nonsense");
    assert_eq!(things(database).await, 2);
    database
        .migrate(NEW)
        .await
        .expect("still at the version before");
}

async fn texts_sort_by_their_bytes(kind: Kind) {
    const NAMES: &[MigrationSet] = &[MigrationSet {
        domain: "names",
        migrations: &[Migration {
            name: "names",
            sql: "create table name(name TEXT primary key);
                  insert into name values ('b'), ('B'), ('a'), ('_'), ('a-b'), ('ab'), ('a.b')",
        }],
    }];
    let scratch = Scratch::new(kind).await;
    scratch.database.migrate(NAMES).await.expect("migrate");
    let names: Result<Vec<String>, Error> = scratch
        .database
        .read(|tx| {
            tx.all(
                "select name from name where name > ?1 order by name",
                params!["B"],
                |row| row.get(0),
            )
        })
        .await;
    assert_eq!(names.expect("names"), ["_", "a", "a-b", "a.b", "ab", "b"]);
}

#[tokio::test]
async fn servers_that_start_at_once_migrate_once_on_postgres() {
    let scratch = Scratch::new(Kind::Postgres).await;
    let servers = futures_util::future::join_all((0..4).map(|_| scratch.again())).await;
    let migrated = futures_util::future::join_all(servers.iter().map(|each| each.migrate(NEW)));
    for outcome in migrated.await {
        outcome.expect("one migrates, and the others wait");
    }
    assert_eq!(things(&scratch.database).await, 2);
}
