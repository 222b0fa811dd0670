//! One server for a blob store on a local disk.
//!
//! Several servers may share a PostgreSQL database, but not a folder on one of
//! their disks: what is pushed to one would not be there on the others. So the
//! server with such a store holds the lease `local-store`, and a second one is
//! refused. With SQLite the lock on the data folder says the same.
//!
//! The store has its folder locked as well. Who has that lock and finds that the
//! lease is held for this very folder of this machine knows that its holder is
//! dead, and goes on at once. Anybody else waits for the end of a dead server's
//! lease, and for no longer than a living one takes to renew its own.
//!
//! A holder that can't renew the lease, because the database is away, takes no
//! writes from two thirds of its time on, and stops at its end.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use landfall_blobs::{BlobStore, GatedStore};
use landfall_database::{
    Database, Error,
    lease::{self, Lease},
};
use tokio::{sync::watch, task::JoinHandle};

const NAME: &str = "local-store";
/// How long a dead server keeps others waiting.
const TTL: Duration = Duration::from_secs(12);
const BETWEEN_RENEWALS: Duration = Duration::from_secs(3);
/// How often somebody who waits looks again.
const LOOK: Duration = Duration::from_millis(200);

/// The right to use a folder together with a database that others may reach.
pub(super) struct LocalStore {
    database: Database,
    lease: Lease,
    /// When it was asked for: it can't have begun earlier.
    asked: Instant,
}

impl LocalStore {
    /// Takes the folder for this server, which has its lock.
    pub(super) async fn take(database: &Database, path: &Path) -> Result<Self> {
        let folder = File::open(path)
            .with_context(|| format!("the blob store `{}` can't be opened", path.display()))?;
        let (lease, asked) = acquire(database, &holder(&folder)?, path).await?;
        Ok(Self {
            database: database.clone(),
            lease,
            asked,
        })
    }

    /// Keeps the lease. Ends the process when another server has taken it, or
    /// may have: when it could not be renewed until its end.
    pub(super) fn keep(self) -> Kept {
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = watch::channel(self.lease.clone());
        let task = tokio::spawn(async move {
            let Self {
                database,
                mut lease,
                asked,
            } = self;
            let mut end = asked + lease.ttl();
            loop {
                tokio::select! {
                    _ = &mut stopped => break,
                    () = tokio::time::sleep(BETWEEN_RENEWALS) => {}
                }
                let (asked, held) = (Instant::now(), lease.clone());
                let renewed = database.write(move |tx| lease::lease_renew(tx, &held));
                match tokio::time::timeout_at(end.into(), renewed).await {
                    Ok(Ok(Some(renewed))) => {
                        end = asked + renewed.ttl();
                        lease = renewed;
                        tell.send_replace(lease.clone());
                    }
                    Ok(Ok(None)) => {
                        tracing::error!(
                            "another server has taken over this blob store while the metadata \
                             database was out of reach; stopping"
                        );
                        std::process::exit(1);
                    }
                    Ok(Err(error)) if Instant::now() < end => {
                        tracing::debug!(%error, "the lease of the store stays as it is");
                    }
                    Ok(Err(_)) | Err(_) => {
                        tracing::error!(
                            "the metadata database was out of reach for {} seconds, and another \
                             server may take over this blob store; stopping",
                            lease.ttl().as_secs()
                        );
                        std::process::exit(1);
                    }
                }
            }
            let released = database
                .write(move |tx| lease::lease_release(tx, &lease))
                .await;
            if let Err(error) = released {
                tracing::warn!(%error, "the next server has to wait for the end of a lease");
            }
        });
        Kept { stop, task, told }
    }
}

/// The lease, kept until it is given back.
pub(super) struct Kept {
    stop: tokio::sync::oneshot::Sender<()>,
    task: JoinHandle<()>,
    told: watch::Receiver<Lease>,
}

impl Kept {
    /// The store, written only while the lease is sure to be held.
    pub(super) fn gate(&self, store: Arc<dyn BlobStore>) -> Arc<dyn BlobStore> {
        let told = self.told.clone();
        Arc::new(GatedStore::new(store, move || told.borrow().is_fresh()))
    }

    /// Gives it back, for the next server.
    pub(super) async fn give_back(self) {
        // The task ends on either.
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(BETWEEN_RENEWALS, self.task).await;
    }
}

/// This folder on this machine, since it was started.
fn holder(folder: &File) -> Result<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("this machine does not tell when it was started")?;
    let metadata = folder.metadata()?;
    Ok(format!(
        "{}/{}:{}",
        boot.trim(),
        metadata.dev(),
        metadata.ino()
    ))
}

async fn acquire(database: &Database, holder: &str, path: &Path) -> Result<(Lease, Instant)> {
    let since = Instant::now();
    let mut first = None;
    loop {
        let (ours, asked) = (holder.to_owned(), Instant::now());
        let (taken, other) = database
            .write(move |tx| {
                let taken = lease::lease_take_again(tx, NAME, &ours, TTL)?;
                Ok::<_, Error>((taken, lease::lease_find(tx, NAME)?))
            })
            .await?;
        if let Some(lease) = taken {
            return Ok((lease, asked));
        }
        let expires = other.map(|other| other.expires);
        if first.is_none() {
            tracing::info!("waiting for a server that has held the blob store");
        }
        let first = *first.get_or_insert(expires);
        // It was renewed, so its holder lives.
        if (expires.is_some() && expires != first) || since.elapsed() > 2 * TTL {
            bail!(refused(path));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn refused(path: &Path) -> String {
    format!(
        "another server uses this database with a blob store on its own disk, and `{}` is on \
         this one's; give all servers one S3 bucket by `LANDFALL_BLOBS_URL`, or stop the other",
        path.display()
    )
}
