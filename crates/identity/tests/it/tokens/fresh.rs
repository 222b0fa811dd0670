//! A server decides by nothing that is older than two seconds, whatever its
//! clock says.

use super::*;

on_each!(
    what_another_server_revoked_is_seen_within_two_seconds,
    a_clock_that_is_set_changes_no_age,
    an_epoch_that_cannot_be_read_refuses_everybody_and_heals,
);

async fn what_another_server_revoked_is_seen_within_two_seconds(kind: Kind) {
    let place = Place::new(kind).await;
    let (one, two) = (place.server().await, place.server().await);
    let caller = admin(&one).await;
    let (id, token) = authorization(&one, &caller).await;
    assert_eq!(reason(&two, &token).await, "good");
    one.token_revoke(id, &caller).await.expect("revoked");
    assert_ne!(reason(&one, &token).await, "good", "its own write");
    place.clock.advance(Duration::from_micros(2_000_001));
    assert_ne!(reason(&two, &token).await, "good", "two seconds later");
}

async fn a_clock_that_is_set_changes_no_age(kind: Kind) {
    let place = Place::new(kind).await;
    let (one, two) = (place.server().await, place.server().await);
    let caller = admin(&one).await;
    let (id, token) = authorization(&one, &caller).await;
    assert_eq!(reason(&two, &token).await, "good");
    one.token_revoke(id, &caller).await.expect("revoked");
    let now = place.clock.now();
    // Back by an hour: an age by this clock would be nothing for an hour.
    place.clock.set(now - Duration::from_hours(1));
    assert_eq!(reason(&two, &token).await, "the token is not good yet");
    place.clock.advance(Duration::from_secs(3));
    place.clock.set(now);
    assert_eq!(
        reason(&two, &token).await,
        "the token was revoked, or what it was made with"
    );
    // Tokens end by the clock as it is.
    let later = bearer(&one, &caller).await;
    place.clock.set(now + Duration::from_hours(1));
    assert_eq!(reason(&one, &later).await, "the token has ended");
    place.clock.set(now);
    assert_eq!(reason(&one, &later).await, "good");
}

async fn an_epoch_that_cannot_be_read_refuses_everybody_and_heals(kind: Kind) {
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let caller = admin(&identity).await;
    let token = bearer(&identity, &caller).await;
    assert_eq!(reason(&identity, &token).await, "good");
    let rename = async |from: &str, to: &str| {
        let sql = format!("alter table {from} rename to {to}");
        let renamed = place.database.write(move |tx| tx.execute_script(&sql));
        renamed.await.expect("renamed");
    };
    rename("epoch", "epoch_away").await;
    assert_eq!(reason(&identity, &token).await, "good", "for two seconds");
    place.clock.advance(Duration::from_secs(3));
    for _ in 0..3 {
        let refused = identity.caller_by_token(&token, None).await;
        assert!(matches!(refused, Err(Error::Unavailable)), "{refused:?}");
        place.clock.advance(Duration::from_secs(3));
    }
    rename("epoch_away", "epoch").await;
    assert_eq!(reason(&identity, &token).await, "good", "it is back");
}
