//! Keys that all servers on one database share, and first starts at once.

use std::{
    fs,
    sync::{Arc, LazyLock},
};

use landfall_clock::{ManualClock, Timestamp};
use landfall_database::{Database, PostgresOptions};
use landfall_identity::{
    Error, FirstStart, Identity, MIGRATIONS, Secret, master_key_claim, master_key_forget,
    master_key_known,
};
use landfall_ids::StoreId;
use tempfile::TempDir;

use crate::world::{SETTINGS, Shop, master};

/// The store of every server here: its tokens name it.
static STORE: LazyLock<StoreId> = LazyLock::new(|| StoreId::new_at(1));

/// One server's view of a database.
struct Server {
    folder: TempDir,
    database: Database,
    clock: Arc<ManualClock>,
}

impl Server {
    async fn new(database: Database) -> Self {
        database
            .migrate(&[landfall_database::epoch::MIGRATIONS, MIGRATIONS])
            .await
            .expect("migrated");
        let start = Timestamp::from_unix_micros(1_800_000_000_000_000);
        Self {
            folder: tempfile::tempdir().expect("scratch directory"),
            database,
            clock: Arc::new(ManualClock::new(start)),
        }
    }

    async fn open(&self, key: u8) -> Result<Identity, Error> {
        Identity::open(
            self.database.clone(),
            self.clock.clone(),
            Arc::new(master(key)),
            self.folder.path(),
            *STORE,
            SETTINGS,
            Arc::new(Shop),
        )
        .await
    }
}

async fn sqlite() -> (TempDir, Server) {
    let folder = tempfile::tempdir().expect("scratch directory");
    let database = Database::open_sqlite(&folder.path().join("it.sqlite")).expect("open");
    (folder, Server::new(database).await)
}

/// Two servers on one PostgreSQL database.
async fn two() -> [Server; 2] {
    let url = landfall_services::postgres::fresh().to_string();
    let options = PostgresOptions::new(url);
    let open = async || {
        let database = Database::open_postgres(&options).await.expect("open");
        Server::new(database).await
    };
    let (first, second) = tokio::join!(open(), open());
    [first, second]
}

/// A token of one is one of the other.
async fn assert_shared(one: &Identity, other: &Identity) {
    let password = Secret::new("right");
    let caller = one.caller_by_password("admin", &password, None).await;
    let caller = caller.expect("the password is right");
    let scope = "repository:acme/web:pull".parse().expect("scope");
    let issued = one
        .token_issue(&caller, vec![scope])
        .await
        .expect("a token");
    let known = other.caller_by_token(issued.token.reveal(), None).await;
    assert_eq!(known.expect("a good token").name(), "admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_at_once_share_one_key_and_make_one_administrator() {
    for _ in 0..8 {
        let [first, second] = two().await;
        let key = master(1);
        let (a, b) = tokio::join!(
            master_key_claim(&first.database, &key, &*first.clock),
            master_key_claim(&second.database, &key, &*second.clock)
        );
        a.and(b).expect("the same key");
        let (one, other) = tokio::join!(first.open(1), second.open(1));
        let (one, other) = (one.expect("open"), other.expect("open"));
        let (a, b) = tokio::join!(one.first_start(None), other.first_start(None));
        let made = [a.expect("start"), b.expect("start")];
        let told = made
            .iter()
            .filter(|start| matches!(start, FirstStart::MadeWithPassword(_)))
            .count();
        assert_eq!(told, 1, "{made:?}");
        for start in &made {
            if let FirstStart::MadeWithPassword(password) = start {
                let known = other.caller_by_password("admin", password, None).await;
                known.expect("the password that was told");
            }
        }
        one.first_start(Some(Secret::new("right")))
            .await
            .expect("start");
        assert_shared(&one, &other).await;
        assert_shared(&other, &one).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_at_once_with_a_password_have_that_one() {
    let [first, second] = two().await;
    let (one, other) = tokio::join!(first.open(1), second.open(1));
    let (one, other) = (one.expect("open"), other.expect("open"));
    let (a, b) = tokio::join!(
        one.first_start(Some(Secret::new("right"))),
        other.first_start(Some(Secret::new("right")))
    );
    a.and(b).expect("both start");
    assert_shared(&one, &other).await;
}

#[tokio::test]
async fn another_master_key_is_refused_and_changes_nothing() {
    let (_folder, server) = sqlite().await;
    assert_eq!(
        master_key_known(&server.database).await.expect("read"),
        None
    );
    let claim = async |number: u8| {
        let key = master(number);
        master_key_claim(&server.database, &key, &*server.clock).await
    };
    claim(1).await.expect("the first");
    claim(1).await.expect("the same");
    let refused = claim(2).await.expect_err("another");
    let sentence = refused.to_string();
    assert!(
        sentence.contains(&master(1).fingerprint().to_string())
            && sentence.contains(&master(2).fingerprint().to_string()),
        "{sentence}"
    );
    let known = master_key_known(&server.database).await.expect("read");
    assert_eq!(known, Some(master(1).fingerprint().to_string()));
    server.open(1).await.expect("open");
    assert!(matches!(server.open(2).await, Err(Error::Sealed(_))));
    master_key_forget(&server.database)
        .await
        .expect("forgotten");
    claim(2).await.expect("a new one");
    server.open(2).await.expect("open");
}

#[tokio::test]
async fn the_key_of_an_earlier_version_is_taken_over_and_its_file_goes() {
    // Two that were never opened before, with the same file.
    let pkcs8 = {
        use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key")
    };
    let ((_one, first), (_two, second)) = (sqlite().await, sqlite().await);
    let mut identities = Vec::new();
    for server in [&first, &second] {
        let file = server.folder.path().join("token-signing.pk8");
        fs::write(&file, pkcs8.as_ref()).expect("a file");
        identities.push(server.open(1).await.expect("open"));
        assert!(!file.exists(), "the file is left");
        let again = server.open(1).await.expect("open");
        again
            .first_start(Some(Secret::new("right")))
            .await
            .expect("start");
        assert_shared(&again, &again).await;
    }
    // Each has given it an identity of its own.
    let mut public = Vec::new();
    for identity in &identities {
        let keys = identity.jwks().await.expect("the keys");
        public.push(keys["keys"][0]["x"].clone());
    }
    assert!(public[0].is_string(), "{public:?}");
    assert_eq!(public[0], public[1], "both sign with the key of the file");
}
