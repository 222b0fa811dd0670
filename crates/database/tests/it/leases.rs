//! Leases: one holder at a time, and tokens that grow.

use std::time::Duration;

use landfall_database::{
    Database, Error, Kind,
    lease::{self, Lease},
    params,
};

use crate::scratch::{Scratch, on_both};

on_both!(
    of_many_who_want_it_one_gets_it,
    an_ended_lease_is_taken_with_a_higher_token,
    a_lease_that_was_lost_guards_nothing,
    a_lease_that_was_given_back_is_free_at_once,
);

const LONG: Duration = Duration::from_mins(10);

async fn scratch(kind: Kind) -> Scratch {
    let scratch = Scratch::new(kind).await;
    let migrated = scratch.database.migrate(&[lease::MIGRATIONS]).await;
    migrated.expect("the table");
    scratch
}

async fn take(database: &Database, holder: &'static str, ttl: Duration) -> Option<Lease> {
    let taken: Result<_, Error> = database
        .write(move |tx| lease::lease_take(tx, "work", holder, ttl))
        .await;
    taken.expect("an answer")
}

async fn is_held(database: &Database, token: u64) -> bool {
    let held: Result<_, Error> = database
        .write(move |tx| lease::lease_is_held(tx, "work", token))
        .await;
    held.expect("an answer")
}

/// Lets the time of the lease pass.
async fn end(database: &Database) {
    let ended = database.write(|tx| tx.execute("update lease set expires = 1", params![]));
    assert_eq!(ended.await.expect("ended"), 1);
}

async fn of_many_who_want_it_one_gets_it(kind: Kind) {
    let scratch = scratch(kind).await;
    let wanted = (0..20).map(|_| take(&scratch.database, "somebody", LONG));
    let taken = futures_util::future::join_all(wanted).await;
    assert_eq!(taken.iter().flatten().count(), 1);
    let holder: Result<_, Error> = scratch
        .database
        .read(|tx| lease::lease_find(tx, "work"))
        .await;
    let holder = holder.expect("an answer").expect("a holder");
    assert_eq!(holder.holder, "somebody");
}

async fn an_ended_lease_is_taken_with_a_higher_token(kind: Kind) {
    let scratch = scratch(kind).await;
    let first = take(&scratch.database, "one", LONG).await.expect("free");
    assert!(first.is_fresh() && is_held(&scratch.database, first.token()).await);
    end(&scratch.database).await;
    assert!(!is_held(&scratch.database, first.token()).await);
    let second = take(&scratch.database, "two", LONG).await.expect("ended");
    assert!(second.token() > first.token());
    let short = Duration::ZERO;
    end(&scratch.database).await;
    let third = take(&scratch.database, "three", short)
        .await
        .expect("ended");
    assert!(!third.is_fresh(), "nothing of its time is left");
}

async fn a_lease_that_was_lost_guards_nothing(kind: Kind) {
    let scratch = scratch(kind).await;
    let first = take(&scratch.database, "one", LONG).await.expect("free");
    end(&scratch.database).await;
    let second = take(&scratch.database, "two", LONG).await.expect("ended");
    let lost = first.clone();
    let renewed: Result<_, Error> = scratch
        .database
        .write(move |tx| lease::lease_renew(tx, &lost))
        .await;
    assert!(renewed.expect("an answer").is_none());
    assert!(!is_held(&scratch.database, first.token()).await);
    assert!(is_held(&scratch.database, second.token()).await);
    let released: Result<_, Error> = scratch
        .database
        .write(move |tx| lease::lease_release(tx, &first))
        .await;
    assert!(!released.expect("an answer"), "it released another's lease");
}

async fn a_lease_that_was_given_back_is_free_at_once(kind: Kind) {
    let scratch = scratch(kind).await;
    let first = take(&scratch.database, "one", LONG).await.expect("free");
    assert!(take(&scratch.database, "two", LONG).await.is_none());
    let token = first.token();
    let released: Result<_, Error> = scratch
        .database
        .write(move |tx| {
            let renewed = lease::lease_renew(tx, &first)?.expect("held");
            lease::lease_release(tx, &renewed)
        })
        .await;
    assert!(released.expect("an answer"));
    let second = take(&scratch.database, "two", LONG).await.expect("free");
    assert!(second.token() > token);
}
