//! Principals: their kinds, passwords, and ends.

use landfall_identity::{Error, PrincipalKind, Secret};

use crate::world::{GOOD, RIGHT, World, local};

on_both!(
    principals_of_four_kinds_are_made_listed_and_shown,
    wrong_passwords_and_unknown_names_are_refused_alike,
    a_disabled_principal_is_refused_with_each_credential_until_it_is_enabled,
    a_deleted_principal_is_refused_and_its_name_stays_taken,
    a_new_password_replaces_the_old_one_and_ends_the_tokens_that_it_had,
    only_users_have_passwords_and_they_are_not_too_short,
    nobody_but_an_administrator_changes_an_administrator,
);

async fn principals_of_four_kinds_are_made_listed_and_shown() {
    let world = World::new().await;
    for kind in PrincipalKind::ALL {
        let name = world.make(&format!("acme/{kind}"), kind).await;
        let shown = world.principal_show(&name).await.expect("shown");
        assert_eq!(shown.principal.kind, kind);
        assert_eq!(shown.principal.login_name(), format!("acme/{kind}"));
        assert!(shown.enabled && !shown.principal.administrator);
    }
    let page = world.principal_list("acme", None, 3).await.expect("a page");
    let names: Vec<_> = page
        .entries
        .iter()
        .map(|each| &*each.principal.name)
        .collect();
    assert_eq!((names, page.more), (vec!["host", "robot", "user"], true));
    let admin = world.admin().await;
    let twice = world
        .principal_create(&local("acme/user"), PrincipalKind::User, None, &admin)
        .await;
    assert!(matches!(twice, Err(Error::Exists { .. })));
    let nowhere = world
        .principal_create(&local("nowhere/user"), PrincipalKind::User, None, &admin)
        .await;
    assert!(matches!(nowhere, Err(Error::NotFound { .. })));
    let caller = world.log_in("acme/user", GOOD).await.expect("logged in");
    assert_eq!(caller.name(), "acme/user");
}

async fn wrong_passwords_and_unknown_names_are_refused_alike() {
    let world = World::new().await;
    world.make("acme/alice", PrincipalKind::User).await;
    world.make("acme/ci", PrincipalKind::Robot).await;
    let long = "x".repeat(2000);
    for (name, password) in [
        ("admin", "wrong"),
        ("admin", ""),
        ("nobody", RIGHT),
        ("acme/alice", RIGHT),
        ("acme/nobody", GOOD),
        ("alice", GOOD),
        ("acme/ci", ""),
        ("acme/ci", GOOD),
        ("a\0b", GOOD),
        ("", GOOD),
        (&long, GOOD),
        ("acme/alice", &long),
    ] {
        let refused = world.log_in(name, password).await;
        let Err(Error::Unauthenticated { reason }) = refused else {
            panic!("{name:?}: {refused:?}")
        };
        assert_eq!(reason, "unknown name or wrong password", "{name:?}");
    }
}

async fn a_disabled_principal_is_refused_with_each_credential_until_it_is_enabled() {
    let world = World::new().await;
    let admin = world.admin().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    let (_, key) = world
        .api_key_create(&alice, "", None, &admin)
        .await
        .expect("a key");
    let caller = world.log_in("acme/alice", GOOD).await.expect("logged in");
    let token = world.authorization_token_issue(&caller, None).await;
    let token = token.expect("a token").token;
    for enabled in [false, true] {
        let set = world.principal_set_enabled(&alice, enabled, &admin).await;
        set.expect("set");
        assert_eq!(
            world.principal_show(&alice).await.expect("shown").enabled,
            enabled
        );
        for credential in [GOOD, key.reveal(), token.reveal()] {
            let caller = world.log_in("acme/alice", credential).await;
            assert_eq!(caller.is_ok(), enabled, "{caller:?}");
        }
        for credential in [key.reveal(), token.reveal()] {
            let caller = world.caller_by_token(credential, None).await;
            assert_eq!(caller.is_ok(), enabled, "{caller:?}");
        }
    }
}

async fn a_deleted_principal_is_refused_and_its_name_stays_taken() {
    let world = World::new().await;
    let admin = world.admin().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    let (_, key) = world
        .api_key_create(&alice, "", None, &admin)
        .await
        .expect("a key");
    world.log_in("acme/alice", GOOD).await.expect("logged in");
    world
        .principal_delete(&alice, &admin)
        .await
        .expect("deleted");
    for credential in [GOOD, key.reveal()] {
        let refused = world.log_in("acme/alice", credential).await;
        assert!(matches!(refused, Err(Error::Unauthenticated { .. })));
    }
    let shown = world.principal_show(&alice).await;
    assert!(matches!(shown, Err(Error::NotFound { .. })));
    let password = Some(Secret::new(GOOD));
    let again = world
        .principal_create(&alice, PrincipalKind::User, password, &admin)
        .await;
    assert!(matches!(again, Err(Error::Exists { .. })));
    let again = world.principal_delete(&alice, &admin).await;
    assert!(matches!(again, Err(Error::NotFound { .. })));
}

async fn a_new_password_replaces_the_old_one_and_ends_the_tokens_that_it_had() {
    let world = World::new().await;
    let admin = world.admin().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    let caller = world.log_in("acme/alice", GOOD).await.expect("logged in");
    let token = world.authorization_token_issue(&caller, None).await;
    let token = token.expect("a token").token;
    let new = "another password";
    let set = world
        .principal_set_password(&alice, Secret::new(new), &admin)
        .await;
    set.expect("set");
    for credential in [GOOD, token.reveal()] {
        let refused = world.log_in("acme/alice", credential).await;
        assert!(matches!(refused, Err(Error::Unauthenticated { .. })));
    }
    world.log_in("acme/alice", new).await.expect("the new one");
}

async fn only_users_have_passwords_and_they_are_not_too_short() {
    let world = World::new().await;
    let admin = world.admin().await;
    let alice = world.make("acme/alice", PrincipalKind::User).await;
    let ci = world.make("acme/ci", PrincipalKind::Robot).await;
    let robot = world
        .principal_set_password(&ci, Secret::new(GOOD), &admin)
        .await;
    assert!(matches!(robot, Err(Error::Invalid { .. })), "{robot:?}");
    for bad in [
        "seven77",
        &"x".repeat(1025),
        "lfk_something",
        "eyJhbGci.eyJpc3M.AAAA",
    ] {
        let refused = world
            .principal_set_password(&alice, Secret::new(bad), &admin)
            .await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{bad}");
    }
    world.log_in("acme/alice", GOOD).await.expect("the old one");
}

async fn nobody_but_an_administrator_changes_an_administrator() {
    let world = World::new().await;
    let admin = world.admin().await;
    let alice = world.make("alice", PrincipalKind::User).await;
    assert_eq!(alice.account(), "admin");
    let caller = world.log_in("alice", GOOD).await.expect("logged in");
    let name = local("admin");
    let set = world
        .principal_set_password(&name, Secret::new(GOOD), &caller)
        .await;
    assert!(matches!(set, Err(Error::OperatorOnly)), "{set:?}");
    let key = world.api_key_create(&name, "", None, &caller).await;
    assert!(matches!(key, Err(Error::OperatorOnly)));
    for by in [&caller, &admin] {
        assert!(world.principal_delete(&name, by).await.is_err());
        assert!(world.principal_set_enabled(&name, false, by).await.is_err());
    }
    world.admin().await;
}
