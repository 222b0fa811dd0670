//! API keys: whose they are, how long they are good, and when they were used.

use std::time::Duration;

use landfall_identity::{CredentialKind, Error, PrincipalKind, Secret};

use crate::world::{GOOD, World};

on_both!(
    a_key_proves_its_principal_as_a_password_and_as_a_bearer,
    a_key_is_refused_under_another_name,
    a_key_that_is_wrong_in_any_part_is_refused,
    a_key_ends_when_it_was_said_to,
    a_rotated_secret_is_good_for_the_overlap_and_no_longer,
    a_deleted_key_is_refused_and_so_are_the_tokens_made_with_it,
    the_use_of_a_key_is_noted_once_a_minute,
    a_principal_has_a_bounded_number_of_keys,
);

async fn a_key_proves_its_principal_as_a_password_and_as_a_bearer() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ci = world.make("acme/ci", PrincipalKind::Robot).await;
    let (key, secret) = world
        .api_key_create(&ci, "the build", None, &admin)
        .await
        .expect("a key");
    assert!(secret.reveal().starts_with("lfk_"));
    let mut callers = vec![world.caller_by_token(secret.reveal(), None).await];
    for name in ["acme/ci", "token", ""] {
        callers.push(world.log_in(name, secret.reveal()).await);
    }
    for caller in callers {
        let caller = caller.expect("the key is good");
        assert_eq!(caller.name(), "acme/ci");
        assert_eq!(caller.credential.kind, CredentialKind::ApiKey);
        assert_eq!(caller.credential.id, Some(key.id.to_string()));
    }
    let listed = world.api_key_list(&ci).await.expect("listed");
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].id, &*listed[0].description),
        (key.id, "the build")
    );
}

async fn a_key_is_refused_under_another_name() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ci = world.make("acme/ci", PrincipalKind::Robot).await;
    world.make("acme/alice", PrincipalKind::User).await;
    let (_, secret) = world
        .api_key_create(&ci, "", None, &admin)
        .await
        .expect("a key");
    for name in ["acme/alice", "ci", "admin", "nobody", "not a name"] {
        let refused = world.log_in(name, secret.reveal()).await;
        assert!(
            matches!(refused, Err(Error::Unauthenticated { .. })),
            "{name}"
        );
    }
}

async fn a_key_that_is_wrong_in_any_part_is_refused() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ci = world.make("acme/ci", PrincipalKind::Robot).await;
    let (_, secret) = world
        .api_key_create(&ci, "", None, &admin)
        .await
        .expect("a key");
    let (_, other) = world
        .api_key_create(&ci, "", None, &admin)
        .await
        .expect("a key");
    let secret = secret.reveal();
    let parts: Vec<_> = secret.split('_').collect();
    let others: Vec<_> = other.reveal().split('_').collect();
    let turned = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(bytes).expect("digits")
    };
    for wrong in [
        format!("lfk_{}_{}", parts[1], turned(parts[2], 0)),
        format!("lfk_{}_{}", parts[1], turned(parts[2], 63)),
        format!("lfk_{}_{}", turned(parts[1], 31), parts[2]),
        format!("lfk_{}_{}", parts[1], others[2]),
        format!("lfk_{}_", parts[1]),
        format!("lfk_{}", parts[1]),
        format!("lfk_{}_{}", parts[1], &parts[2][1..]),
        secret[..secret.len() - 1].to_owned(),
        format!("{secret}0"),
        "lfk_".to_owned(),
        format!("lfk_{}", "_".repeat(100_000)),
        "lfk_\0_\0".to_owned(),
    ] {
        let refused = world.caller_by_token(&wrong, None).await;
        assert!(
            matches!(refused, Err(Error::Unauthenticated { .. })),
            "{wrong}"
        );
    }
    world
        .caller_by_token(secret, None)
        .await
        .expect("the right one");
}

async fn a_key_ends_when_it_was_said_to() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ci = world.make("acme/ci", PrincipalKind::Robot).await;
    let hour = Duration::from_hours(1);
    let (key, secret) = world
        .api_key_create(&ci, "", Some(hour), &admin)
        .await
        .expect("a key");
    assert_eq!(key.expires, Some(key.created + hour));
    world.clock.advance(Duration::from_micros(3_599_999_999));
    let caller = world.caller_by_token(secret.reveal(), None).await;
    caller.expect("in its last microsecond");
    world.clock.advance(Duration::from_micros(1));
    let ended = world.caller_by_token(secret.reveal(), None).await;
    assert!(matches!(ended, Err(Error::Unauthenticated { .. })));
    let zero = world
        .api_key_create(&ci, "", Some(Duration::ZERO), &admin)
        .await;
    assert!(matches!(zero, Err(Error::Invalid { .. })));
}

async fn a_rotated_secret_is_good_for_the_overlap_and_no_longer() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ci = world.make("acme/ci", PrincipalKind::Robot).await;
    let (key, first) = world
        .api_key_create(&ci, "", None, &admin)
        .await
        .expect("a key");
    let overlap = Duration::from_mins(10);
    let rotate = async |overlap| world.api_key_rotate(&ci, key.id, overlap, &admin).await;
    let is_good =
        async |secret: &Secret| world.caller_by_token(secret.reveal(), None).await.is_ok();
    let (rotated, second) = rotate(overlap).await.expect("rotated");
    assert_eq!(rotated.id, key.id);
    assert!(is_good(&first).await && is_good(&second).await);
    world.clock.advance(overlap);
    assert!(!is_good(&first).await && is_good(&second).await);
    let (_, third) = rotate(Duration::ZERO).await.expect("rotated");
    assert!(!is_good(&second).await && is_good(&third).await);
    let week = Duration::from_hours(7 * 24 + 1);
    assert!(matches!(rotate(week).await, Err(Error::Invalid { .. })));
    let other = world.make("acme/other", PrincipalKind::Robot).await;
    let stolen = world
        .api_key_rotate(&other, key.id, Duration::ZERO, &admin)
        .await;
    assert!(matches!(stolen, Err(Error::NotFound { .. })), "{stolen:?}");
}

async fn a_deleted_key_is_refused_and_so_are_the_tokens_made_with_it() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ci = world.make("acme/ci", PrincipalKind::Robot).await;
    let (key, secret) = world
        .api_key_create(&ci, "", None, &admin)
        .await
        .expect("a key");
    let caller = world
        .caller_by_token(secret.reveal(), None)
        .await
        .expect("good");
    let token = world.authorization_token_issue(&caller, None).await;
    let token = token.expect("a token").token;
    world
        .caller_by_token(token.reveal(), None)
        .await
        .expect("good");
    world
        .api_key_delete(&ci, key.id, &admin)
        .await
        .expect("deleted");
    for credential in [&secret, &token] {
        let refused = world.caller_by_token(credential.reveal(), None).await;
        assert!(matches!(refused, Err(Error::Unauthenticated { .. })));
    }
    assert!(world.api_key_list(&ci).await.expect("listed").is_empty());
    let again = world.api_key_delete(&ci, key.id, &admin).await;
    assert!(matches!(again, Err(Error::NotFound { .. })));
}

/// The last use of the one key, as soon as it is another than `before`.
async fn noted(
    world: &World,
    of: &landfall_identity::LocalName,
    before: Option<landfall_clock::Timestamp>,
) -> Option<landfall_clock::Timestamp> {
    for _ in 0..10_000 {
        let keys = world.api_key_list(of).await.expect("listed");
        if keys[0].last_used != before {
            return keys[0].last_used;
        }
        tokio::task::yield_now().await;
        // The note is written behind, on other threads.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("no use was noted")
}

async fn the_use_of_a_key_is_noted_once_a_minute() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ci = world.make("acme/ci", PrincipalKind::Robot).await;
    let (key, secret) = world
        .api_key_create(&ci, "", None, &admin)
        .await
        .expect("a key");
    let use_it = async || {
        world
            .caller_by_token(secret.reveal(), None)
            .await
            .expect("good")
    };
    use_it().await;
    let first = noted(&world, &ci, None).await;
    assert_eq!(first, Some(key.created));
    // Neither this server nor another one writes again within the minute.
    world.clock.advance(Duration::from_secs(59));
    let other = world.server(crate::world::SETTINGS).await;
    use_it().await;
    other
        .caller_by_token(secret.reveal(), None)
        .await
        .expect("good");
    world.clock.advance(Duration::from_secs(1));
    use_it().await;
    let second = noted(&world, &ci, first).await;
    assert_eq!(second, Some(key.created + Duration::from_mins(1)));
}

async fn a_principal_has_a_bounded_number_of_keys() {
    let world = World::new().await;
    let admin = world.admin().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    for _ in 0..100 {
        let made = world.api_key_create(&alice, "", None, &admin).await;
        made.expect("a key");
    }
    let more = world.api_key_create(&alice, "", None, &admin).await;
    assert!(matches!(more, Err(Error::InUse { .. })), "{more:?}");
    for bad in ["two\nlines", &"x".repeat(201)] {
        let refused = world.api_key_create(&alice, bad, None, &admin).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })));
    }
    world.log_in("acme/alice", GOOD).await.expect("logged in");
}
