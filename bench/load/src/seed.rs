//! A large store in seconds: rows in bulk through `database`, and files
//! without a sync for each. The server has made its data folder before, and
//! does not run meanwhile.

use std::{collections::BTreeSet, fs, path::Path};

use landfall_clock::{Clock, SystemClock, Timestamp};
use landfall_database::{Database, WriteTransaction, params};
use landfall_ids::{Id, Kind, ManifestId, RepositoryId, UploadId};

use crate::{
    Error, Result,
    content::{digest, noise},
    images::{Image, MANIFEST},
};

/// Rows and files of one transaction.
const BATCH: u64 = 2000;
/// Images of one repository.
const IMAGES_OF_A_REPOSITORY: u64 = 100;

enum Candidate {}
impl Kind for Candidate {
    const NAME: &'static str = "candidate";
}

/// A blob of the store.
struct Blob {
    digest: String,
    size: usize,
    location: String,
}

/// Writes the files of blobs, below the folder of the store.
struct Files<'a> {
    store: &'a Path,
    folders: BTreeSet<String>,
}

impl Files<'_> {
    /// Writes the bytes where the store on a disk keeps them.
    fn write(&mut self, bytes: &[u8], now: Timestamp) -> Result<Blob> {
        let writing = Error::io("writing the file of a blob");
        let digest = digest(bytes);
        let hex = digest.trim_start_matches("sha256:");
        let folder = format!("sha256/{}", &hex[..2]);
        let upload = UploadId::new_at(now.unix_micros());
        let location = format!("{folder}/{hex}.{upload}");
        let root = self.store.join("blobs");
        if self.folders.insert(folder.clone()) {
            fs::create_dir_all(root.join(&folder)).map_err(&writing)?;
        }
        fs::write(root.join(&location), bytes).map_err(&writing)?;
        Ok(Blob {
            digest,
            size: bytes.len(),
            location,
        })
    }
}

/// Blobs of 1 KiB that nothing refers to: a repository saw each, and what was
/// promised about it is over.
pub async fn blobs(data: &Path, count: u64, seed: u64) -> Result<()> {
    let database = Database::open_sqlite(&data.join("landfall.db"))?;
    let now = SystemClock.now();
    let past = Timestamp::from_unix_micros(now.unix_micros() - 86_400_000_000);
    let repository = RepositoryId::new_at(now.unix_micros());
    database
        .write(move |tx| repository_insert(tx, repository, &format!("admin/seed-{seed}"), now))
        .await?;
    let store = data.join("blobs");
    let mut files = Files {
        store: &store,
        folders: BTreeSet::new(),
    };
    for first in (0..count).step_by(BATCH as usize) {
        let batch = (first..(first + BATCH).min(count))
            .map(|number| files.write(&noise(seed.wrapping_add(number), 1024), now))
            .collect::<Result<Vec<Blob>>>()?;
        database
            .write(move |tx| -> Seeded {
                batch.iter().try_for_each(|blob| {
                    blob_insert(tx, blob, past)?;
                    link_insert(tx, repository, blob, past)?;
                    candidate_insert(tx, blob, past)
                })
            })
            .await?;
    }
    Ok(())
}

/// Images with a configuration each, and a layer that those of one repository
/// share; each has a tag.
pub async fn images(data: &Path, count: u64) -> Result<()> {
    let database = Database::open_sqlite(&data.join("landfall.db"))?;
    let now = SystemClock.now();
    let store = data.join("blobs");
    let mut files = Files {
        store: &store,
        folders: BTreeSet::new(),
    };
    for first in (0..count).step_by(IMAGES_OF_A_REPOSITORY as usize) {
        let repository = RepositoryId::new_at(now.unix_micros());
        let name = format!("admin/seed/r{}", first / IMAGES_OF_A_REPOSITORY);
        let layer = files.write(&noise(!first, 1024), now)?;
        let images = (first..(first + IMAGES_OF_A_REPOSITORY).min(count))
            .map(|number| {
                let config = files.write(format!("{{\"seed\":{number}}}").as_bytes(), now)?;
                Ok((config, Image::new(first).manifest(&number.to_string())))
            })
            .collect::<Result<Vec<_>>>()?;
        database
            .write(move |tx| -> Seeded {
                repository_insert(tx, repository, &name, now)?;
                blob_insert(tx, &layer, now)?;
                link_insert(tx, repository, &layer, now)?;
                images
                    .iter()
                    .zip(first..)
                    .try_for_each(|((config, manifest), number)| {
                        blob_insert(tx, config, now)?;
                        link_insert(tx, repository, config, now)?;
                        candidate_insert(tx, config, now)?;
                        let id = ManifestId::new_at(now.unix_micros());
                        tx.execute(
                            "insert into manifest(id, repository, digest, media_type, size,
                                                  created, held_until, content)
                             values (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",
                            params![
                                id,
                                repository,
                                manifest.digest,
                                MANIFEST,
                                manifest.content.len(),
                                now,
                                manifest.content
                            ],
                        )?;
                        for blob in [config, &layer] {
                            tx.execute(
                                "insert into manifest_blob(manifest, repository, digest)
                                 values (?1, ?2, ?3)",
                                params![id, repository, blob.digest],
                            )?;
                        }
                        tx.execute(
                            "insert into tag(repository, name, manifest, created, updated)
                             values (?1, ?2, ?3, ?4, ?4)",
                            params![repository, format!("v{number}"), id, now],
                        )?;
                        Ok(())
                    })
            })
            .await?;
    }
    Ok(())
}

type Seeded = Result<(), landfall_database::Error>;

fn repository_insert(
    tx: &WriteTransaction<'_>,
    id: RepositoryId,
    name: &str,
    now: Timestamp,
) -> Seeded {
    tx.execute(
        "insert into repository(id, account, name, created)
         select ?1, id, ?2, ?3 from account where name = 'admin'",
        params![id, name, now],
    )?;
    Ok(())
}

fn blob_insert(tx: &WriteTransaction<'_>, blob: &Blob, created: Timestamp) -> Seeded {
    tx.execute(
        "insert into blob(digest, size, location, state, created)
         values (?1, ?2, ?3, 'live', ?4)",
        params![blob.digest, blob.size, blob.location, created],
    )?;
    Ok(())
}

fn link_insert(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    blob: &Blob,
    keep_until: Timestamp,
) -> Seeded {
    tx.execute(
        "insert into repository_blob(repository, digest, keep_until, account)
         values (?1, ?2, ?3, (select r.account from repository r where r.id = ?1))",
        params![repository, blob.digest, keep_until],
    )?;
    Ok(())
}

fn candidate_insert(tx: &WriteTransaction<'_>, blob: &Blob, due: Timestamp) -> Seeded {
    tx.execute(
        "insert into candidate(id, digest, due) values (?1, ?2, ?3)",
        params![Id::<Candidate>::new_at(due.unix_micros()), blob.digest, due],
    )?;
    Ok(())
}
