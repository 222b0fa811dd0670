//! Back-off as callers see it: who guesses waits, and nobody else.

use std::time::Duration;

use landfall_identity::{Error, PrincipalKind, Secret};

use crate::world::{GOOD, World, address};

on_both!(
    who_guesses_waits_longer_each_time_and_nobody_else_does,
    a_right_password_does_not_shorten_the_wait_and_clears_the_count_after_it,
    unknown_names_wait_like_known_ones,
    guesses_at_once_are_hashed_no_more_often_than_they_are_free,
    a_right_password_sent_many_times_at_once_lets_all_in,
    many_names_at_once_from_one_place_hold_up_nobody_else,
);

fn wait(result: Result<landfall_identity::Caller, Error>) -> Option<Duration> {
    match result {
        Err(Error::TooManyFailures { retry_after }) => Some(retry_after),
        Err(Error::Unauthenticated { .. }) => None,
        other => panic!("{other:?}"),
    }
}

async fn who_guesses_waits_longer_each_time_and_nobody_else_does() {
    let world = World::new().await;
    world.make("acme/alice", PrincipalKind::User).await;
    world.make("acme/bob", PrincipalKind::User).await;
    let here = address("192.0.2.1");
    let guess = async || wait(world.log_in_from(here, "acme/alice", "wrong").await);
    for _ in 0..6 {
        assert_eq!(guess().await, None);
    }
    for seconds in [1, 2, 4] {
        assert_eq!(guess().await, Some(Duration::from_secs(seconds)));
        // To come too early costs nothing more.
        world.clock.advance(Duration::from_millis(500));
        let rest = Duration::from_millis(seconds * 1000 - 500);
        assert_eq!(guess().await, Some(rest));
        world.clock.advance(rest);
        assert_eq!(guess().await, None, "after {seconds} s");
    }
    assert!(guess().await.is_some());
    for (from, name) in [
        (address("192.0.2.2"), "acme/alice"),
        (address("2001:db8::1"), "acme/alice"),
        (None, "acme/alice"),
        (here, "acme/bob"),
    ] {
        let caller = world.log_in_from(from, name, GOOD).await;
        caller.expect("somebody else, or somewhere else");
    }
}

async fn a_right_password_does_not_shorten_the_wait_and_clears_the_count_after_it() {
    let world = World::new().await;
    world.make("acme/alice", PrincipalKind::User).await;
    let here = address("2001:db8:0:1::1");
    let log_in = async |password| world.log_in_from(here, "acme/alice", password).await;
    log_in(GOOD).await.expect("it is remembered now");
    for _ in 0..6 {
        assert_eq!(wait(log_in("wrong").await), None);
    }
    let neighbour = address("2001:db8:0:1::ffff");
    assert!(wait(log_in(GOOD).await).is_some());
    let same = world.log_in_from(neighbour, "acme/alice", GOOD).await;
    assert!(wait(same).is_some(), "a /64 is one source");
    world.clock.advance(Duration::from_secs(1));
    log_in(GOOD).await.expect("the wait is over");
    // It was remembered, so what is held against the pair is still there; the
    // next one that is hashed clears it.
    world.clock.advance(Duration::from_mins(5));
    log_in(GOOD).await.expect("hashed again");
    for _ in 0..5 {
        assert_eq!(wait(log_in("wrong").await), None);
    }
    log_in(GOOD).await.expect("five are free");
}

async fn unknown_names_wait_like_known_ones() {
    let world = World::new().await;
    for name in ["acme/nobody", "not a name", "a\0b"] {
        for _ in 0..6 {
            assert_eq!(wait(world.log_in(name, "wrong").await), None, "{name:?}");
        }
        assert!(
            wait(world.log_in(name, "wrong").await).is_some(),
            "{name:?}"
        );
    }
    // One name, however it is written.
    for name in [
        "someone",
        "admin/someone",
        "someone",
        "admin/someone",
        "someone",
        "someone",
    ] {
        assert_eq!(wait(world.log_in(name, "wrong").await), None);
    }
    assert!(wait(world.log_in("admin/someone", "wrong").await).is_some());
}

async fn guesses_at_once_are_hashed_no_more_often_than_they_are_free() {
    let world = World::new().await;
    world.make("acme/alice", PrincipalKind::User).await;
    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..64 {
        let identity = world.shared();
        guesses.spawn(async move {
            let guess = Secret::new(format!("guess {number}"));
            identity
                .caller_by_password("acme/alice", &guess, None)
                .await
        });
    }
    let mut hashed = 0;
    while let Some(guess) = guesses.join_next().await {
        if wait(guess.expect("a task")).is_none() {
            hashed += 1;
        }
    }
    // Six, and one that was being hashed beside the sixth.
    assert!((6..=7).contains(&hashed), "{hashed} were hashed");
}

async fn a_right_password_sent_many_times_at_once_lets_all_in() {
    let world = World::new().await;
    world.make("acme/alice", PrincipalKind::User).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let identity = world.shared();
        callers.spawn(async move {
            let password = Secret::new(GOOD);
            identity
                .caller_by_password("acme/alice", &password, None)
                .await
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.expect("a task").expect("the password is right");
    }
}

async fn many_names_at_once_from_one_place_hold_up_nobody_else() {
    let world = World::new().await;
    world.make("acme/alice", PrincipalKind::User).await;
    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..64 {
        let identity = world.shared();
        guesses.spawn(async move {
            let (name, guess) = (format!("acme/user{number}"), Secret::new("a guess"));
            let source = address("192.0.2.1");
            identity.caller_by_password(&name, &guess, source).await
        });
    }
    let alice = world.log_in_from(address("192.0.2.2"), "acme/alice", GOOD);
    alice.await.expect("there is a place for her");
    let mut refused = 0;
    while let Some(guess) = guesses.join_next().await {
        if let Some(again) = wait(guess.expect("a task")) {
            assert_eq!(again, Duration::from_secs(1));
            refused += 1;
        }
    }
    assert!(refused > 0, "all were hashed");
}
