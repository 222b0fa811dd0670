//! Refused log-ins in the audit log: found, and bounded.

use std::time::Duration;

use landfall_identity::{AuditEntry, AuditFilter, AuditOutcome, PrincipalKind};

use crate::world::{World, address};

on_both!(
    a_refused_log_in_is_a_line_with_its_reason,
    a_source_gets_ten_lines_a_minute_and_the_rest_is_counted_in_one,
    what_was_counted_is_written_when_the_server_ends,
);

async fn refused(world: &World) -> Vec<AuditEntry> {
    let filter = AuditFilter {
        action: Some("login".to_owned()),
        allowed: Some(false),
        ..AuditFilter::default()
    };
    world.lines(&filter).await
}

async fn a_refused_log_in_is_a_line_with_its_reason() {
    let world = World::new().await;
    let admin = world.admin().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    let (key, secret) = world
        .api_key_create(&alice, "", None, &admin)
        .await
        .expect("a key");
    let source = address("192.0.2.9");
    let wrong = world.log_in_from(source, "acme/alice", "wrong").await;
    wrong.expect_err("a wrong password");
    world
        .principal_set_enabled(&alice, false, &admin)
        .await
        .expect("disabled");
    let disabled = world
        .log_in_from(source, "acme/alice", secret.reveal())
        .await;
    disabled.expect_err("a disabled principal");
    let lines = refused(&world).await;
    let [wrong, disabled] = &lines[..] else {
        panic!("{lines:?}")
    };
    for (line, expected) in [
        (wrong, "unknown name or wrong password"),
        (
            disabled,
            "the principal of the API key, or its account, is disabled",
        ),
    ] {
        let AuditOutcome::Refused { reason } = &line.outcome else {
            panic!("{line:?}")
        };
        assert_eq!(reason, expected);
        assert_eq!((line.source, &*line.resource.name), (source, "acme/alice"));
        assert_eq!(line.resource.account.as_deref(), Some("acme"));
        assert_eq!(line.principal, None, "nothing was proved");
    }
    assert_eq!(disabled.credential_id, Some(key.id.to_string()));
}

async fn a_source_gets_ten_lines_a_minute_and_the_rest_is_counted_in_one() {
    let world = World::new().await;
    let here = address("192.0.2.9");
    for number in 0..50 {
        // Keys, which are refused without a wait.
        let key = format!("lfk_{number}_x");
        world.caller_by_token(&key, here).await.expect_err("no key");
    }
    assert_eq!(refused(&world).await.len(), 10);
    let there = address("192.0.2.10");
    world
        .caller_by_token("lfk_1_x", there)
        .await
        .expect_err("no key");
    assert_eq!(
        refused(&world).await.len(),
        11,
        "another source has its own ten"
    );
    world.clock.advance(Duration::from_mins(1));
    world
        .caller_by_token("lfk_1_x", there)
        .await
        .expect_err("no key");
    let lines = refused(&world).await;
    assert_eq!(lines.len(), 13);
    let counted: Vec<_> = lines.iter().filter(|line| line.times > 1).collect();
    let [counted] = &counted[..] else {
        panic!("{counted:?}")
    };
    assert_eq!((counted.source, counted.times), (here, 40));
    let all: u64 = lines.iter().map(|line| line.times).sum();
    assert_eq!(all, 52, "nothing is lost");
}

async fn what_was_counted_is_written_when_the_server_ends() {
    let world = World::new().await;
    for _ in 0..15 {
        world
            .caller_by_token("lfk_1_x", None)
            .await
            .expect_err("no key");
    }
    world.audit_finish().await;
    let lines = refused(&world).await;
    let all: u64 = lines.iter().map(|line| line.times).sum();
    assert_eq!((lines.len(), all), (11, 15));
    world.audit_finish().await;
    assert_eq!(refused(&world).await.len(), 11, "once");
}
