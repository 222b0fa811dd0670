//! Copies: from each database to a file, and from the file into each.

use landfall_database::{Database, Error, Kind, Migration, MigrationSet, params};

use crate::scratch::{Scratch, on_both};

on_both!(
    a_copy_holds_everything_and_fills_an_empty_database,
    a_copy_is_whole_while_writes_go_on,
    a_database_that_holds_something_is_not_filled,
);

const SETS: &[MigrationSet] = &[MigrationSet {
    domain: "things",
    migrations: &[
        Migration {
            name: "first",
            sql: "create table parent(id BIGINT primary key, name TEXT, content BYTEA);
                  create table child(id BIGINT primary key,
                                     parent BIGINT not null references parent(id));
                  create table head(one BIGINT primary key, number BIGINT not null);
                  insert into head values (1, 0)",
        },
        Migration {
            name: "second",
            sql: "alter table child add column note TEXT not null default ''",
        },
    ],
}];

async fn scratch(kind: Kind) -> Scratch {
    let scratch = Scratch::new(kind).await;
    scratch.database.migrate(SETS).await.expect("migrated");
    scratch
}

async fn pair(database: &Database, id: i64) {
    let written: Result<(), Error> = database
        .write(move |tx| {
            let name = (id % 3 > 0).then(|| format!("it's {id}"));
            let content = (id % 2 == 0).then(|| vec![0u8, 255, id as u8]);
            tx.execute(
                "insert into parent values (?1, ?2, ?3)",
                params![id, name, content],
            )?;
            tx.execute("insert into child values (?1, ?1, 'note')", params![id])?;
            tx.execute("update head set number = number + 1", params![])?;
            Ok(())
        })
        .await;
    written.expect("a pair");
}

type Row = (i64, Option<String>, Option<Vec<u8>>, String);

async fn rows(database: &Database) -> (Vec<Row>, u64) {
    let rows: Result<_, Error> = database
        .read_long(|tx| {
            let rows = tx.all(
                "select p.id, p.name, p.content, c.note
                 from parent p join child c on c.parent = p.id order by p.id",
                params![],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )?;
            Ok((rows, tx.number("select number from head", params![])?))
        })
        .await;
    rows.expect("rows")
}

async fn a_copy_holds_everything_and_fills_an_empty_database(kind: Kind) {
    let scratch = scratch(kind).await;
    for id in 0..130 {
        pair(&scratch.database, id).await;
    }
    let path = scratch.folder.path().join("copy.sqlite");
    scratch.database.copy_to(&path).await.expect("copied");
    let expected = rows(&scratch.database).await;
    assert_eq!((expected.0.len(), expected.1), (130, 130));
    let copy = Database::open_sqlite(&path).expect("a database");
    copy.migrate(SETS).await.expect("the same schema");
    assert_eq!(rows(&copy).await, expected);
    let empty = self::scratch(kind).await;
    empty.database.copy_from(&path).await.expect("filled");
    assert_eq!(rows(&empty.database).await, expected);
    pair(&empty.database, 1000).await;
}

async fn a_copy_is_whole_while_writes_go_on(kind: Kind) {
    let scratch = scratch(kind).await;
    let path = scratch.folder.path().join("copy.sqlite");
    let writes = async {
        for id in 0..100 {
            pair(&scratch.database, id).await;
        }
    };
    let ((), copied) = tokio::join!(writes, scratch.database.copy_to(&path));
    copied.expect("copied");
    let copy = Database::open_sqlite(&path).expect("a database");
    let (rows, number) = rows(&copy).await;
    assert_eq!(
        rows.len() as u64,
        number,
        "the copy cuts a transaction in two"
    );
}

async fn a_database_that_holds_something_is_not_filled(kind: Kind) {
    let scratch = scratch(kind).await;
    pair(&scratch.database, 7).await;
    let path = scratch.folder.path().join("copy.sqlite");
    scratch.database.copy_to(&path).await.expect("copied");
    let error = scratch.database.copy_from(&path).await;
    let error = error.expect_err("it is not empty").to_string();
    assert!(error.contains("not empty (table `parent`)"), "{error}");
    assert_eq!(rows(&scratch.database).await.0.len(), 1);
}
