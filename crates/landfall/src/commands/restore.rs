//! `landfall restore`: on the server's machine, while the server is stopped.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use landfall_clock::{Clock, SystemClock};
use landfall_identity::master_key_forget;
use landfall_notify::webhook_secrets_forget;
use landfall_server::api::{DESCRIPTION, Description, FORMAT, METADATA};
use serde_json::json;

use crate::{
    cli::Format,
    config::{Config, DatabaseUrl},
    output,
    serve::{self, DataLock},
};

/// The description is this long at the most, in bytes.
const LONGEST_DESCRIPTION: u64 = 64 * 1024;

/// What was asked for beside the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes {
    /// Metadata that is there is replaced.
    pub(super) force: bool,
    /// The secrets in the backup need not be opened again.
    pub(super) forget_secrets: bool,
}

pub(super) async fn run(
    config: &Config,
    file: &Path,
    wishes: Wishes,
    format: Format,
) -> Result<()> {
    serve::create_private(&config.data)
        .with_context(|| format!("`{}` can't be made", config.data.display()))?;
    let _lock = DataLock::take(&config.data)?;
    let description = match &config.database.url {
        DatabaseUrl::Sqlite(database) => {
            if database.exists() && !wishes.force {
                bail!(
                    "`{}` is there already; `--force` replaces it and keeps the old file beside it",
                    database.display()
                );
            }
            let restored = database.with_extension("restoring");
            let description = prepare(config, file, &restored, wishes).await?;
            let directory = database.parent().unwrap_or(Path::new("."));
            set_aside(database)?;
            fs::rename(&restored, database)?;
            File::open(directory)?.sync_all()?;
            description
        }
        DatabaseUrl::Postgres(_) => {
            let restored = config.data.join("landfall.restoring");
            let description = prepare(config, file, &restored, wishes).await?;
            let copied = async {
                let database = serve::open_database(config).await?;
                Ok::<_, anyhow::Error>(database.copy_from(&restored).await?)
            };
            let copied = copied.await;
            remove(&restored);
            copied?;
            description
        }
    };
    let Description { store, created, .. } = description;
    match format {
        Format::Json => output::json(&json!({ "store": store, "created": created })),
        Format::Table => output::line(&format!(
            "restored the metadata of store {store} as of {created}; start the server, then run \
             `landfall fsck`"
        )),
    }
    Ok(())
}

/// Unpacks the metadata to a new file, brings it up to date, and sees that this
/// server could serve it. Leaves nothing if not.
async fn prepare(
    config: &Config,
    file: &Path,
    restored: &Path,
    wishes: Wishes,
) -> Result<Description> {
    let unpacked = restored.with_extension("unpacking");
    remove(&unpacked);
    remove(restored);
    let prepared = async {
        let description = unpack(file, &unpacked)
            .with_context(|| format!("`{}` is no whole backup", file.display()))?;
        let unusable = "the backup can't be used";
        let database = serve::open_file(&unpacked).await.context(unusable)?;
        if wishes.forget_secrets {
            master_key_forget(&database).await?;
            webhook_secrets_forget(&database).await?;
        }
        serve::check_master_key(config, &database).await?;
        landfall_registry::restored(&database, SystemClock.now()).await?;
        // One file, whatever still lies in the log of the other.
        create(restored)?;
        database.copy_to(restored).await?;
        Ok(description)
    };
    let prepared = prepared.await;
    remove(&unpacked);
    prepared.inspect_err(|_| remove(restored))
}

/// The files of a database, the log first. A log that is left alone would be
/// played into the next database of its name, whatever that is.
const PARTS: [&str; 3] = ["-wal", "-shm", ""];

fn part(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Removes what an earlier attempt has left.
fn remove(database: &Path) {
    for suffix in PARTS {
        // It may be gone, or never have been there.
        let _ = fs::remove_file(part(database, suffix));
    }
}

/// Keeps what there is of a database under names that tell when it was
/// replaced.
fn set_aside(database: &Path) -> Result<()> {
    let now = SystemClock.now().unix_seconds();
    for suffix in PARTS {
        let old = part(database, suffix);
        if old.exists() {
            fs::rename(&old, part(database, &format!(".replaced-{now}{suffix}")))?;
        }
    }
    Ok(())
}

/// Reads the archive: the description, and the database into a new file.
fn unpack(file: &Path, to: &Path) -> Result<Description> {
    let mut archive = tar::Archive::new(File::open(file)?);
    let mut entries = archive.entries()?;
    let mut description = None;
    loop {
        let Some(entry) = entries.next() else {
            bail!("the metadata is missing")
        };
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if path == Path::new(DESCRIPTION) {
            ensure!(
                entry.size() <= LONGEST_DESCRIPTION,
                "the description is too long"
            );
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            let read: Description = serde_json::from_str(&text)?;
            ensure!(
                read.format <= FORMAT,
                "it has the form {}, and this Landfall knows {FORMAT}; use a newer one",
                read.format
            );
            description = Some(read);
        } else if path == Path::new(METADATA) {
            let description = description.context("the description is missing")?;
            let size = entry.size();
            let mut file = create(to)?;
            let copied = io::copy(&mut entry, &mut file)?;
            ensure!(copied == size, "it breaks off");
            file.sync_all()?;
            return Ok(description);
        }
    }
}

/// Makes a file that nobody else may read: it holds the hashes of passwords.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}
