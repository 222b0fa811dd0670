//! A new password straight on the database, while a server runs.

use landfall_identity::{AuditFilter, Error, PrincipalKind, Secret, password_reset};

use crate::world::{GOOD, RIGHT, World, local};

on_both!(
    a_reset_makes_up_a_password_that_the_running_server_knows,
    a_reset_takes_a_password_enables_its_user_and_is_a_line,
    who_has_no_password_gets_none,
);

async fn a_reset_makes_up_a_password_that_the_running_server_knows() {
    let world = World::new().await;
    let token = world
        .authorization_token_issue(&world.admin().await, None)
        .await;
    let token = token.expect("a token").token;
    let reset = password_reset(&world.database, &*world.clock, &local("admin"), None).await;
    let password = reset.expect("reset").password.expect("it is told");
    let old = world.log_in("admin", RIGHT).await;
    assert!(matches!(old, Err(Error::Unauthenticated { .. })));
    let caller = world.log_in("admin", password.reveal()).await;
    assert_eq!(caller.expect("the new one").name(), "admin");
    // As the server does within a second.
    world.refresh().await.expect("refreshed");
    let token = world.caller_by_token(token.reveal(), None).await;
    assert!(matches!(token, Err(Error::Unauthenticated { .. })));
}

async fn a_reset_takes_a_password_enables_its_user_and_is_a_line() {
    let world = World::new().await;
    let admin = world.admin().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    world
        .principal_set_enabled(&alice, false, &admin)
        .await
        .expect("disabled");
    let given = Some(Secret::new("given"));
    let reset = password_reset(&world.database, &*world.clock, &alice, given).await;
    let reset = reset.expect("reset");
    assert!(reset.password.is_none() && reset.enabled);
    world
        .log_in("acme/alice", "given")
        .await
        .expect("the new one");
    let filter = AuditFilter {
        action: Some("principal.reset-password".to_owned()),
        ..AuditFilter::default()
    };
    let lines = world.lines(&filter).await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].resource.name, "acme/alice");
    assert_eq!(lines[0].detail.as_deref(), Some("on the server's machine"));
}

async fn who_has_no_password_gets_none() {
    let world = World::new().await;
    let ci = world.make("acme/ci", PrincipalKind::Robot).await;
    let gone = world.make("acme/gone", PrincipalKind::User).await;
    world
        .principal_delete(&gone, &world.admin().await)
        .await
        .expect("deleted");
    let robot = password_reset(&world.database, &*world.clock, &ci, None).await;
    assert!(matches!(robot, Err(Error::Invalid { .. })), "{robot:?}");
    for name in [gone, local("acme/nobody")] {
        let given = Some(Secret::new(GOOD));
        let reset = password_reset(&world.database, &*world.clock, &name, given).await;
        assert!(matches!(reset, Err(Error::NotFound { .. })), "{reset:?}");
    }
}
