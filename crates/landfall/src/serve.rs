//! `landfall serve`: puts the services together and runs them.

use std::{
    env::VarError,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use landfall_blobs::{BlobStore, DiskStore};
use landfall_clock::{Clock, SystemClock};
use landfall_database::{Database, MigrationSet};
use landfall_identity::{FirstStart, Identity, Secret};
use landfall_registry::Registry;
use landfall_server::{
    Server,
    listen::{Limits, Listener, raise_open_files},
    observe::{Metrics, Observe},
    tls::Tls,
};
use rustix::fs::FlockOperation;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::{BlobsUrl, Config, DatabaseUrl, Loaded},
    logging, output,
};

/// The schemas of the domains, floor by floor.
const SCHEMAS: &[MigrationSet] = &[landfall_identity::MIGRATIONS, landfall_registry::MIGRATIONS];
/// The environment variable with the administrator's password.
const ADMIN_PASSWORD: &str = "LANDFALL_ADMIN_PASSWORD";

/// Serves until it is told to stop.
pub(crate) async fn run(loaded: Loaded) -> Result<()> {
    let config = loaded.config;
    logging::start(&config);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    match raise_open_files() {
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it was"),
    }
    create_private(&config.data)
        .with_context(|| format!("`{}` can't be made", config.data.display()))?;
    let _lock = DataLock::take(&config.data)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);

    let database = open_database(&config).await?;
    let blobs = open_blobs(&config)?;
    let settings = registry_settings(&config);
    let registry =
        Arc::new(Registry::open(database.clone(), blobs, Arc::clone(&clock), settings).await?);
    let identity = open_identity(&config, &database, &clock, &registry)?;
    let metrics = Metrics::install().context("metrics can't be counted")?;

    // A reload of the certificate, where there is one. Else it means nothing,
    // and must not end the process.
    let hangups = signal(SignalKind::hangup())?;
    let tls = match (&config.server.tls_certificate, &config.server.tls_key) {
        (Some(certificate), Some(key)) => {
            let tls = Tls::load(certificate, key)?;
            tls.reload_on(hangups);
            Some(tls)
        }
        _ => None,
    };
    let listener = Listener::bind(&config.server.listen, tls, limits(&config)).await?;
    let external_url = config
        .server
        .external_url
        .as_ref()
        .map(|url| url.as_str().trim_end_matches('/').to_owned());
    let scheme = if listener.is_secure() {
        "https"
    } else {
        "http"
    };
    let url = external_url
        .clone()
        .unwrap_or_else(|| format!("{scheme}://{}", listener.local_addr()));

    let stop = stop_signal()?;
    let scratch = scratch(&config)?;
    // Last of what can fail: a password that is made up is told once.
    let first = identity.first_start(given_password()?).await?;
    let server = Arc::new(Server::new(
        Arc::clone(&registry),
        identity,
        database,
        clock,
        metrics.clone(),
        landfall_server::Settings {
            external_url,
            scratch,
        },
    ));
    if let Some(interval) = config.gc.interval {
        let collecting = Arc::clone(&server);
        tokio::spawn(async move { collecting.collect_garbage_regularly(interval).await });
    }
    let service = Observe::new(metrics, landfall_server::router(server));
    greet(&first, &url, &config);
    let drained = listener.serve(service, stop).await;
    if drained.cut_off > 0 {
        tracing::warn!(connections = drained.cut_off, "connections were cut off");
    }
    tracing::info!("stopped");
    Ok(())
}

/// The administrator's password, if whoever starts the server says one. As for
/// every setting, an empty variable counts as not set.
fn given_password() -> Result<Option<Secret>> {
    match std::env::var(ADMIN_PASSWORD) {
        Ok(password) if password.is_empty() => Ok(None),
        Ok(password) => Ok(Some(Secret::new(password))),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => bail!("`{ADMIN_PASSWORD}` is not UTF-8"),
    }
}

/// Makes a directory that nobody else reads, and what is missing above it, all
/// of it durably: what is in a directory is worth as much as its own name.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !path.is_dir() {
        if !parent.is_dir() {
            create_private(parent)?;
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    }
    // Synced in any case: an earlier start may have ended before it came here.
    match File::open(parent).and_then(|parent| parent.sync_all()) {
        // Made by somebody else, above whom we may not look.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// The data directory belongs to one process as long as this lives.
pub(crate) struct DataLock {
    _file: File,
}

impl DataLock {
    pub(crate) fn take(data: &Path) -> Result<Self> {
        let path = data.join("landfall.lock");
        let file = File::create(&path)
            .with_context(|| format!("`{}` can't be written", path.display()))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => bail!(
                "`{}` is used by another `landfall` process; stop it, or give this one another \
                 directory with `--data`",
                data.display()
            ),
            Err(error) => {
                Err(error).with_context(|| format!("`{}` can't be locked", path.display()))
            }
        }
    }
}

async fn open_database(config: &Config) -> Result<Database> {
    let DatabaseUrl::Sqlite(path) = &config.database.url;
    let database = Database::open_sqlite(path)
        .with_context(|| format!("the metadata database `{}` can't be opened", path.display()))?;
    database.migrate(SCHEMAS).await?;
    Ok(database)
}

/// Whether a file is a database that this program can serve.
pub(crate) fn check_database(path: &Path) -> Result<()> {
    let database = Database::open_sqlite(path)?;
    let check = async { database.migrate(SCHEMAS).await };
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(check))?;
    Ok(())
}

fn open_blobs(config: &Config) -> Result<Arc<dyn BlobStore>> {
    let BlobsUrl::Folder(path) = &config.blobs.url;
    let store = DiskStore::open(path)
        .with_context(|| format!("the blob store `{}` can't be opened", path.display()))?;
    Ok(Arc::new(store))
}

fn open_identity(
    config: &Config,
    database: &Database,
    clock: &Arc<dyn Clock>,
    registry: &Registry,
) -> Result<Arc<Identity>> {
    let keys = config.data.join("keys");
    create_private(&keys).with_context(|| format!("`{}` can't be made", keys.display()))?;
    let settings = landfall_identity::Settings {
        anonymous_pull: config.registry.anonymous_pull,
        token_lifetime: config.token.lifetime,
    };
    let (database, clock) = (database.clone(), Arc::clone(clock));
    Ok(Arc::new(Identity::open(
        database,
        clock,
        &keys,
        registry.store_id(),
        settings,
    )?))
}

fn registry_settings(config: &Config) -> landfall_registry::Settings {
    landfall_registry::Settings {
        max_manifest_size: config.registry.max_manifest_size,
        max_blob_size: config.registry.max_blob_size,
        promise: config.registry.promise,
        undo_window: config.registry.undo_window,
        upload_lifetime: config.registry.upload_lifetime,
        trash_delay: config.gc.trash_delay,
        untagged_after: config.gc.untagged_after,
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        max_connections: config.server.max_connections,
        header_timeout: config.server.header_timeout,
        idle_timeout: config.server.idle_timeout,
        progress_timeout: config.server.progress_timeout,
        drain_timeout: config.server.drain_timeout,
    }
}

/// An empty directory for files that are being made; what a crash left in it
/// goes.
fn scratch(config: &Config) -> Result<PathBuf> {
    let path = config.data.join("scratch");
    let unusable = || format!("`{}` can't be made", path.display());
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(unusable);
        }
        _ => {}
    }
    create_private(&path).with_context(unusable)?;
    Ok(path)
}

/// Resolves when the process is asked to stop.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new connections, running requests may finish");
    })
}

/// Tells where the server is and how to log in.
fn greet(first: &FirstStart, url: &str, config: &Config) {
    tracing::info!(url, data = %config.data.display(), "serving");
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    output::line(&format!("Landfall is ready at {url}"));
    let password = match first {
        FirstStart::Known => return,
        FirstStart::PasswordSet | FirstStart::Made => format!("the one in {ADMIN_PASSWORD}"),
        FirstStart::MadeWithPassword(password) => {
            format!("{}   (shown this once)", password.reveal())
        }
    };
    output::line(&format!(
        "\n  user      admin\n  password  {password}\n\n  \
         docker login -u admin {host}\n  docker push {host}/admin/hello\n"
    ));
}
