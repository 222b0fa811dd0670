//! Authorization tokens: for hours, and for all that their principal may do.

use super::*;

on_each!(
    an_authorization_token_is_its_principals_password_for_twelve_hours,
    a_token_is_revoked_with_what_was_made_from_it,
    all_tokens_of_a_principal_end_at_once_and_later_ones_are_good,
    a_token_says_the_epoch_that_its_caller_was_known_in,
    a_token_ends_with_the_api_key_that_made_it,
    a_rotated_key_ends_its_tokens_and_makes_others_that_are_good,
    no_token_outlives_what_it_was_made_with,
    its_lifetime_has_bounds,
);

async fn an_authorization_token_is_its_principals_password_for_twelve_hours(kind: Kind) {
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let (name, caller) = user(&identity, "alice").await;
    let (id, token) = authorization(&identity, &caller).await;
    let secret = Secret::new(token.clone());
    for login in [name.to_string().as_str(), "token"] {
        let proven = identity.caller_by_password(login, &secret, None).await;
        let proven = proven.expect("taken as a password");
        assert_eq!(proven.principal, caller.principal);
        assert_eq!(proven.credential.kind, CredentialKind::AuthorizationToken);
        assert_eq!(proven.credential.id, Some(id.to_string()));
    }
    for login in ["admin", "acme/bob", "alice", ""] {
        let refused = identity.caller_by_password(login, &secret, None).await;
        assert!(
            matches!(refused, Err(Error::Unauthenticated { .. })),
            "{login:?} got in"
        );
    }
    place.clock.advance(Duration::from_secs(12 * 3600 - 1));
    assert_eq!(reason(&identity, &token).await, "good");
    place.clock.advance(Duration::from_secs(1));
    assert_eq!(reason(&identity, &token).await, "the token has ended");
}

async fn a_token_is_revoked_with_what_was_made_from_it(kind: Kind) {
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let (_, caller) = user(&identity, "alice").await;
    let by = admin(&identity).await;
    let (id, token) = authorization(&identity, &caller).await;
    let (_, other) = authorization(&identity, &caller).await;
    let proven = identity.caller_by_token(&token, None).await.expect("good");
    let child = bearer(&identity, &proven).await;
    let principal = caller.principal.as_ref().expect("somebody").id;
    let listed = identity.authorization_token_list(principal, None, 10).await;
    assert_eq!(listed.expect("a list").entries.len(), 2);
    identity.token_revoke(id, &by).await.expect("revoked");
    let revoked = "the token was revoked, or what it was made with";
    assert_eq!(reason(&identity, &token).await, revoked);
    assert_eq!(reason(&identity, &child).await, revoked);
    assert_eq!(reason(&identity, &other).await, "good");
    let shown = identity.authorization_token_show(id).await.expect("shown");
    assert!(shown.expect("known").revoked.is_some());
    identity.token_revoke(id, &by).await.expect("once more");
}

async fn all_tokens_of_a_principal_end_at_once_and_later_ones_are_good(kind: Kind) {
    let place = Place::new(kind).await;
    let (identity, other) = (place.server().await, place.server().await);
    let (name, caller) = user(&identity, "alice").await;
    let by = admin(&identity).await;
    let principal = caller.principal.as_ref().expect("somebody").id;
    let before = [
        bearer(&identity, &caller).await,
        authorization(&identity, &caller).await.1,
    ];
    identity
        .principal_tokens_revoke(principal, &by)
        .await
        .expect("revoked");
    // A server that has not heard of it signs tokens that are as good as old
    // ones.
    let late = bearer(&other, &caller).await;
    let ended = "the tokens of the principal were revoked";
    for token in before.iter().chain([&late]) {
        assert_eq!(reason(&identity, token).await, ended);
    }
    let caller = known(&identity, &name).await;
    let later = bearer(&identity, &caller).await;
    assert_eq!(reason(&identity, &later).await, "good");
    // The other one sees that this token is of a later epoch than its own.
    assert_eq!(reason(&other, &later).await, "good");
    assert_eq!(reason(&other, &before[0]).await, ended);
}

async fn a_token_ends_with_the_api_key_that_made_it(kind: Kind) {
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let (name, _) = user(&identity, "alice").await;
    let by = admin(&identity).await;
    let hour = Duration::from_hours(1);
    let made = identity
        .api_key_create(&name, "build", Some(hour), &by)
        .await;
    let (key, secret) = made.expect("a key");
    let caller = identity.caller_by_token(secret.reveal(), None).await;
    let caller = caller.expect("good");
    let issued = identity.authorization_token_issue(&caller, None).await;
    let issued = issued.expect("a token");
    assert_eq!(issued.lifetime(), hour, "no longer than the key");
    let token = issued.token.reveal();
    let of_key = bearer(&identity, &caller).await;
    let proven = identity.caller_by_token(token, None).await.expect("good");
    let of_token = bearer(&identity, &proven).await;
    identity
        .api_key_delete(&name, key.id, &by)
        .await
        .expect("deleted");
    for token in [token, &of_key, &of_token] {
        assert_eq!(
            reason(&identity, token).await,
            "the token was revoked, or what it was made with"
        );
    }
}

async fn a_token_says_the_epoch_that_its_caller_was_known_in(kind: Kind) {
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let (name, by_password) = user(&identity, "alice").await;
    let by = admin(&identity).await;
    let made = identity.api_key_create(&name, "build", None, &by).await;
    let (_, secret) = made.expect("a key");
    let by_key = identity.caller_by_token(secret.reveal(), None).await;
    let by_key = by_key.expect("good");
    let (_, token) = authorization(&identity, &by_password).await;
    let by_token = identity.caller_by_token(&token, None).await.expect("good");
    let principal = by_password.principal.as_ref().expect("somebody").id;
    let revoked = identity.principal_tokens_revoke(principal, &by).await;
    revoked.expect("revoked");
    // Requests that began before, and ask for their token only now.
    for caller in [by_password, by_key, by_token] {
        let late = bearer(&identity, &caller).await;
        assert_ne!(reason(&identity, &late).await, "good", "{caller:?}");
    }
}

async fn a_rotated_key_ends_its_tokens_and_makes_others_that_are_good(kind: Kind) {
    let place = Place::new(kind).await;
    let (identity, other) = (place.server().await, place.server().await);
    let (name, _) = user(&identity, "alice").await;
    let by = admin(&identity).await;
    let made = identity.api_key_create(&name, "build", None, &by).await;
    let (key, old) = made.expect("a key");
    let before = identity.caller_by_token(old.reveal(), None).await;
    let before = before.expect("good");
    let (_, token) = authorization(&identity, &before).await;
    let proven = identity.caller_by_token(&token, None).await.expect("good");
    let ended = [
        bearer(&identity, &before).await,
        bearer(&identity, &proven).await,
        token,
    ];
    let overlap = Duration::from_mins(10);
    let rotated = identity.api_key_rotate(&name, key.id, overlap, &by).await;
    let (_, new) = rotated.expect("rotated");
    for token in &ended {
        assert_ne!(reason(&identity, token).await, "good");
    }
    // A request that was let in before the rotation, on a server that has not
    // heard of it: neither its token nor what that makes is good.
    let (_, late) = authorization(&other, &before).await;
    assert_ne!(reason(&identity, &late).await, "good");
    // Also on the server that has not heard of it, and also twice.
    for server in [&other, &identity] {
        for secret in [&old, &new] {
            let caller = server.caller_by_token(secret.reveal(), None).await;
            let caller = caller.expect("good");
            let (_, token) = authorization(server, &caller).await;
            let proven = server.caller_by_token(&token, None).await.expect("good");
            let tokens = [
                bearer(server, &caller).await,
                bearer(server, &proven).await,
                token,
            ];
            for token in &tokens {
                assert_eq!(reason(&identity, token).await, "good");
                assert_eq!(reason(&other, token).await, "good");
            }
        }
    }
}

async fn no_token_outlives_what_it_was_made_with(kind: Kind) {
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let (name, caller) = user(&identity, "alice").await;
    let by = admin(&identity).await;
    let lifetime = async |caller: &Caller| {
        let issued = identity.token_issue(caller, Vec::new()).await;
        issued.expect("a token").lifetime()
    };
    let (minute, whole) = (Duration::from_mins(1), Duration::from_mins(5));
    assert_eq!(lifetime(&caller).await, whole);
    let issued = identity.authorization_token_issue(&caller, Some(minute));
    let token = issued.await.expect("a token").token;
    let by_token = identity.caller_by_token(token.reveal(), None).await;
    assert_eq!(lifetime(&by_token.expect("good")).await, minute);
    let two = Some(minute * 2);
    let made = identity.api_key_create(&name, "build", two, &by).await;
    let (key, old) = made.expect("a key");
    let by_key = async |secret: &Secret| {
        let caller = identity.caller_by_token(secret.reveal(), None).await;
        caller.expect("good")
    };
    assert_eq!(lifetime(&by_key(&old).await).await, minute * 2);
    let rotated = identity.api_key_rotate(&name, key.id, minute, &by).await;
    let (_, new) = rotated.expect("rotated");
    assert_eq!(lifetime(&by_key(&old).await).await, minute);
    assert_eq!(lifetime(&by_key(&new).await).await, minute * 2);
    let caller = by_key(&old).await;
    let issued = identity.authorization_token_issue(&caller, None);
    assert_eq!(issued.await.expect("a token").lifetime(), minute);
}

async fn its_lifetime_has_bounds(kind: Kind) {
    let place = Place::new(kind).await;
    let identity = place.server().await;
    let caller = admin(&identity).await;
    for (seconds, good) in [
        (0, false),
        (59, false),
        (60, true),
        (43_200, true),
        (43_201, false),
    ] {
        let lifetime = Some(Duration::from_secs(seconds));
        let issued = identity.authorization_token_issue(&caller, lifetime).await;
        assert_eq!(issued.is_ok(), good, "{seconds} seconds");
    }
    let nobody = Caller::ANONYMOUS;
    assert!(
        identity
            .authorization_token_issue(&nobody, None)
            .await
            .is_err()
    );
}
