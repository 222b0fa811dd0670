//! A database with the service on it, started and crashed at will.

use std::{
    ops::Deref,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use landfall_clock::{Clock, ManualClock, SystemClock};
use landfall_database::{
    Database, Kind, PostgresOptions, lease,
    outbox::{self, NewEvent},
};
use landfall_ids::AccountId;
use landfall_notify::{
    MIGRATIONS, Notify, Settings,
    egress::{AllowList, Egress, EgressSettings},
};
use landfall_seal::MasterKey;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// How long a state may take to come.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs the tests named on both databases.
macro_rules! on_both {
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
pub(crate) use on_both;

/// What servers share: the database, the master key, an account.
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) account: AccountId,
    /// What a server is started with; `holder` is made up for each.
    pub(crate) settings: Settings,
    /// How long a request may take.
    pub(crate) timeout: Duration,
    pub(crate) allow: AllowList,
    key: Arc<MasterKey>,
    folder: TempDir,
}

fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir())
    } else {
        tempfile::tempdir()
    };
    made.expect("a scratch folder")
}

impl World {
    pub(crate) async fn on(kind: Kind) -> Self {
        let folder = scratch();
        let database = match kind {
            Kind::Sqlite => Database::open_sqlite(&folder.path().join("it.sqlite")),
            Kind::Postgres => {
                let url = landfall_services::postgres::fresh();
                Database::open_postgres(&PostgresOptions::new(&*url)).await
            }
        };
        let database = database.expect("a database");
        database
            .migrate(&[lease::MIGRATIONS, outbox::MIGRATIONS, MIGRATIONS])
            .await
            .expect("the schema");
        let key = MasterKey::load_or_create(&folder.path().join("master")).expect("a key");
        let now = SystemClock.now();
        Self {
            database,
            clock: Arc::new(ManualClock::new(now)),
            account: AccountId::new_at(now.unix_micros()),
            settings: Settings {
                retention: Duration::from_hours(24),
                retry_for: Duration::from_hours(24),
                source: "urn:test".to_owned(),
                holder: String::new(),
                lease: Duration::from_secs(2),
                claim: Duration::from_secs(30),
            },
            timeout: Duration::from_secs(5),
            allow: "127.0.0.1".parse().expect("a list"),
            key: Arc::new(key),
            folder,
        }
    }

    /// Servers that start from now on have another master key.
    pub(crate) fn lose_key(&mut self) {
        let other = self.folder.path().join("other");
        self.key = Arc::new(MasterKey::load_or_create(&other).expect("a key"));
    }

    /// The service, which does nothing yet.
    pub(crate) fn service(&self) -> Arc<Notify> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let egress = Egress::new(EgressSettings {
            allow: self.allow.clone(),
            authorities: None,
            timeout: self.timeout,
        });
        let settings = Settings {
            holder: format!("server {}", NEXT.fetch_add(1, Ordering::Relaxed)),
            ..self.settings.clone()
        };
        Notify::new(
            self.database.clone(),
            self.clock.clone(),
            Arc::clone(&self.key),
            egress.expect("a client"),
            settings,
        )
    }

    /// A server that runs.
    pub(crate) fn start(&self) -> Running {
        let notify = self.service();
        let running = Arc::clone(&notify);
        let task = tokio::spawn(async move { running.run().await });
        Running { notify, task }
    }

    /// Writes an event of a subject.
    pub(crate) async fn append(&self, kind: &'static str, subject: &str, data: &str) {
        let (account, now) = (self.account, self.clock.now());
        let (subject, data) = (subject.to_owned(), data.to_owned());
        let appended = self.database.write(move |tx| {
            outbox::append(
                tx,
                &NewEvent {
                    kind,
                    account,
                    subject: subject.clone(),
                    actor: Some("admin".to_owned()),
                    data: &data,
                    now,
                },
            )
        });
        appended.await.expect("an event");
    }

    /// Writes an event, and waits until it has its position.
    pub(crate) async fn tell(&self, kind: &'static str, subject: &str, data: &str) {
        self.append(kind, subject, data).await;
        until("the event is numbered", || async {
            let pending = self.database.read(outbox::is_pending).await;
            !pending.expect("a look")
        })
        .await;
    }
}

/// A server that runs, until it is stopped or crashes.
pub(crate) struct Running {
    pub(crate) notify: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Deref for Running {
    type Target = Notify;
    fn deref(&self) -> &Notify {
        &self.notify
    }
}

impl Running {
    /// Ends it where it is, without a chance to clean up.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Stops it as a drain does.
    pub(crate) async fn stop(self) {
        self.notify.stop();
        self.task.await.expect("it ends well");
    }
}

/// Waits until a condition holds, and fails if it does not in time.
pub(crate) async fn until<F, W>(what: &str, mut holds: W)
where
    F: Future<Output = bool>,
    W: FnMut() -> F,
{
    let end = tokio::time::Instant::now() + LIMIT;
    while !holds().await {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
