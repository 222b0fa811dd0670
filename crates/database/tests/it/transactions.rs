//! Transactions: isolation, undoing, group commit, durability of answers.

use landfall_database::{Database, Error, params};

async fn scratch() -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().expect("scratch directory");
    let database = Database::open_sqlite(&directory.path().join("it.sqlite")).expect("open");
    database
        .write(|tx| {
            tx.execute_script(
                "create table parent(id BIGINT primary key);
                 create table child(id BIGINT primary key, parent BIGINT not null references parent);",
            )
        })
        .await
        .expect("tables");
    (directory, database)
}

async fn parents(database: &Database) -> Vec<i64> {
    let read: Result<_, Error> = database
        .read(|tx| {
            tx.all("select id from parent order by id", params![], |row| {
                row.get(0)
            })
        })
        .await;
    read.expect("read")
}

#[tokio::test]
async fn a_read_after_an_answer_sees_the_write() {
    let (_directory, database) = scratch().await;
    for id in 0..50i64 {
        let write = database
            .write(move |tx| tx.execute("insert into parent values (?1)", params![id]))
            .await;
        assert_eq!(write.expect("insert"), 1);
        assert!(parents(&database).await.contains(&id));
    }
}

#[tokio::test]
async fn a_failed_closure_leaves_nothing_and_takes_nothing_with_it() {
    let (_directory, database) = scratch().await;
    let writes = (0..100i64).map(|id| {
        database.write(move |tx| {
            tx.execute("insert into parent values (?1)", params![id])?;
            if id % 2 == 1 {
                tx.execute(
                    "insert into child values (?1, ?2)",
                    params![id, 1_000_000i64],
                )?;
            }
            Ok::<_, Error>(())
        })
    });
    let outcomes = futures_util::future::join_all(writes).await;
    for (id, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(()) => assert_eq!(id % 2, 0),
            Err(error) => assert!(id % 2 == 1 && matches!(error, Error::ForeignKey), "{error}"),
        }
    }
    assert_eq!(
        parents(&database).await,
        (0..100).step_by(2).collect::<Vec<i64>>()
    );
}

#[tokio::test]
async fn a_panic_fails_alone() {
    let (_directory, database) = scratch().await;
    let broken = database
        .write(|tx| -> Result<(), Error> {
            tx.execute("insert into parent values (1)", params![])?;
            panic!("a bug")
        })
        .await;
    assert!(matches!(broken, Err(Error::Stopped)));
    let next = database
        .write(|tx| tx.execute("insert into parent values (2)", params![]))
        .await;
    assert_eq!(next.expect("insert"), 1);
    assert_eq!(parents(&database).await, [2]);
}

#[tokio::test]
async fn keys_that_exist_are_told_from_other_failures() {
    let (_directory, database) = scratch().await;
    let insert = || database.write(|tx| tx.execute("insert into parent values (7)", params![]));
    insert().await.expect("first");
    assert!(matches!(insert().await, Err(Error::Unique)));
}

#[tokio::test]
async fn a_column_of_another_kind_is_an_error_not_a_guess() {
    let (_directory, database) = scratch().await;
    let read: Result<Option<Vec<u8>>, Error> = database
        .read(|tx| tx.first("select 'text'", params![], |row| row.get(0)))
        .await;
    assert!(matches!(
        read,
        Err(Error::Column {
            column: 0,
            expected: "bytes",
            ..
        })
    ));
}

#[tokio::test]
async fn work_behind_waits_for_the_foreground() {
    let (_directory, database) = scratch().await;
    // The gate holds the writer, so that everything after it queues up.
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gated = database.write(move |_| {
        gate.recv().map_err(|_| Error::Stopped)?;
        Ok::<_, Error>(())
    });
    let behind = database.write_behind(|tx| tx.number("select count(*) from parent", params![]));
    let insert = |id: i64| {
        database.write(move |tx| tx.execute("insert into parent values (?1)", params![id]))
    };
    let opened = async {
        tokio::task::yield_now().await;
        open.send(()).expect("the writer waits");
        Ok::<_, Error>(())
    };
    let (gated, behind, first, second, opened) =
        tokio::join!(gated, behind, insert(1), insert(2), opened);
    gated.and(opened).expect("gate");
    first.and(second).expect("inserts");
    assert_eq!(
        behind.expect("count"),
        2,
        "the work behind ran before the foreground"
    );
}

#[tokio::test]
async fn a_copy_is_whole_while_writes_go_on() {
    let (directory, database) = scratch().await;
    let path = directory.path().join("copy.sqlite");
    let writes = async {
        for id in 0..200i64 {
            let pair = database.write(move |tx| {
                tx.execute("insert into parent values (?1)", params![id])?;
                tx.execute("insert into child values (?1, ?1)", params![id])
            });
            pair.await.expect("pair");
        }
    };
    let ((), copied) = tokio::join!(writes, database.copy_to(&path));
    copied.expect("copy");
    let copy = Database::open_sqlite(&path).expect("the copy opens");
    let counts: Result<_, Error> = copy
        .read(|tx| {
            Ok((
                tx.number("select count(*) from parent", params![])?,
                tx.number("select count(*) from child", params![])?,
            ))
        })
        .await;
    let (parents, children) = counts.expect("counts");
    assert_eq!(parents, children, "the copy cuts a transaction in two");
}

#[tokio::test]
async fn a_transaction_that_sqlite_gives_up_fails_with_all_its_closures() {
    let (_directory, database) = scratch().await;
    // What SQLite does by itself when a disk fails in the middle of a closure.
    let given_up = database
        .write(|tx| {
            tx.execute("insert into parent values (1)", params![])?;
            tx.execute_script("rollback")
        })
        .await;
    assert!(matches!(given_up, Err(Error::Failed(_))), "{given_up:?}");
    let next = database
        .write(|tx| tx.execute("insert into parent values (2)", params![]))
        .await;
    assert_eq!(next.expect("insert"), 1);
    assert_eq!(parents(&database).await, [2]);
}
