//! Look-ups of one row: many at once, errors among them.

use futures_util::future::join_all;
use landfall_database::{Database, Error, Kind, params};

use crate::scratch::{Scratch, on_both};

on_both!(
    a_look_up_after_an_answer_sees_the_write,
    many_at_once_each_get_their_own_answer,
    one_that_fails_takes_nothing_with_it,
    the_first_of_several_rows_is_the_answer,
    a_text_with_a_nul_is_found_nowhere,
);

async fn scratch(kind: Kind) -> Scratch {
    let scratch = Scratch::new(kind).await;
    let made: Result<(), Error> = scratch
        .database
        .write(|tx| {
            tx.execute_script("create table thing(id BIGINT primary key, name TEXT, content BYTEA)")
        })
        .await;
    made.expect("a table");
    scratch
}

async fn insert(database: &Database, id: i64) {
    let inserted = database.write(move |tx| {
        tx.execute(
            "insert into thing values (?1, ?2, ?3)",
            params![id, format!("thing {id}"), vec![7u8; 3000]],
        )
    });
    assert_eq!(inserted.await.expect("insert"), 1);
}

async fn find(database: &Database, id: i64) -> Result<Option<(String, usize)>, Error> {
    database
        .row(
            "select name, content from thing where id = ?1",
            params![id],
            |row| Ok((row.get(0)?, row.get::<Vec<u8>>(1)?.len())),
        )
        .await
}

async fn a_look_up_after_an_answer_sees_the_write(kind: Kind) {
    let scratch = scratch(kind).await;
    for id in 0..50 {
        assert_eq!(find(&scratch.database, id).await.expect("none"), None);
        insert(&scratch.database, id).await;
        let found = find(&scratch.database, id).await.expect("a row");
        assert_eq!(found, Some((format!("thing {id}"), 3000)));
    }
}

async fn many_at_once_each_get_their_own_answer(kind: Kind) {
    let scratch = scratch(kind).await;
    for id in 0..20 {
        insert(&scratch.database, id).await;
    }
    let found = join_all((0..1000).map(|number| find(&scratch.database, number % 40))).await;
    for (number, found) in found.into_iter().enumerate() {
        let id = number % 40;
        let expected = (id < 20).then(|| (format!("thing {id}"), 3000));
        assert_eq!(found.expect("an answer"), expected);
    }
}

async fn one_that_fails_takes_nothing_with_it(kind: Kind) {
    let scratch = scratch(kind).await;
    insert(&scratch.database, 1).await;
    let broken = "select nothing from nowhere where id = ?1";
    let asked = (0..200i64).map(|number| {
        let database = scratch.database.clone();
        async move {
            if number % 3 == 0 {
                let row = database.row(broken, params![number], |row| row.get::<u64>(0));
                assert!(matches!(row.await, Err(Error::Failed(_))));
            } else {
                assert!(find(&database, 1).await.expect("a row").is_some());
            }
        }
    });
    join_all(asked).await;
}

async fn the_first_of_several_rows_is_the_answer(kind: Kind) {
    let scratch = scratch(kind).await;
    for id in [3, 1, 2] {
        insert(&scratch.database, id).await;
    }
    let sql = "select id from thing order by id";
    for _ in 0..3 {
        let row = scratch
            .database
            .row(sql, params![], |row| row.get::<i64>(0));
        assert_eq!(row.await.expect("a row"), Some(1));
    }
}

#[test]
fn a_database_outlives_the_runtime_that_asked_first_on_postgres() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    };
    let first = runtime();
    let scratch = first.block_on(scratch(Kind::Postgres));
    first.block_on(insert(&scratch.database, 1));
    assert!(first.block_on(find(&scratch.database, 1)).is_ok());
    drop(first);
    let second = runtime();
    for _ in 0..4 {
        let found = second.block_on(find(&scratch.database, 1));
        assert!(found.expect("a row").is_some());
    }
}

async fn a_text_with_a_nul_is_found_nowhere(kind: Kind) {
    let scratch = scratch(kind).await;
    let look = || {
        let sql = "select id from thing where name = ?1";
        let row = |row: &landfall_database::Row<'_>| row.get::<i64>(0);
        scratch.database.row(sql, params!["a\0b"], row)
    };
    match (kind, look().await) {
        (Kind::Sqlite, Ok(None)) | (Kind::Postgres, Err(Error::Text)) => {}
        (_, other) => panic!("{other:?}"),
    }
    insert(&scratch.database, 1).await;
    assert!(find(&scratch.database, 1).await.expect("a row").is_some());
}

#[tokio::test]
async fn statements_that_the_server_has_forgotten_are_prepared_again_on_postgres() {
    let scratch = scratch(Kind::Postgres).await;
    insert(&scratch.database, 1).await;
    for _ in 0..3 {
        // Some on each of the connections that look-ups share.
        for _ in 0..4 {
            assert!(find(&scratch.database, 1).await.expect("a row").is_some());
        }
        let forget = || {
            let row = |row: &landfall_database::Row<'_>| row.get::<i64>(0);
            scratch.database.row("deallocate all", params![], row)
        };
        for _ in 0..2 {
            assert_eq!(forget().await.expect("forgotten"), None);
        }
        for _ in 0..4 {
            assert!(find(&scratch.database, 1).await.expect("a row").is_some());
        }
    }
}
