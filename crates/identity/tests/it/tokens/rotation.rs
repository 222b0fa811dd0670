//! Keys follow each other, and nobody notices.

use super::*;

on_each!(
    a_rotation_refuses_no_token_on_any_server,
    a_key_that_nobody_here_has_seen_is_read_at_once,
    an_old_key_verifies_until_its_last_token_ends,
    the_published_keys_are_those_that_verify,
    two_rotations_at_once_leave_one_key_that_signs,
    a_key_that_has_handed_over_signs_no_more_whatever_the_clocks,
);

fn kid(token: &str) -> String {
    let kid = parts(token).0["kid"].clone();
    kid.as_str().expect("a kid").to_owned()
}

async fn a_rotation_refuses_no_token_on_any_server(kind: Kind) {
    let place = Place::new(kind).await;
    let (one, two) = (place.server().await, place.server().await);
    let caller = admin(&one).await;
    let mut tokens = vec![bearer(&one, &caller).await];
    for _ in 0..3 {
        let made = one.signing_key_rotate(&caller).await.expect("a new key");
        for _ in 0..8 {
            for server in [&one, &two] {
                tokens.push(bearer(server, &caller).await);
            }
            for token in &tokens {
                for server in [&one, &two] {
                    assert_eq!(reason(server, token).await, "good");
                }
            }
            place.clock.advance(Duration::from_secs(1));
        }
        let last = bearer(&two, &caller).await;
        assert_eq!(kid(&last), made.id.to_string(), "the new key signs by now");
    }
}

async fn a_key_that_nobody_here_has_seen_is_read_at_once(kind: Kind) {
    let place = Place::new(kind).await;
    let ahead = Arc::new(ManualClock::new(
        place.clock.now() + Duration::from_secs(30),
    ));
    let (one, two) = (place.server().await, place.server_at(ahead).await);
    let caller = admin(&two).await;
    assert_eq!(reason(&one, &bearer(&two, &caller).await).await, "good");
    // By a clock that is behind, so it signs at once on the one ahead.
    let made = one.signing_key_rotate(&caller).await.expect("a new key");
    two.refresh().await.expect("read");
    let token = bearer(&two, &caller).await;
    assert_eq!(kid(&token), made.id.to_string());
    let third = place.server().await;
    let made = two.signing_key_revoke(made.id, &caller).await;
    made.expect("another key signs at once");
    let token = bearer(&two, &caller).await;
    for server in [&one, &third] {
        assert_eq!(reason(server, &token).await, "good");
    }
}

async fn an_old_key_verifies_until_its_last_token_ends(kind: Kind) {
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let caller = admin(&identity).await;
    let old = identity.signing_keys().await.expect("keys")[0].id;
    identity.signing_key_rotate(&caller).await.expect("rotated");
    // The last token that the old key could have signed.
    place.clock.advance(Duration::from_secs(4));
    let (_, last) = authorization(&identity, &caller).await;
    assert_eq!(kid(&last), old.to_string());
    place.clock.advance(Duration::from_secs(12 * 3600 - 1));
    assert_eq!(reason(&identity, &last).await, "good");
    place.clock.advance(Duration::from_secs(1));
    assert_eq!(reason(&identity, &last).await, "the token has ended");
    place.clock.advance(Duration::from_mins(10));
    identity.signing_key_rotate(&caller).await.expect("rotated");
    let left = identity.signing_keys().await.expect("keys");
    assert!(left.iter().all(|key| key.id != old), "{left:?}");
    assert_eq!(left.iter().filter(|key| key.signs).count(), 1);
}

async fn the_published_keys_are_those_that_verify(kind: Kind) {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let caller = admin(&identity).await;
    let published = async || identity.jwks().await.expect("keys")["keys"].clone();
    let first = published().await;
    assert_eq!(first.as_array().expect("keys").len(), 1);
    assert_eq!(first[0]["kty"], "OKP");
    assert_eq!(first[0]["crv"], "Ed25519");
    assert_eq!(first[0]["x"], URL_SAFE_NO_PAD.encode(place.public()));
    assert!(first[0].get("d").is_none(), "a private key is published");
    let old = identity.signing_keys().await.expect("keys")[0].id;
    identity.signing_key_rotate(&caller).await.expect("rotated");
    assert_eq!(published().await.as_array().expect("keys").len(), 2);
    identity
        .signing_key_revoke(old, &caller)
        .await
        .expect("revoked");
    let left = published().await;
    assert_eq!(left.as_array().expect("keys").len(), 1);
    assert_ne!(left[0]["kid"], old.to_string());
    let unknown = identity
        .signing_key_revoke(landfall_ids::SigningKeyId::new_at(1), &caller)
        .await;
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
}

async fn two_rotations_at_once_leave_one_key_that_signs(kind: Kind) {
    let place = Place::new(kind).await;
    let (one, two) = (place.server().await, place.server().await);
    let caller = admin(&one).await;
    let (a, b) = tokio::join!(
        one.signing_key_rotate(&caller),
        two.signing_key_rotate(&caller)
    );
    a.and(b).expect("both");
    place.clock.advance(Duration::from_secs(10));
    let keys = one.signing_keys().await.expect("keys");
    assert_eq!(keys.len(), 3);
    assert_eq!(keys.iter().filter(|key| key.signs).count(), 1);
    let (a, b) = (bearer(&one, &caller).await, bearer(&two, &caller).await);
    assert_eq!(kid(&a), kid(&b));
    assert_eq!(reason(&two, &a).await, "good");
}

async fn a_key_that_has_handed_over_signs_no_more_whatever_the_clocks(kind: Kind) {
    let place = Place::new(kind).await;
    let ahead = place.clock.now() + Duration::from_mins(2);
    let ahead = Arc::new(ManualClock::new(ahead));
    let (one, two) = (place.server().await, place.server_at(ahead).await);
    let caller = admin(&one).await;
    let by_ahead = two.signing_key_rotate(&caller).await.expect("a new key");
    let last = one.signing_key_rotate(&caller).await.expect("a new key");
    assert!(
        by_ahead.signs_from < last.signs_from,
        "{by_ahead:?} {last:?}"
    );
    // By each clock, the later key takes over from the one before, for good.
    let mut signing = Vec::new();
    for _ in 0..30 {
        place.clock.advance(Duration::from_secs(10));
        one.refresh().await.expect("read");
        let used = kid(&bearer(&one, &caller).await);
        let keys = one.signing_keys().await.expect("keys");
        let shown: Vec<_> = keys.iter().filter(|key| key.signs).collect();
        assert!(matches!(shown[..], [key] if key.id.to_string() == used));
        if signing.last() != Some(&used) {
            signing.push(used);
        }
    }
    assert_eq!(
        signing.len(),
        2 + usize::from(signing.contains(&by_ahead.id.to_string()))
    );
    assert_eq!(signing.last(), Some(&last.id.to_string()));
    let until = one.signing_keys().await.expect("keys");
    let of_last = until.iter().find(|key| key.id == last.id);
    assert_eq!(of_last.and_then(|key| key.verifies_until), None);
}
