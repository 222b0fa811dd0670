//! Backups of the metadata, made while the server runs.
//!
//! A backup is a tar archive of two files: `landfall-backup.json`, which tells
//! what it is, and `metadata.sqlite`, a consistent copy of the database, which is a SQLite
//! file whatever the database is. Blobs
//! are not in it: they lie at locations that are never used twice, so a copy of
//! their directory that is made *after* the backup holds all that it names.

use std::{fs::File, io, path::Path};

use landfall_clock::Timestamp;
use landfall_database::Database;
use landfall_ids::StoreId;
use serde::{Deserialize, Serialize};

/// The version of the archive's form.
pub const FORMAT: u32 = 1;
/// The name of the first file in the archive.
pub const DESCRIPTION: &str = "landfall-backup.json";
/// The name of the second file.
pub const METADATA: &str = "metadata.sqlite";

/// What the first file of an archive says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Description {
    /// [`FORMAT`].
    pub format: u32,
    /// The store that the metadata belongs to.
    pub store: StoreId,
    /// When the backup was begun, in RFC 3339.
    pub created: String,
    /// The version of Landfall that made it.
    pub landfall: String,
}

/// Why a backup was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Database(#[from] landfall_database::Error),
    #[error("the backup can't be written to `{directory}`")]
    Scratch {
        directory: String,
        #[source]
        source: io::Error,
    },
}

/// Makes an archive in `scratch` and returns it, open and without a name.
pub(crate) async fn make(
    database: &Database,
    store: StoreId,
    now: Timestamp,
    scratch: &Path,
) -> Result<File, Error> {
    let failed = |source| Error::Scratch {
        directory: scratch.display().to_string(),
        source,
    };
    let directory = tempfile::tempdir_in(scratch).map_err(failed)?;
    let copy = directory.path().join(METADATA);
    database.copy_to(&copy).await?;
    let description = Description {
        format: FORMAT,
        store,
        created: now.to_string(),
        landfall: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let archive = tempfile::tempfile_in(scratch).map_err(failed)?;
    let written = tokio::task::spawn_blocking(move || {
        let archive = write(archive, &description, &copy, now);
        drop(directory);
        archive
    });
    written
        .await
        .map_err(|error| failed(io::Error::other(error)))?
        .map_err(failed)
}

fn write(
    archive: File,
    description: &Description,
    copy: &Path,
    now: Timestamp,
) -> io::Result<File> {
    let mut tar = tar::Builder::new(archive);
    let description = serde_json::to_vec_pretty(description)?;
    let mut header = |size: u64, name: &str, bytes: &mut dyn io::Read| {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(now.unix_seconds().unsigned_abs());
        tar.append_data(&mut header, name, bytes)
    };
    header(
        description.len() as u64,
        DESCRIPTION,
        &mut description.as_slice(),
    )?;
    let mut copy = File::open(copy)?;
    header(copy.metadata()?.len(), METADATA, &mut copy)?;
    tar.into_inner()
}
