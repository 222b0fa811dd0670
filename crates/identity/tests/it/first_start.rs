//! The first start, and the administrator's password at later ones.

use landfall_identity::{AuditFilter, Error, FirstStart, Secret};

use crate::world::{RIGHT, SETTINGS, World};

on_both!(
    the_first_start_makes_an_administrator_once_and_tells_the_password_once,
    a_password_given_at_a_later_start_replaces_the_old_one_and_ends_its_tokens,
    a_password_that_could_never_log_in_is_refused_at_once,
);

async fn the_first_start_makes_an_administrator_once_and_tells_the_password_once() {
    let world = World::empty(SETTINGS).await;
    let made = world.first_start(None).await.expect("first start");
    let FirstStart::MadeWithPassword(password) = made else {
        panic!("{made:?}")
    };
    let again = world.first_start(None).await;
    assert!(matches!(again, Ok(FirstStart::Known)));
    let caller = world.log_in("admin", password.reveal()).await;
    let caller = caller.expect("the password that was told");
    assert_eq!(caller.name(), "admin");
    assert!(caller.principal.is_some_and(|admin| admin.administrator));
    assert!(!format!("{password:?}").contains(password.reveal()));
    let filter = AuditFilter {
        action: Some("principal.create".to_owned()),
        ..AuditFilter::default()
    };
    assert_eq!(world.lines(&filter).await.len(), 1);
}

async fn a_password_given_at_a_later_start_replaces_the_old_one_and_ends_its_tokens() {
    let world = World::new().await;
    let token = world
        .authorization_token_issue(&world.admin().await, None)
        .await;
    let token = token.expect("a token").token;
    let set = world.first_start(Some(Secret::new("new"))).await;
    assert!(matches!(set, Ok(FirstStart::PasswordSet)), "{set:?}");
    let old = world.log_in("admin", RIGHT).await;
    assert!(
        matches!(old, Err(Error::Unauthenticated { .. })),
        "the old one is remembered"
    );
    let token = world.caller_by_token(token.reveal(), None).await;
    assert!(matches!(token, Err(Error::Unauthenticated { .. })));
    world.log_in("admin", "new").await.expect("the new one");
}

async fn a_password_that_could_never_log_in_is_refused_at_once() {
    let world = World::empty(SETTINGS).await;
    for given in ["x".repeat(1025), String::new()] {
        let refused = world.first_start(Some(Secret::new(given))).await;
        assert!(matches!(refused, Err(Error::Password(_))));
    }
}
