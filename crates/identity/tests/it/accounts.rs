//! Accounts: made, disabled, deleted, and never made again.

use landfall_identity::{Error, PrincipalKind};
use landfall_oci::RepositoryName;

use crate::world::{GOOD, World};

on_both!(
    an_account_is_made_once_and_listed_in_order,
    a_disabled_account_lets_nobody_in_until_it_is_enabled,
    a_deleted_account_lets_nobody_in_and_its_name_stays_taken,
    the_operators_account_stays,
    another_server_knows_of_a_disabled_account_at_once_for_passwords,
);

async fn an_account_is_made_once_and_listed_in_order() {
    let world = World::new().await;
    let admin = world.admin().await;
    for name in ["gamma", "alpha", "beta"] {
        let made = world
            .account_create(name, &admin)
            .await
            .expect("an account");
        assert_eq!(world.account_show(name).await.expect("shown"), made);
    }
    let again = world.account_create("beta", &admin).await;
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
    for bad in ["", "Beta", "a/b", "-", "a\0"] {
        let refused = world.account_create(bad, &admin).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{bad:?}");
    }
    let page = world.account_list(None, 2).await.expect("a page");
    let names: Vec<_> = page.entries.iter().map(|each| each.name.as_str()).collect();
    assert_eq!((names, page.more), (vec!["admin", "alpha"], true));
    let page = world.account_list(Some("alpha"), 2).await.expect("a page");
    let names: Vec<_> = page.entries.iter().map(|each| each.name.as_str()).collect();
    assert_eq!((names, page.more), (vec!["beta", "gamma"], false));
}

async fn a_disabled_account_lets_nobody_in_until_it_is_enabled() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.make("acme/alice", PrincipalKind::User).await;
    let caller = world.log_in("acme/alice", GOOD).await.expect("logged in");
    let token = world.authorization_token_issue(&caller, None).await;
    let token = token.expect("a token").token;
    let disabled = world.account_set_enabled("acme", false, &admin).await;
    disabled.expect("disabled");
    assert!(!world.account_show("acme").await.expect("shown").enabled);
    let refused = world.log_in("acme/alice", GOOD).await;
    assert!(matches!(refused, Err(Error::Unauthenticated { .. })));
    let refused = world.caller_by_token(token.reveal(), None).await;
    assert!(matches!(refused, Err(Error::Unauthenticated { .. })));
    let enabled = world.account_set_enabled("acme", true, &admin).await;
    enabled.expect("enabled");
    world.log_in("acme/alice", GOOD).await.expect("logged in");
    let token = world.caller_by_token(token.reveal(), None).await;
    token.expect("the token is good again");
}

async fn a_deleted_account_lets_nobody_in_and_its_name_stays_taken() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.make("acme/alice", PrincipalKind::User).await;
    let ci = world.make("acme/ci", PrincipalKind::Robot).await;
    let (_, key) = world
        .api_key_create(&ci, "", None, &admin)
        .await
        .expect("a key");
    world.account_delete("acme", &admin).await.expect("deleted");
    for (name, password) in [("acme/alice", GOOD), ("acme/ci", key.reveal())] {
        let refused = world.log_in(name, password).await;
        assert!(
            matches!(refused, Err(Error::Unauthenticated { .. })),
            "{name}"
        );
    }
    let again = world.account_create("acme", &admin).await;
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
    let shown = world.account_show("acme").await;
    assert!(matches!(shown, Err(Error::NotFound { .. })));
    assert_eq!(world.account_find("acme").await.expect("asked"), None);
    let pushed: RepositoryName = "acme/web".parse().expect("a name");
    let ensured = world.account_ensure(&pushed, &admin).await;
    assert!(
        matches!(ensured, Err(Error::NotFound { .. })),
        "{ensured:?}"
    );
    let again = world.account_delete("acme", &admin).await;
    assert!(matches!(again, Err(Error::NotFound { .. })));
    let page = world.account_list(None, 10).await.expect("a page");
    assert!(page.entries.iter().all(|account| account.name != "acme"));
}

async fn the_operators_account_stays() {
    let world = World::new().await;
    let admin = world.admin().await;
    let disabled = world.account_set_enabled("admin", false, &admin).await;
    assert!(matches!(disabled, Err(Error::InUse { .. })));
    let deleted = world.account_delete("admin", &admin).await;
    assert!(matches!(deleted, Err(Error::InUse { .. })));
    world.admin().await;
}

async fn another_server_knows_of_a_disabled_account_at_once_for_passwords() {
    let world = World::new().await;
    let other = world.server(crate::world::SETTINGS).await;
    world.make("acme/alice", PrincipalKind::User).await;
    let password = landfall_identity::Secret::new(GOOD);
    let known = other
        .caller_by_password("acme/alice", &password, None)
        .await;
    known.expect("logged in");
    let disabled = world
        .account_set_enabled("acme", false, &world.admin().await)
        .await;
    disabled.expect("disabled");
    let refused = other
        .caller_by_password("acme/alice", &password, None)
        .await;
    assert!(matches!(refused, Err(Error::Unauthenticated { .. })));
}
