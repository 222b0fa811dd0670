//! Transactions: isolation, undoing, group commit, durability of answers.

use landfall_database::{Database, Error, Kind, params};

use crate::scratch::{Scratch, on_both};

on_both!(
    a_read_after_an_answer_sees_the_write,
    a_failed_closure_leaves_nothing_and_takes_nothing_with_it,
    a_panic_fails_alone,
    keys_that_exist_are_told_from_other_failures,
    a_column_of_another_kind_is_an_error_not_a_guess,
    values_come_back_as_they_went_in,
    numbers_that_a_statement_makes_are_numbers,
    rows_are_visited_one_by_one_with_statements_in_between,
    an_answer_ends_when_it_is_enough,
);

async fn scratch(kind: Kind) -> Scratch {
    let scratch = Scratch::new(kind).await;
    scratch
        .database
        .write(|tx| {
            tx.execute_script(
                "create table parent(id BIGINT primary key);
                 create table child(id BIGINT primary key, parent BIGINT not null references parent);",
            )
        })
        .await
        .expect("tables");
    scratch
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

async fn a_read_after_an_answer_sees_the_write(kind: Kind) {
    let scratch = scratch(kind).await;
    let database = &scratch.database;
    for id in 0..50i64 {
        let write = database
            .write(move |tx| tx.execute("insert into parent values (?1)", params![id]))
            .await;
        assert_eq!(write.expect("insert"), 1);
        assert!(parents(database).await.contains(&id));
    }
}

async fn a_failed_closure_leaves_nothing_and_takes_nothing_with_it(kind: Kind) {
    let scratch = scratch(kind).await;
    let database = &scratch.database;
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
        parents(database).await,
        (0..100).step_by(2).collect::<Vec<i64>>()
    );
}

async fn a_panic_fails_alone(kind: Kind) {
    let scratch = scratch(kind).await;
    let database = &scratch.database;
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
    assert_eq!(parents(database).await, [2]);
}

async fn keys_that_exist_are_told_from_other_failures(kind: Kind) {
    let scratch = scratch(kind).await;
    let database = &scratch.database;
    let insert = || database.write(|tx| tx.execute("insert into parent values (7)", params![]));
    insert().await.expect("first");
    assert!(matches!(insert().await, Err(Error::Unique)));
}

async fn a_column_of_another_kind_is_an_error_not_a_guess(kind: Kind) {
    let scratch = scratch(kind).await;
    let database = &scratch.database;
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

async fn values_come_back_as_they_went_in(kind: Kind) {
    let scratch = scratch(kind).await;
    let stored: Result<_, Error> = scratch
        .database
        .write(|tx| {
            tx.execute_script("create table kept(number BIGINT, text TEXT, bytes BYTEA)")?;
            tx.execute(
                "insert into kept values (?1, ?2, ?3), (?4, ?5, ?6)",
                params![
                    i64::MIN,
                    "it's ?1 and \u{1F6A2}",
                    vec![0u8, 255],
                    None::<u64>,
                    None::<&str>,
                    None::<Vec<u8>>
                ],
            )?;
            tx.all(
                "select number, text, bytes from kept
                 where ?1 is null or text = ?1 order by number is null",
                params![None::<String>],
                |row| {
                    Ok((
                        row.get::<Option<i64>>(0)?,
                        row.get::<Option<String>>(1)?,
                        row.get::<Option<Vec<u8>>>(2)?,
                    ))
                },
            )
        })
        .await;
    let first = (
        Some(i64::MIN),
        Some("it's ?1 and \u{1F6A2}".to_owned()),
        Some(vec![0, 255]),
    );
    assert_eq!(stored.expect("rows"), [first, (None, None, None)]);
}

async fn numbers_that_a_statement_makes_are_numbers(kind: Kind) {
    let scratch = scratch(kind).await;
    let made: Result<_, Error> = scratch
        .database
        .write(|tx| {
            tx.execute_script("insert into parent values (5000000000), (5000000001), (-3)")?;
            tx.first(
                "select sum(id), count(*), exists (select 1 from parent), max(id) > 7, 1,
                        coalesce((select sum(id) from child), 0)
                 from parent",
                params![],
                |row| {
                    let truths: (bool, bool) = (row.get(2)?, row.get(3)?);
                    let numbers: [u64; 4] = [row.get(0)?, row.get(1)?, row.get(4)?, row.get(5)?];
                    Ok((numbers, truths))
                },
            )
        })
        .await;
    let expected = ([9_999_999_998, 3, 1, 0], (true, true));
    assert_eq!(made.expect("numbers"), Some(expected));
}

async fn rows_are_visited_one_by_one_with_statements_in_between(kind: Kind) {
    let scratch = scratch(kind).await;
    let seen: Result<_, Error> = scratch
        .database
        .write(|tx| {
            for id in 0..1000i64 {
                tx.execute("insert into parent values (?1)", params![id])?;
            }
            let mut seen = 0;
            tx.each("select id from parent order by id", params![], |row| {
                let id: i64 = row.get(0)?;
                assert_eq!(id, seen, "a row is missing");
                seen += 1;
                tx.execute("insert into child values (?1, ?1)", params![id])
                    .map(drop)
            })?;
            Ok((seen, tx.number("select count(*) from child", params![])?))
        })
        .await;
    assert_eq!(seen.expect("rows"), (1000, 1000));
}

async fn an_answer_ends_when_it_is_enough(kind: Kind) {
    let scratch = scratch(kind).await;
    let taken: Result<_, Error> = scratch
        .database
        .write(|tx| {
            for id in 0..500i64 {
                tx.execute("insert into parent values (?1)", params![id])?;
            }
            let sql = "select id from parent order by id";
            let few = tx.all_while(sql, params![], |row| {
                let id: i64 = row.get(0)?;
                Ok((id, id < 2))
            })?;
            let all = tx.all_while(sql, params![], |row| Ok((row.get::<i64>(0)?, true)))?;
            Ok((few, all.len()))
        })
        .await;
    assert_eq!(taken.expect("rows"), (vec![0, 1, 2], 500));
}

#[tokio::test]
async fn work_behind_waits_for_the_foreground_on_sqlite() {
    let scratch = scratch(Kind::Sqlite).await;
    let database = &scratch.database;
    // The gate holds the writer, so that everything after it queues up.
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let (closed, mut is_closed) = tokio::sync::mpsc::unbounded_channel();
    let gated = tokio::spawn({
        let database = database.clone();
        async move {
            let wait = database.write(move |_| {
                closed.send(()).map_err(|_| Error::Stopped)?;
                gate.recv().map_err(|_| Error::Stopped)
            });
            wait.await
        }
    });
    is_closed.recv().await.expect("the gate is closed");
    let behind = database.write_behind(|tx| tx.number("select count(*) from parent", params![]));
    let insert = |id: i64| {
        database.write(move |tx| tx.execute("insert into parent values (?1)", params![id]))
    };
    let opened = async { open.send(()).expect("the writer waits") };
    let (behind, first, second, ()) = tokio::join!(behind, insert(1), insert(2), opened);
    gated.await.expect("no panic").expect("gate");
    first.and(second).expect("inserts");
    assert_eq!(
        behind.expect("count"),
        2,
        "the work behind ran before the foreground"
    );
}

#[tokio::test]
async fn work_behind_gets_on_while_the_foreground_never_ends_on_sqlite() {
    let scratch = scratch(Kind::Sqlite).await;
    let database = &scratch.database;
    let behind = async {
        for _ in 0..20 {
            database.write_behind(|_| Ok::<_, Error>(())).await?;
        }
        Ok::<_, Error>(())
    };
    let foreground = async {
        let mut id = 0i64;
        loop {
            id += 1;
            let inserted =
                database.write(move |tx| tx.execute("insert into parent values (?1)", params![id]));
            inserted.await.expect("an insert");
        }
    };
    tokio::select! {
        done = behind => done.expect("the work behind"),
        () = foreground => {}
    }
}

#[tokio::test]
async fn a_transaction_that_sqlite_gives_up_fails_with_all_its_closures() {
    let scratch = scratch(Kind::Sqlite).await;
    let database = &scratch.database;
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
    assert_eq!(parents(database).await, [2]);
}
