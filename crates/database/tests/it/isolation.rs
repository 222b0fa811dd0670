//! Transactions at once: each runs again until it fits, and none fails.

use std::sync::{
    Arc, Barrier,
    atomic::{AtomicU64, Ordering},
};

use futures_util::future::join_all;
use landfall_database::{Error, Kind, params};

use crate::scratch::{Scratch, on_both};

on_both!(
    counters_lose_no_step,
    a_reference_to_something_that_was_taken_away_is_seen_when_looking_again,
    readers_see_one_snapshot,
);

async fn scratch(kind: Kind) -> Scratch {
    let scratch = Scratch::new(kind).await;
    let made: Result<(), Error> = scratch
        .database
        .write(|tx| {
            tx.execute_script(
                "create table counter(id BIGINT primary key, count BIGINT not null);
                 create table uses(id BIGINT primary key,
                                   counter BIGINT not null references counter(id));
                 insert into counter values (1, 0), (2, 0)",
            )
        })
        .await;
    made.expect("tables");
    scratch
}

async fn count(scratch: &Scratch) -> u64 {
    let sum: Result<_, Error> = scratch
        .database
        .read(|tx| tx.number("select sum(count) from counter", params![]))
        .await;
    sum.expect("a number")
}

async fn counters_lose_no_step(kind: Kind) {
    let scratch = scratch(kind).await;
    let steps = (0..100).map(|_| {
        scratch.database.write(|tx| {
            let sql = format!("select count from counter where id = 1{}", tx.for_update());
            let count = tx.number(&sql, params![])?;
            tx.execute(
                "update counter set count = ?1 where id = 1",
                params![count + 1],
            )
        })
    });
    for step in join_all(steps).await {
        assert_eq!(step.expect("a step"), 1);
    }
    assert_eq!(count(&scratch).await, 100);
}

#[tokio::test]
async fn transactions_that_lock_crosswise_all_succeed_on_postgres() {
    let scratch = scratch(Kind::Postgres).await;
    let runs = Arc::new(AtomicU64::new(0));
    let both = Arc::new(Barrier::new(2));
    let steps = [[1i64, 2], [2, 1]].map(|order| {
        let (runs, both) = (Arc::clone(&runs), Arc::clone(&both));
        scratch.database.write(move |tx| {
            let step = |id| {
                let sql = "update counter set count = count + 1 where id = ?1";
                tx.execute(sql, params![id])
            };
            step(order[0])?;
            if runs.fetch_add(1, Ordering::Relaxed) < 2 {
                // Each holds what the other one wants next.
                both.wait();
            }
            step(order[1])
        })
    });
    for step in join_all(steps).await {
        step.expect("a deadlock is no error of a caller");
    }
    assert_eq!(runs.load(Ordering::Relaxed), 3, "one of them runs again");
    assert_eq!(count(&scratch).await, 4, "a rerun was kept twice");
}

async fn a_reference_to_something_that_was_taken_away_is_seen_when_looking_again(kind: Kind) {
    let scratch = scratch(kind).await;
    let runs = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&runs);
    let refused: Result<(), Error> = scratch
        .database
        .write(move |tx| {
            seen.fetch_add(1, Ordering::Relaxed);
            tx.execute("insert into uses values (1, 99)", params![])?;
            Ok(())
        })
        .await;
    assert!(matches!(refused, Err(Error::ForeignKey)), "{refused:?}");
    let runs = runs.load(Ordering::Relaxed);
    assert!(runs == 1 || kind == Kind::Postgres, "{runs} runs");
    assert!(runs > 1 || kind == Kind::Sqlite, "it did not look again");
}

async fn readers_see_one_snapshot(kind: Kind) {
    let scratch = scratch(kind).await;
    let sums = |database: landfall_database::Database| async move {
        let read: Result<_, Error> = database
            .read_long(|tx| {
                let one = tx.number("select sum(count) from counter", params![])?;
                std::thread::sleep(std::time::Duration::from_millis(5));
                Ok((one, tx.number("select sum(count) from counter", params![])?))
            })
            .await;
        read.expect("sums")
    };
    let writes = async {
        for _ in 0..40 {
            let step = scratch
                .database
                .write(|tx| tx.execute("update counter set count = count + 1", params![]));
            step.await.expect("a step");
        }
    };
    let reads = async {
        for _ in 0..10 {
            let (one, other) = sums(scratch.database.clone()).await;
            assert_eq!(one, other, "a read saw a write that came after it began");
        }
    };
    tokio::join!(writes, reads);
}
