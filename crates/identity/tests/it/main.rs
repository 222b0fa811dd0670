//! Identities as their callers see them.

#![forbid(unsafe_code)]

use std::{sync::Arc, time::Duration};

use landfall_clock::{Clock, ManualClock, Timestamp};
use landfall_database::Database;
use landfall_identity::{
    Action, Caller, Error, FirstStart, Identity, MIGRATIONS, Refusal, Resource, ScopeLimit, Secret,
    Settings,
};
use landfall_ids::StoreId;
use landfall_seal::MasterKey;

mod keys;

/// A master key that differs for each number.
fn master(number: u8) -> MasterKey {
    MasterKey::parse(&format!("{number:02x}").repeat(32), "a test").expect("a key")
}

struct World {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    database: Database,
    store: StoreId,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("scratch directory");
        let database = Database::open_sqlite(&directory.path().join("it.sqlite")).expect("open");
        database.migrate(&[MIGRATIONS]).await.expect("migrate");
        let start = Timestamp::from_unix_micros(1_800_000_000_000_000);
        let clock = Arc::new(ManualClock::new(start));
        Self {
            directory,
            clock,
            database,
            store: StoreId::new_at(1),
        }
    }

    async fn identity(&self, anonymous_pull: bool) -> Identity {
        self.identity_of(self.store, anonymous_pull).await
    }

    async fn identity_of(&self, store: StoreId, anonymous_pull: bool) -> Identity {
        let settings = Settings {
            anonymous_pull,
            token_lifetime: Duration::from_mins(5),
        };
        let keys = self.directory.path().join("keys");
        Identity::open(
            self.database.clone(),
            self.clock.clone(),
            &master(1),
            &keys,
            store,
            settings,
        )
        .await
        .expect("identity")
    }
}

async fn administrator(identity: &Identity) -> Caller {
    identity
        .first_start(Some(Secret::new("right")))
        .await
        .expect("first start");
    identity
        .caller_by_password("admin", &Secret::new("right"))
        .await
        .expect("the password is right")
}

fn scopes(texts: &[&str]) -> Vec<landfall_identity::Scope> {
    texts
        .iter()
        .map(|text| text.parse().expect("scope"))
        .collect()
}

#[tokio::test]
async fn the_first_start_makes_an_administrator_once_and_tells_the_password_once() {
    let world = World::new().await;
    let identity = world.identity(false).await;
    let made = identity.first_start(None).await.expect("first start");
    let FirstStart::MadeWithPassword(password) = made else {
        panic!("{made:?}")
    };
    assert!(matches!(
        identity.first_start(None).await,
        Ok(FirstStart::Known)
    ));
    let caller = identity
        .caller_by_password("admin", &password)
        .await
        .expect("log in");
    assert_eq!(caller.name(), "admin");
    assert!(!format!("{password:?}").contains(password.reveal()));
}

#[tokio::test]
async fn a_password_given_at_a_later_start_replaces_the_old_one() {
    let world = World::new().await;
    let identity = world.identity(false).await;
    administrator(&identity).await;
    let set = identity
        .first_start(Some(Secret::new("new")))
        .await
        .expect("start");
    assert!(matches!(set, FirstStart::PasswordSet));
    let old = identity
        .caller_by_password("admin", &Secret::new("right"))
        .await;
    assert!(
        matches!(old, Err(Error::Unauthenticated { .. })),
        "the old one is remembered"
    );
    identity
        .caller_by_password("admin", &Secret::new("new"))
        .await
        .expect("the new one");
}

#[tokio::test]
async fn wrong_passwords_and_unknown_names_are_refused_alike() {
    let world = World::new().await;
    let identity = world.identity(false).await;
    administrator(&identity).await;
    for (name, password) in [("admin", "wrong"), ("admin", ""), ("nobody", "right")] {
        let refused = identity
            .caller_by_password(name, &Secret::new(password))
            .await;
        assert!(
            matches!(refused, Err(Error::Unauthenticated { .. })),
            "{name} got in"
        );
    }
}

#[tokio::test]
async fn the_administrator_may_everything_and_anonymous_only_what_the_setting_says() {
    let world = World::new().await;
    let name = "acme/web".parse().expect("name");
    let repository = Resource::Repository(&name);
    for anonymous_pull in [false, true] {
        let identity = world.identity(anonymous_pull).await;
        let admin = administrator(&identity).await;
        for action in [Action::Pull, Action::Push, Action::Delete] {
            assert_eq!(identity.authorize(&admin, action, repository), Ok(()));
        }
        assert_eq!(
            identity.authorize(&admin, Action::Administer, Resource::Registry),
            Ok(())
        );
        for resource in [repository, Resource::Registry] {
            let pulled = identity.authorize(&Caller::ANONYMOUS, Action::Pull, resource);
            assert_eq!(pulled.is_ok(), anonymous_pull);
        }
        for (action, resource) in [
            (Action::Push, repository),
            (Action::Delete, repository),
            (Action::Administer, Resource::Registry),
        ] {
            let refused = identity.authorize(&Caller::ANONYMOUS, action, resource);
            assert_eq!(refused, Err(Refusal::Unauthenticated));
        }
    }
}

#[tokio::test]
async fn a_token_reaches_as_far_as_its_scopes_and_no_further_than_its_caller() {
    let world = World::new().await;
    let identity = world.identity(true).await;
    let admin = administrator(&identity).await;
    let asked = scopes(&[
        "repository:acme/web:pull,push",
        "registry:catalog:*",
        "nonsense:x:y",
    ]);
    let name = "acme/web".parse().expect("name");
    let other = "acme/other".parse().expect("name");

    let token = identity.token_issue(&admin, asked.clone()).expect("token");
    let caller = identity
        .caller_by_token(token.token.reveal())
        .await
        .expect("verifies");
    assert_eq!(caller.principal, admin.principal);
    assert_eq!(
        identity.authorize(&caller, Action::Push, Resource::Repository(&name)),
        Ok(())
    );
    for (action, resource) in [
        (Action::Delete, Resource::Repository(&name)),
        (Action::Pull, Resource::Repository(&other)),
    ] {
        assert_eq!(
            identity.authorize(&caller, action, resource),
            Err(Refusal::OutOfScope)
        );
    }

    let token = identity
        .token_issue(&Caller::ANONYMOUS, asked)
        .expect("token");
    let caller = identity
        .caller_by_token(token.token.reveal())
        .await
        .expect("verifies");
    assert_eq!(
        identity.authorize(&caller, Action::Pull, Resource::Repository(&name)),
        Ok(())
    );
    let push = identity.authorize(&caller, Action::Push, Resource::Repository(&name));
    assert_eq!(push, Err(Refusal::OutOfScope));
}

#[tokio::test]
async fn a_token_ends_and_survives_a_restart_until_then() {
    let world = World::new().await;
    let identity = world.identity(false).await;
    let admin = administrator(&identity).await;
    let token = identity
        .token_issue(&admin, Vec::new())
        .expect("token")
        .token;
    world
        .identity(false)
        .await
        .caller_by_token(token.reveal())
        .await
        .expect("after a restart");
    world.clock.advance(Duration::from_secs(299));
    identity
        .caller_by_token(token.reveal())
        .await
        .expect("in its last second");
    world.clock.advance(Duration::from_secs(1));
    let ended = identity.caller_by_token(token.reveal()).await;
    assert!(matches!(
        ended,
        Err(Error::Unauthenticated {
            reason: "the token has ended"
        })
    ));
}

#[tokio::test]
async fn tokens_of_another_store_and_forged_ones_are_refused() {
    let world = World::new().await;
    let identity = world.identity(false).await;
    let admin = administrator(&identity).await;
    let token = identity
        .token_issue(&admin, Vec::new())
        .expect("token")
        .token;
    let elsewhere = world.identity_of(StoreId::new_at(2), false).await;
    assert!(
        elsewhere.caller_by_token(token.reveal()).await.is_err(),
        "another store's"
    );
    let parts: Vec<_> = token.reveal().split('.').collect();
    let forged = [
        // {"typ":"JWT","alg":"none"}
        format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.{}.", parts[1]),
        // {"typ":"JWT","alg":"HS256"}
        format!(
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.{}.{}",
            parts[1], parts[2]
        ),
        format!("{}.{}.{}", parts[0], parts[1], &parts[2][1..]),
        token.reveal()[..token.reveal().len() - 10].to_owned(),
        "x".repeat(20_000),
        String::new(),
    ];
    for token in forged {
        let refused = identity.caller_by_token(&token).await;
        assert!(
            matches!(refused, Err(Error::Unauthenticated { .. })),
            "{token} was taken"
        );
    }
}

#[tokio::test]
async fn what_is_repeated_in_a_scope_or_unknown_is_not_in_the_token() {
    let world = World::new().await;
    let identity = world.identity(true).await;
    let asked = scopes(&[
        &format!("repository:acme/web:{}", "pull,".repeat(200)),
        "registry:catalog:*,anything",
    ]);
    let token = identity
        .token_issue(&Caller::ANONYMOUS, asked)
        .expect("token");
    let caller = identity
        .caller_by_token(token.token.reveal())
        .await
        .expect("verifies");
    let expected = scopes(&["repository:acme/web:pull", "registry:catalog:*"]);
    assert_eq!(caller.scope, ScopeLimit::Only(expected));
}

#[tokio::test]
async fn a_password_that_could_never_log_in_is_refused_at_once() {
    let world = World::new().await;
    let identity = world.identity(false).await;
    let long = Secret::new("x".repeat(1025));
    assert!(matches!(
        identity.first_start(Some(long)).await,
        Err(Error::Password(_))
    ));
    let none = identity.first_start(Some(Secret::new(""))).await;
    assert!(matches!(none, Err(Error::Password(_))));
}

#[tokio::test]
async fn a_token_is_good_on_a_server_whose_clock_is_a_little_behind() {
    let world = World::new().await;
    let identity = world.identity(false).await;
    let caller = administrator(&identity).await;
    let token = |identity: &Identity| {
        let issued = identity.token_issue(&caller, scopes(&["repository:acme/web:pull"]));
        issued.expect("a token").token
    };
    for (ahead, good) in [(0, true), (5, true), (60, true), (61, false), (3600, false)] {
        // The same database and key, another clock.
        let clock = Arc::new(ManualClock::new(
            world.clock.now() + Duration::from_secs(ahead),
        ));
        let other = World {
            directory: tempfile::tempdir().expect("scratch directory"),
            clock,
            database: world.database.clone(),
            store: world.store,
        };
        let proven = identity
            .caller_by_token(token(&other.identity(false).await).reveal())
            .await;
        assert_eq!(proven.is_ok(), good, "{ahead} seconds ahead");
    }
}
