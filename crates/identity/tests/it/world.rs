//! An identity service to test: a database, a clock that stands still, and a
//! registry without repositories.

use std::{cell::Cell, net::IpAddr, ops::Deref, sync::Arc, time::Duration};

use async_trait::async_trait;
use landfall_clock::{ManualClock, Timestamp};
use landfall_database::{Database, Kind, PostgresOptions};
use landfall_identity::{
    AuditEntry, AuditFilter, Caller, Error, Identity, LocalName, MIGRATIONS, PrincipalKind,
    Repositories, Secret, Settings,
};
use landfall_ids::{RepositoryId, StoreId};
use landfall_oci::RepositoryName;
use landfall_seal::MasterKey;
use tempfile::TempDir;

/// The administrator's password.
pub(crate) const RIGHT: &str = "right";
/// A password that may be chosen.
pub(crate) const GOOD: &str = "correct horse";

/// What the worlds start from.
pub(crate) const SETTINGS: Settings = Settings {
    anonymous_pull: false,
    token_lifetime: Duration::from_mins(5),
    audit_retention: None,
};

/// A master key that differs for each number.
pub(crate) fn master(number: u8) -> MasterKey {
    MasterKey::parse(&format!("{number:02x}").repeat(32), "a test").expect("a key")
}

thread_local! {
    /// The kind of database that worlds of this thread stand on.
    static KIND: Cell<Kind> = const { Cell::new(Kind::Sqlite) };
}

/// From now on, worlds of this thread stand on this kind of database.
pub(crate) fn on(kind: Kind) {
    KIND.set(kind);
}

/// The kind of database that worlds of this thread stand on.
pub(crate) fn kind() -> Kind {
    KIND.get()
}

/// A registry without repositories.
pub(crate) struct Shop;

#[async_trait]
impl Repositories for Shop {
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

/// An identity service with all that it stands on.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) database: Database,
    pub(crate) store: StoreId,
    identity: Arc<Identity>,
}

impl Deref for World {
    type Target = Identity;
    fn deref(&self) -> &Identity {
        &self.identity
    }
}

impl World {
    /// A new one, with an administrator whose password is [`RIGHT`].
    pub(crate) async fn new() -> Self {
        Self::with(SETTINGS).await
    }

    /// As [`World::new`], with other settings.
    pub(crate) async fn with(settings: Settings) -> Self {
        let world = Self::empty(settings).await;
        let first = world.first_start(Some(Secret::new(RIGHT))).await;
        first.expect("a first start");
        world
    }

    /// A new one before its first start.
    pub(crate) async fn empty(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let database = match KIND.get() {
            Kind::Sqlite => Database::open_sqlite(&folder.path().join("it.sqlite")),
            Kind::Postgres => {
                let url = landfall_services::postgres::fresh().to_string();
                Database::open_postgres(&PostgresOptions::new(url)).await
            }
        };
        let database = database.expect("a database");
        let migrated = database
            .migrate(&[landfall_database::epoch::MIGRATIONS, MIGRATIONS])
            .await;
        migrated.expect("the schema");
        let start = Timestamp::from_unix_micros(1_800_000_000_000_000);
        let clock = Arc::new(ManualClock::new(start));
        let store = StoreId::new_at(1);
        let identity = open(&database, &clock, folder.path(), store, settings).await;
        Self {
            identity: Arc::new(identity.expect("an identity service")),
            folder,
            clock,
            database,
            store,
        }
    }

    /// Another server on the same database, with the same clock.
    pub(crate) async fn server(&self, settings: Settings) -> Identity {
        let folder = self.folder.path();
        let opened = open(&self.database, &self.clock, folder, self.store, settings);
        opened.await.expect("another server")
    }

    /// The service, to be shared with tasks.
    pub(crate) fn shared(&self) -> Arc<Identity> {
        Arc::clone(&self.identity)
    }

    /// Logs in by name and password, from nowhere.
    pub(crate) async fn log_in(&self, name: &str, password: &str) -> Result<Caller, Error> {
        self.log_in_from(None, name, password).await
    }

    /// Logs in from an address.
    pub(crate) async fn log_in_from(
        &self,
        source: Option<IpAddr>,
        name: &str,
        password: &str,
    ) -> Result<Caller, Error> {
        self.caller_by_password(name, &Secret::new(password), source)
            .await
    }

    /// The administrator.
    pub(crate) async fn admin(&self) -> Caller {
        let admin = self.log_in("admin", RIGHT).await;
        admin.expect("the password is right")
    }

    /// Makes the account, if it is not there, and a principal in it. Users have
    /// the password [`GOOD`].
    pub(crate) async fn make(&self, name: &str, kind: PrincipalKind) -> LocalName {
        let (admin, name) = (self.admin().await, local(name));
        match self.account_create(name.account(), &admin).await {
            Ok(_) | Err(Error::Exists { .. }) => {}
            Err(error) => panic!("no account: {error}"),
        }
        let password = (kind == PrincipalKind::User).then(|| Secret::new(GOOD));
        let made = self.principal_create(&name, kind, password, &admin).await;
        made.expect("a principal");
        name
    }

    /// The lines of the audit log that are wanted, the oldest first.
    pub(crate) async fn lines(&self, filter: &AuditFilter) -> Vec<AuditEntry> {
        let page = self.audit_export(filter, None, 10_000).await;
        page.expect("the audit log").entries
    }
}

async fn open(
    database: &Database,
    clock: &Arc<ManualClock>,
    folder: &std::path::Path,
    store: StoreId,
    settings: Settings,
) -> Result<Identity, Error> {
    Identity::open(
        database.clone(),
        Arc::clone(clock) as Arc<dyn landfall_clock::Clock>,
        Arc::new(master(1)),
        &folder.join("keys"),
        store,
        settings,
        Arc::new(Shop),
    )
    .await
}

/// The name of a principal or group.
pub(crate) fn local(name: &str) -> LocalName {
    name.parse().expect("a name")
}

/// An address.
#[expect(clippy::unnecessary_wraps, reason = "a source may be unknown")]
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().expect("an address"))
}
