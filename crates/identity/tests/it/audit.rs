//! The audit log: durable, in order, found again, and taken away when it is old.

use std::{collections::BTreeSet, time::Duration};

use landfall_database::params;
use landfall_identity::{
    AuditEvent, AuditFilter, AuditOutcome, Caller, CredentialKind, Error, PrincipalKind, Settings,
};

use crate::world::{GOOD, SETTINGS, World, address, local};

on_both!(
    a_line_says_who_what_from_where_and_why,
    lines_are_there_when_they_were_waited_for_and_in_order,
    a_line_is_written_also_when_its_caller_goes_away,
    changes_and_their_lines_are_one,
    lines_are_found_by_each_filter,
    pages_hold_each_line_once_and_the_newest_first,
    an_account_sees_its_callers_and_what_belongs_to_it,
    what_is_older_than_the_retention_goes_in_steps_and_nothing_else_does,
    hostile_texts_are_stored_without_what_could_hurt,
    a_log_in_is_a_line_once_and_not_for_each_request,
    a_long_name_that_cannot_be_compressed_takes_no_other_line_along,
    a_line_that_cannot_be_written_takes_no_other_one_along,
);

async fn a_long_name_that_cannot_be_compressed_takes_no_other_line_along() {
    let world = World::new().await;
    let long: String = (0..3900)
        .map(|_| char::from(b'0' + rand::random::<u8>() % 75))
        .collect();
    let refused = world.log_in(&long, "wrong").await;
    assert!(
        matches!(refused, Err(Error::Unauthenticated { .. })),
        "{refused:?}"
    );
    let named = AuditEvent::new(&Caller::ANONYMOUS, "test", "thing", long.clone());
    let written = [
        world.audit(event(1)),
        world.audit(named.account(long.clone())),
    ];
    for written in written {
        written.await.expect("written");
    }
    let lines = world.lines(&of_tests()).await;
    assert_eq!(lines[1].resource.name, long[..512]);
    assert_eq!(lines[1].resource.account.as_deref(), Some(&long[..512]));
    let filter = AuditFilter {
        action: Some("login".to_owned()),
        allowed: Some(false),
        ..AuditFilter::default()
    };
    let lines = world.lines(&filter).await;
    assert_eq!(lines[0].resource.name, long[..256]);
}

async fn a_line_that_cannot_be_written_takes_no_other_one_along() {
    let world = World::new().await;
    // A rule that lines don't have, to be broken by one of them.
    let ruled = world.database.write(|tx| {
        let sql = "create unique index of_the_test on audit(request)";
        tx.execute(sql, params![])
    });
    ruled.await.expect("a rule");
    let mut writing = Vec::new();
    for (number, request) in ["a", "b", "a", "c"].into_iter().enumerate() {
        let caller = Caller {
            request_id: Some(request.to_owned()),
            ..Caller::ANONYMOUS
        };
        let event = AuditEvent::new(&caller, "test", "thing", number.to_string());
        writing.push(world.audit(event));
    }
    let mut written = Vec::new();
    for line in writing {
        written.push(line.await.is_ok());
    }
    assert_eq!(written, [true, true, false, true]);
    let lines = world.lines(&of_tests()).await;
    let names: Vec<_> = lines.iter().map(|line| &*line.resource.name).collect();
    assert_eq!(names, ["0", "1", "3"]);
}

async fn a_line_says_who_what_from_where_and_why() {
    let world = World::new().await;
    world.make("acme/alice", PrincipalKind::User).await;
    let source = address("192.0.2.7");
    let mut caller = world
        .log_in_from(source, "acme/alice", GOOD)
        .await
        .expect("logged in");
    caller.request_id = Some("request 1".to_owned());
    let event = AuditEvent::new(&caller, "push", "repository", "beta/web")
        .id("an id")
        .refused("no policy allows it")
        .policies(["beta/readers", "beta/others"])
        .detail("tag `7`");
    world.audit(event).await.expect("written");
    let filter = AuditFilter {
        action: Some("push".to_owned()),
        ..AuditFilter::default()
    };
    let lines = world.lines(&filter).await;
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    let principal = caller.principal.clone().expect("a principal");
    let written = line.principal.as_ref().expect("a principal");
    assert_eq!(
        (written.id, written.account),
        (principal.id, principal.account)
    );
    assert_eq!((&*written.account_name, &*written.name), ("acme", "alice"));
    assert_eq!(
        (line.source, line.credential),
        (source, CredentialKind::Password)
    );
    assert_eq!(line.request.as_deref(), Some("request 1"));
    assert_eq!(
        (&*line.resource.kind, &*line.resource.name),
        ("repository", "beta/web")
    );
    assert_eq!(line.resource.id.as_deref(), Some("an id"));
    assert_eq!(line.resource.account.as_deref(), Some("beta"));
    let reason = "no policy allows it".to_owned();
    assert_eq!(line.outcome, AuditOutcome::Refused { reason });
    assert_eq!(line.policies, ["beta/readers", "beta/others"]);
    assert_eq!((line.detail.as_deref(), line.times), (Some("tag `7`"), 1));
}

fn event(number: usize) -> AuditEvent {
    AuditEvent::new(
        &Caller::ANONYMOUS,
        "test",
        "thing",
        format!("acme/{number}"),
    )
}

fn of_tests() -> AuditFilter {
    AuditFilter {
        action: Some("test".to_owned()),
        ..AuditFilter::default()
    }
}

async fn lines_are_there_when_they_were_waited_for_and_in_order() {
    let world = World::new().await;
    let mut writing = tokio::task::JoinSet::new();
    for number in 0..500 {
        // It takes its place here, whenever it is waited for.
        let written = world.audit(event(number));
        writing.spawn(async move { written.await.map(|()| number) });
    }
    while let Some(written) = writing.join_next().await {
        let number = written.expect("a task").expect("written");
        if number % 50 == 0 {
            let filter = AuditFilter {
                resource_name: Some(format!("acme/{number}")),
                ..of_tests()
            };
            assert_eq!(world.lines(&filter).await.len(), 1, "{number}");
        }
    }
    let lines = world.lines(&of_tests()).await;
    let numbers: Vec<_> = lines
        .iter()
        .map(|line| line.resource.name.clone())
        .collect();
    let expected: Vec<_> = (0..500).map(|number| format!("acme/{number}")).collect();
    assert_eq!(numbers, expected);
    assert!(lines.is_sorted_by_key(|line| (line.id, line.at)));
}

async fn a_line_is_written_also_when_its_caller_goes_away() {
    let world = World::new().await;
    drop(world.audit(event(1)));
    // Lines are written in order: when this one is there, so is the other.
    world.audit(event(2)).await.expect("written");
    assert_eq!(world.lines(&of_tests()).await.len(), 2);
}

async fn changes_and_their_lines_are_one() {
    let world = World::new().await;
    let admin = world.admin().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    let group = local("acme/devs");
    world.group_create(&group, &admin).await.expect("a group");
    world
        .group_add(&group, &alice, &admin)
        .await
        .expect("added");
    let (key, _) = world
        .api_key_create(&alice, "", None, &admin)
        .await
        .expect("a key");
    world
        .api_key_rotate(&alice, key.id, Duration::ZERO, &admin)
        .await
        .expect("rotated");
    world
        .api_key_delete(&alice, key.id, &admin)
        .await
        .expect("deleted");
    world
        .principal_set_enabled(&alice, false, &admin)
        .await
        .expect("disabled");
    world
        .group_remove(&group, &alice, &admin)
        .await
        .expect("removed");
    world.group_delete(&group, &admin).await.expect("deleted");
    world
        .principal_delete(&alice, &admin)
        .await
        .expect("deleted");
    // What fails leaves no line.
    world.group_delete(&group, &admin).await.expect_err("gone");
    world
        .principal_create(&alice, PrincipalKind::User, None, &admin)
        .await
        .expect_err("taken");
    world
        .account_create("acme", &admin)
        .await
        .expect_err("taken");
    world.account_delete("acme", &admin).await.expect("deleted");
    let filter = AuditFilter {
        account: Some("acme".to_owned()),
        ..AuditFilter::default()
    };
    let actions: Vec<_> = world
        .lines(&filter)
        .await
        .into_iter()
        .map(|line| line.action)
        .collect();
    assert_eq!(
        actions,
        [
            "account.create",
            "principal.create",
            "group.create",
            "group.add",
            "api-key.create",
            "api-key.rotate",
            "api-key.delete",
            "principal.disable",
            "group.remove",
            "group.delete",
            "principal.delete",
            "account.delete",
        ]
    );
}

async fn lines_are_found_by_each_filter() {
    let world = World::new().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    let caller = world.log_in("acme/alice", GOOD).await.expect("logged in");
    let start = landfall_clock::Clock::now(&*world.clock);
    for number in 0..20 {
        world.clock.advance(Duration::from_millis(700));
        let by = if number % 2 == 0 {
            &caller
        } else {
            &Caller::ANONYMOUS
        };
        let event = AuditEvent::new(by, "test", "thing", format!("beta/{number}"));
        let event = if number % 5 == 0 {
            event.refused("so")
        } else {
            event
        };
        world.audit(event).await.expect("written");
    }
    let count = async |filter: AuditFilter| world.lines(&filter).await.len();
    let all = of_tests();
    assert_eq!(count(all.clone()).await, 20);
    assert_eq!(
        count(AuditFilter {
            principal: Some(alice),
            ..all.clone()
        })
        .await,
        10
    );
    assert_eq!(
        count(AuditFilter {
            allowed: Some(false),
            ..all.clone()
        })
        .await,
        4
    );
    assert_eq!(
        count(AuditFilter {
            allowed: Some(true),
            ..all.clone()
        })
        .await,
        16
    );
    let kind = Some("thing".to_owned());
    assert_eq!(
        count(AuditFilter {
            resource_kind: kind,
            ..all.clone()
        })
        .await,
        20
    );
    let name = Some("beta/3".to_owned());
    assert_eq!(
        count(AuditFilter {
            resource_name: name,
            ..all.clone()
        })
        .await,
        1
    );
    let since = Some(start + Duration::from_millis(700 * 5));
    assert_eq!(
        count(AuditFilter {
            since,
            ..all.clone()
        })
        .await,
        16
    );
    let until = Some(start + Duration::from_millis(700 * 5));
    assert_eq!(
        count(AuditFilter {
            until,
            ..all.clone()
        })
        .await,
        4
    );
}

async fn pages_hold_each_line_once_and_the_newest_first() {
    let world = World::new().await;
    for number in 0..20 {
        let event = AuditEvent::new(
            &Caller::ANONYMOUS,
            "test",
            "thing",
            format!("beta/{number}"),
        );
        world.audit(event).await.expect("written");
    }
    let all = of_tests();
    for filter in [
        all.clone(),
        AuditFilter {
            account: Some("beta".to_owned()),
            ..all
        },
    ] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = world.audit_list(&filter, before, 7).await.expect("a page");
            seen.extend(page.entries.iter().map(|line| line.id));
            before = seen.last().copied();
            if !page.more {
                break;
            }
        }
        assert_eq!(seen.len(), 20);
        assert!(seen.is_sorted_by(|a, b| a > b));
    }
}

async fn an_account_sees_its_callers_and_what_belongs_to_it() {
    let world = World::new().await;
    world.make("acme/alice", PrincipalKind::User).await;
    world.make("beta/bob", PrincipalKind::User).await;
    let alice = world.log_in("acme/alice", GOOD).await.expect("logged in");
    let bob = world.log_in("beta/bob", GOOD).await.expect("logged in");
    for (by, name) in [
        (&alice, "acme/own"),
        (&alice, "beta/lent"),
        (&bob, "acme/lent"),
        (&bob, "beta/own"),
        (&bob, "gamma/other"),
    ] {
        let event = AuditEvent::new(by, "test", "repository", name);
        world.audit(event).await.expect("written");
    }
    for (account, expected) in [
        ("acme", ["acme/own", "beta/lent", "acme/lent"].as_slice()),
        ("gamma", &["gamma/other"]),
        ("delta", &[]),
    ] {
        let filter = AuditFilter {
            account: Some(account.to_owned()),
            ..of_tests()
        };
        let lines = world.lines(&filter).await;
        let seen: Vec<_> = lines.iter().map(|line| &*line.resource.name).collect();
        assert_eq!(seen, expected, "{account}");
    }
}

async fn what_is_older_than_the_retention_goes_in_steps_and_nothing_else_does() {
    let retention = Duration::from_hours(24);
    let world = World::with(Settings {
        audit_retention: Some(retention),
        ..SETTINGS
    })
    .await;
    let mut last = None;
    for number in 0..1201 {
        last = Some(world.audit(event(number)));
    }
    last.expect("a line").await.expect("written");
    world.clock.advance(Duration::from_hours(1));
    for number in 2000..2003 {
        world.audit(event(number)).await.expect("written");
    }
    assert_eq!(world.audit_prune().await.expect("pruned"), 0);
    world.clock.advance(Duration::from_mins(23 * 60 + 30));
    let pruned = world.audit_prune().await.expect("pruned");
    assert!(pruned >= 1201, "{pruned}");
    let left: BTreeSet<_> = world
        .lines(&AuditFilter::default())
        .await
        .into_iter()
        .map(|line| line.resource.name)
        .collect();
    let expected = (2000..2003).map(|number| format!("acme/{number}"));
    assert_eq!(left, expected.collect());
    // Another server keeps what this one would take away, if it is told so.
    let keeper = world.server(SETTINGS).await;
    world.clock.advance(retention);
    assert_eq!(keeper.audit_prune().await.expect("pruned"), 0);
    assert_eq!(world.audit_prune().await.expect("pruned"), 3);
}

async fn hostile_texts_are_stored_without_what_could_hurt() {
    let world = World::new().await;
    let name = format!("acme/\u{1b}[2J\0{}", "x".repeat(100_000));
    let event = AuditEvent::new(&Caller::ANONYMOUS, "test", "thing", name).detail("a\0b\nc");
    world.audit(event).await.expect("written");
    let lines = world.lines(&of_tests()).await;
    let name = &lines[0].resource.name;
    assert!(
        name.len() <= 4096 && !name.contains(char::is_control),
        "{name}"
    );
    assert_eq!(lines[0].detail.as_deref(), Some("a b c"));
}

async fn a_log_in_is_a_line_once_and_not_for_each_request() {
    let world = World::new().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    for _ in 0..5 {
        world.log_in("acme/alice", GOOD).await.expect("logged in");
    }
    let filter = AuditFilter {
        action: Some("login".to_owned()),
        principal: Some(alice),
        ..AuditFilter::default()
    };
    assert_eq!(world.lines(&filter).await.len(), 1);
    world.clock.advance(Duration::from_mins(5));
    world.log_in("acme/alice", GOOD).await.expect("logged in");
    assert_eq!(world.lines(&filter).await.len(), 2);
}
