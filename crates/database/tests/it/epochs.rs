//! Epochs: numbers that change with what was committed, and only then.

use landfall_database::{Database, Error, Kind, epoch, params};

use crate::scratch::{Scratch, on_both};

on_both!(
    an_epoch_changes_when_a_change_is_committed,
    a_change_that_is_undone_begins_no_epoch,
    epochs_of_different_names_know_nothing_of_each_other,
    many_changes_at_once_are_each_an_epoch,
);

async fn scratch(kind: Kind) -> Scratch {
    let scratch = Scratch::new(kind).await;
    let migrated = scratch.database.migrate(&[epoch::MIGRATIONS]).await;
    migrated.expect("the table");
    scratch
}

async fn read(database: &Database, name: &str) -> u64 {
    epoch::read(database, name).await.expect("an answer")
}

async fn bump(database: &Database, name: &'static str) {
    let bumped: Result<_, Error> = database.write(move |tx| epoch::bump(tx, name)).await;
    bumped.expect("committed");
}

async fn an_epoch_changes_when_a_change_is_committed(kind: Kind) {
    let scratch = scratch(kind).await;
    let database = &scratch.database;
    assert_eq!(
        read(database, epoch::ACCESS).await,
        0,
        "nothing has changed"
    );
    for expected in 1..4 {
        bump(database, epoch::ACCESS).await;
        assert_eq!(read(database, epoch::ACCESS).await, expected);
        let found: Result<_, Error> = database.read(|tx| epoch::find(tx, epoch::ACCESS)).await;
        assert_eq!(found.expect("an answer"), expected);
    }
}

async fn a_change_that_is_undone_begins_no_epoch(kind: Kind) {
    let scratch = scratch(kind).await;
    let undone: Result<(), Error> = scratch
        .database
        .write(|tx| {
            epoch::bump(tx, epoch::ACCESS)?;
            tx.execute("insert into nowhere values (1)", params![])?;
            Ok(())
        })
        .await;
    undone.expect_err("there is no such table");
    assert_eq!(read(&scratch.database, epoch::ACCESS).await, 0);
}

async fn epochs_of_different_names_know_nothing_of_each_other(kind: Kind) {
    let scratch = scratch(kind).await;
    bump(&scratch.database, epoch::ACCESS).await;
    bump(&scratch.database, epoch::ACCESS).await;
    bump(&scratch.database, "another").await;
    assert_eq!(read(&scratch.database, epoch::ACCESS).await, 2);
    assert_eq!(read(&scratch.database, "another").await, 1);
}

async fn many_changes_at_once_are_each_an_epoch(kind: Kind) {
    let scratch = scratch(kind).await;
    let changes = (0..20).map(|_| bump(&scratch.database, epoch::ACCESS));
    futures_util::future::join_all(changes).await;
    assert_eq!(read(&scratch.database, epoch::ACCESS).await, 20);
}
