//! Tokens: what they prove, and how they end.

/// Makes of each function a test on SQLite and one on PostgreSQL.
macro_rules! on_each {
    ($($test:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(landfall_database::Kind::Sqlite).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(landfall_database::Kind::Postgres).await;
            })+
        }
    };
}

mod authorization;
mod fresh;
mod hostile;
mod rotation;
mod written;

use std::{fs, sync::Arc, time::Duration};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use landfall_clock::{Clock, ManualClock, Timestamp};
use landfall_database::{Database, Kind, PostgresOptions, epoch};
use landfall_identity::{
    Caller, CredentialKind, Error, Identity, LocalName, MIGRATIONS, PrincipalKind, Repositories,
    Scope, Secret, Settings,
};
use landfall_ids::{RepositoryId, StoreId, TokenId};
use landfall_oci::RepositoryName;
use landfall_seal::MasterKey;
use serde_json::{Value, json};

/// The password of each user.
const USERS_PASSWORD: &str = "the user's password";

/// No repository is there.
struct NoRepositories;

#[async_trait::async_trait]
impl Repositories for NoRepositories {
    async fn repository_find(
        &self,
        _: &RepositoryName,
    ) -> Result<Option<RepositoryId>, landfall_database::Error> {
        Ok(None)
    }

    async fn repositories_find(
        &self,
        names: &[RepositoryName],
    ) -> Result<Vec<Option<RepositoryId>>, landfall_database::Error> {
        Ok(vec![None; names.len()])
    }

    async fn repository_name(
        &self,
        _: RepositoryId,
    ) -> Result<Option<RepositoryName>, landfall_database::Error> {
        Ok(None)
    }
}

fn master() -> MasterKey {
    MasterKey::parse(&"01".repeat(32), "a test").expect("a key")
}

/// The schemas that identities need.
static SCHEMAS: &[landfall_database::MigrationSet] = &[epoch::MIGRATIONS, MIGRATIONS];

/// A database, a clock, and a key that the test knows: it was put where an
/// earlier version has kept it.
struct Place {
    folder: tempfile::TempDir,
    database: Database,
    clock: Arc<ManualClock>,
    pkcs8: Vec<u8>,
    store: StoreId,
}

impl Place {
    async fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let database = match kind {
            Kind::Sqlite => Database::open_sqlite(&folder.path().join("it.sqlite")).expect("open"),
            Kind::Postgres => {
                let url = landfall_services::postgres::fresh().to_string();
                let opened = Database::open_postgres(&PostgresOptions::new(url)).await;
                opened.expect("open")
            }
        };
        database.migrate(SCHEMAS).await.expect("migrated");
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pkcs8 = pkcs8.as_ref().to_vec();
        fs::write(folder.path().join("token-signing.pk8"), &pkcs8).expect("a file");
        let start = Timestamp::from_unix_micros(1_800_000_000_000_000);
        Self {
            folder,
            database,
            clock: Arc::new(ManualClock::new(start)),
            pkcs8,
            store: StoreId::new_at(1),
        }
    }

    /// A server on the database.
    async fn server(&self) -> Identity {
        self.server_at(self.clock.clone()).await
    }

    /// A server with a clock of its own.
    async fn server_at(&self, clock: Arc<ManualClock>) -> Identity {
        let opened = Identity::open(
            self.database.clone(),
            clock,
            Arc::new(master()),
            self.folder.path(),
            self.store,
            Settings {
                anonymous_pull: true,
                token_lifetime: Duration::from_mins(5),
                audit_retention: None,
            },
            Arc::new(NoRepositories),
        );
        opened.await.expect("an identity service")
    }

    fn public(&self) -> Vec<u8> {
        let pair = Ed25519KeyPair::from_pkcs8(&self.pkcs8).expect("a key");
        pair.public_key().as_ref().to_vec()
    }
}

/// The administrator, by password.
async fn admin(identity: &Identity) -> Caller {
    let password = Secret::new("a long password");
    identity
        .first_start(Some(password.clone()))
        .await
        .expect("first start");
    identity
        .caller_by_password("admin", &password, None)
        .await
        .expect("the password is right")
}

/// A user of the account `acme`, and its caller by password.
async fn user(identity: &Identity, name: &str) -> (LocalName, Caller) {
    let by = admin(identity).await;
    if identity.account_show("acme").await.is_err() {
        identity.account_create("acme", &by).await.expect("made");
    }
    let name: LocalName = format!("acme/{name}").parse().expect("a name");
    let password = Some(Secret::new(USERS_PASSWORD));
    identity
        .principal_create(&name, PrincipalKind::User, password, &by)
        .await
        .expect("made");
    let caller = known(identity, &name).await;
    (name, caller)
}

/// The caller of a user by password.
async fn known(identity: &Identity, name: &LocalName) -> Caller {
    let password = Secret::new(USERS_PASSWORD);
    let name = name.to_string();
    let proven = identity.caller_by_password(&name, &password, None);
    proven.await.expect("the password is right")
}

fn scopes(texts: &[&str]) -> Vec<Scope> {
    texts
        .iter()
        .map(|text| text.parse().expect("a scope"))
        .collect()
}

async fn bearer(identity: &Identity, caller: &Caller) -> String {
    let issued = identity.token_issue(caller, scopes(&["repository:acme/web:pull"]));
    issued.await.expect("a token").token.reveal().to_owned()
}

async fn authorization(identity: &Identity, caller: &Caller) -> (TokenId, String) {
    let issued = identity.authorization_token_issue(caller, None).await;
    let issued = issued.expect("a token");
    (issued.id, issued.token.reveal().to_owned())
}

/// The reason why the token is refused; `good` if it is not.
async fn reason(identity: &Identity, token: &str) -> &'static str {
    match identity.caller_by_token(token, None).await {
        Ok(_) => "good",
        Err(Error::Unauthenticated { reason }) => reason,
        Err(error) => panic!("{error}"),
    }
}

/// The claims and the header of a token, unverified.
fn parts(token: &str) -> (Value, Value) {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = |index| {
        let encoded = token.split('.').nth(index).expect("a part");
        let bytes = URL_SAFE_NO_PAD.decode(encoded).expect("base64");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    (part(0), part(1))
}

/// A token with this content, signed by the key that the place knows.
fn signed(place: &Place, header: &Value, claims: &Value) -> String {
    signed_text(place, header, &claims.to_string())
}

fn signed_text(place: &Place, header: &Value, claims: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let pair = Ed25519KeyPair::from_pkcs8(&place.pkcs8).expect("a key");
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = pair.sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}
