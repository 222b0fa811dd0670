//! The services below HTTP, as the settings say.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use landfall_blobs::{BlobStore, DiskStore, S3Options, S3Store};
use landfall_clock::Clock;
use landfall_database::{Database, Kind, MigrationSet, PostgresOptions};
use landfall_identity::Identity;
use landfall_registry::Registry;
use landfall_seal::MasterKey;
use landfall_server::listen::Limits;

use super::{
    local_store::{self, LocalStore},
    repositories::OfRegistry,
};
use crate::config::{BlobsUrl, Config, DatabaseUrl};

/// How long a start waits for the answer of an S3 server.
const AT_START: Duration = Duration::from_secs(5);

/// The schemas of the domains, floor by floor.
const SCHEMAS: &[MigrationSet] = &[
    landfall_database::lease::MIGRATIONS,
    landfall_database::epoch::MIGRATIONS,
    landfall_database::outbox::MIGRATIONS,
    landfall_identity::MIGRATIONS,
    landfall_registry::MIGRATIONS,
    landfall_notify::MIGRATIONS,
];

/// The database of the settings, with a schema that is up to date.
pub(crate) async fn open_database(config: &Config) -> Result<Database> {
    let database = match &config.database.url {
        DatabaseUrl::Sqlite(path) => Database::open_sqlite(path).with_context(|| {
            format!("the metadata database `{}` can't be opened", path.display())
        })?,
        DatabaseUrl::Postgres(url) => {
            let options = PostgresOptions {
                connections: config.database.connections,
                ..PostgresOptions::new(url.reveal())
            };
            Database::open_postgres(&options).await?
        }
    };
    database.migrate(SCHEMAS).await?;
    Ok(database)
}

/// A SQLite file, brought up to date.
pub(crate) async fn open_file(path: &Path) -> Result<Database> {
    let database = Database::open_sqlite(path)?;
    database.migrate(SCHEMAS).await?;
    Ok(database)
}

/// What a folder of blobs needs beside a database that others may use.
pub(super) async fn hold_local_store(
    config: &Config,
    database: &Database,
) -> Result<Option<local_store::Kept>> {
    match (&config.blobs.url, database.kind()) {
        (BlobsUrl::Folder(path), Kind::Postgres) => {
            Ok(Some(LocalStore::take(database, path).await?.keep()))
        }
        _ => Ok(None),
    }
}

pub(super) async fn open_blobs(config: &Config) -> Result<Arc<dyn BlobStore>> {
    match &config.blobs.url {
        BlobsUrl::Folder(path) => {
            let store = DiskStore::open(path)
                .with_context(|| format!("the blob store `{}` can't be opened", path.display()))?;
            Ok(Arc::new(store.direct_writes(config.blobs.direct_writes)))
        }
        BlobsUrl::S3(url) => {
            let options: S3Options = url.reveal().parse()?;
            // Once with little patience: a start tells soon what is wrong.
            let asking = S3Options {
                silence: AT_START,
                patience: AT_START,
                ..options.clone()
            };
            S3Store::new(asking)?.store_id().await?;
            Ok(Arc::new(S3Store::new(options)?))
        }
    }
}

pub(super) async fn open_identity(
    config: &Config,
    database: &Database,
    clock: &Arc<dyn Clock>,
    master: &Arc<MasterKey>,
    registry: &Arc<Registry>,
) -> Result<Arc<Identity>> {
    let settings = landfall_identity::Settings {
        anonymous_pull: config.registry.anonymous_pull,
        token_lifetime: config.token.lifetime,
        audit_retention: config.audit.retention,
    };
    let earlier_keys = config.data.join(super::keys::FOLDER);
    let identity = Identity::open(
        database.clone(),
        Arc::clone(clock),
        Arc::clone(master),
        &earlier_keys,
        registry.store_id(),
        settings,
        Arc::new(OfRegistry(Arc::clone(registry))),
    );
    Ok(Arc::new(identity.await?))
}

pub(super) fn registry_settings(config: &Config) -> landfall_registry::Settings {
    landfall_registry::Settings {
        max_manifest_size: config.registry.max_manifest_size,
        max_blob_size: config.registry.max_blob_size,
        promise: config.registry.promise,
        undo_window: config.registry.undo_window,
        tag_history: config.registry.tag_history,
        upload_lifetime: config.registry.upload_lifetime,
        trash_delay: config.gc.trash_delay,
        untagged_after: config.gc.untagged_after,
    }
}

pub(super) fn limits(config: &Config) -> Limits {
    Limits {
        max_connections: config.server.max_connections,
        header_timeout: config.server.header_timeout,
        idle_timeout: config.server.idle_timeout,
        progress_timeout: config.server.progress_timeout,
        drain_timeout: config.server.drain_timeout,
    }
}
