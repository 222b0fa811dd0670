//! Policies: a world of two accounts, and what may be done in it.

mod accounts;
mod documents;
mod keeping;
mod model;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use landfall_clock::{ManualClock, Timestamp};
use landfall_database::{Database, Kind, PostgresOptions, epoch};
use landfall_identity::{
    Action, Ask, Caller, Decision, Identity, LocalName, MIGRATIONS, PolicyTarget, PrincipalKind,
    Repositories, Resource, Settings,
};
use landfall_ids::{RepositoryId, StoreId};
use landfall_oci::RepositoryName;
use landfall_seal::MasterKey;

/// Repositories in memory.
#[derive(Default)]
struct Map {
    known: Mutex<BTreeMap<String, RepositoryId>>,
    asked: AtomicU64,
}

impl Map {
    fn find(&self, name: &RepositoryName) -> Option<RepositoryId> {
        self.known.lock().expect("map").get(name.as_str()).copied()
    }

    /// How many times somebody asked for one.
    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    fn make(&self, name: &str) -> RepositoryId {
        let id = RepositoryId::new_at(1_800_000_000_000_000);
        self.known.lock().expect("map").insert(name.to_owned(), id);
        id
    }

    fn delete(&self, name: &str) {
        self.known.lock().expect("map").remove(name);
    }
}

#[async_trait::async_trait]
impl Repositories for Map {
    async fn repository_find(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<RepositoryId>, landfall_database::Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.find(name))
    }

    async fn repositories_find(
        &self,
        names: &[RepositoryName],
    ) -> Result<Vec<Option<RepositoryId>>, landfall_database::Error> {
        Ok(names.iter().map(|name| self.find(name)).collect())
    }

    async fn repository_name(
        &self,
        id: RepositoryId,
    ) -> Result<Option<RepositoryName>, landfall_database::Error> {
        let map = self.known.lock().expect("map");
        let found = map.iter().find(|(_, each)| **each == id);
        Ok(found.map(|(name, _)| name.parse().expect("name")))
    }
}

/// Two accounts with principals, a group and repositories each, and two
/// servers on one database.
struct Town {
    _directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    database: Database,
    repositories: Arc<Map>,
    identity: Identity,
    other: Identity,
}

/// The principals of the town.
const PEOPLE: [(&str, PrincipalKind); 4] = [
    ("acme/alice", PrincipalKind::User),
    ("acme/ci", PrincipalKind::Robot),
    ("beta/bob", PrincipalKind::User),
    ("beta/host", PrincipalKind::Host),
];
const GROUPS: [&str; 2] = ["acme/makers", "beta/readers"];
const REPOSITORIES: [&str; 4] = ["acme/a", "acme/b", "beta/a", "beta/b"];
static MIGRATED: [landfall_database::MigrationSet; 2] = [epoch::MIGRATIONS, MIGRATIONS];

fn local(name: &str) -> LocalName {
    name.parse().expect("a name")
}

fn repository(name: &str) -> RepositoryName {
    name.parse().expect("a name")
}

impl Town {
    async fn new() -> Self {
        Self::with(false).await
    }

    async fn with(anonymous_pull: bool) -> Self {
        let directory = tempfile::tempdir().expect("scratch directory");
        let database = match crate::world::kind() {
            Kind::Sqlite => Database::open_sqlite(&directory.path().join("it.sqlite")),
            Kind::Postgres => {
                let url = landfall_services::postgres::fresh().to_string();
                Database::open_postgres(&PostgresOptions::new(url)).await
            }
        };
        let database = database.expect("open");
        database.migrate(&MIGRATED).await.expect("migrate");
        let start = Timestamp::from_unix_micros(1_800_000_000_000_000);
        let clock = Arc::new(ManualClock::new(start));
        let repositories = Arc::new(Map::default());
        let settings = Settings {
            anonymous_pull,
            token_lifetime: Duration::from_mins(5),
            audit_retention: None,
        };
        let open = || {
            let master = MasterKey::parse(&"01".repeat(32), "a test").expect("a key");
            Identity::open(
                database.clone(),
                clock.clone(),
                Arc::new(master),
                directory.path(),
                StoreId::new_at(1),
                settings,
                repositories.clone(),
            )
        };
        let identity = open().await.expect("identity");
        let other = open().await.expect("identity");
        let town = Self {
            clock,
            database,
            repositories,
            identity,
            other,
            _directory: directory,
        };
        let by = Caller::ANONYMOUS;
        for account in ["admin", "acme", "beta"] {
            let made = town.identity.account_create(account, &by).await;
            made.expect("account");
        }
        for (name, kind) in PEOPLE {
            let name = local(name);
            let made = town.identity.principal_create(&name, kind, None, &by);
            made.await.expect("principal");
        }
        for group in GROUPS {
            let made = town.identity.group_create(&local(group), &by).await;
            made.expect("group");
        }
        for name in REPOSITORIES {
            town.repositories.make(name);
        }
        town
    }

    async fn caller(&self, name: &str) -> Caller {
        let found = self.identity.principal_show(&local(name)).await;
        Caller {
            principal: Some(found.expect("principal").principal.into()),
            ..Caller::ANONYMOUS
        }
    }

    async fn asked(&self, name: &str, action: Action, on: &str, tag: Option<&str>) -> Decision {
        let caller = self.caller(name).await;
        self.decided(&caller, action, on, tag).await
    }

    async fn decided(
        &self,
        caller: &Caller,
        action: Action,
        on: &str,
        tag: Option<&str>,
    ) -> Decision {
        let name;
        let resource = if on.contains('/') {
            name = repository(on);
            Resource::Repository(&name)
        } else if on.is_empty() {
            Resource::Registry
        } else {
            Resource::Account(on)
        };
        let ask = Ask {
            caller,
            action,
            resource,
            tag,
        };
        self.identity.authorize(&ask).await.expect("a decision")
    }

    async fn may(&self, name: &str, action: Action, on: &str) -> bool {
        self.asked(name, action, on, None).await.is_allowed()
    }

    async fn attach(&self, name: &str, target: PolicyTarget, text: &str) {
        let by = Caller::ANONYMOUS;
        let name = local(name);
        let made = self.identity.policy_create(&name, &target, text, &by);
        made.await.expect("a policy");
    }

    /// Deletes the repository, as the registry does.
    async fn delete_repository(&self, name: &str) {
        self.repositories.delete(name);
        let bumped = self
            .database
            .write(|tx| epoch::bump(tx, epoch::ACCESS))
            .await;
        bumped.expect("bump");
        self.identity.refresh().await.expect("refresh");
    }
}
