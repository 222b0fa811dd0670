//! Opening: the metadata and the bytes must belong together.

use std::sync::Arc;

use futures_util::StreamExt;
use landfall_blobs::BlobStore;
use landfall_clock::{Clock, Timestamp};
use landfall_database::Database;
use landfall_ids::StoreId;
use quick_cache::sync::Cache;

use crate::{
    Error, Registry, Result, Settings, pull,
    store::{
        self,
        repositories::{self, Incarnation},
        uploads,
    },
    turns::Turns,
};

/// Manifests that are kept in memory, at the most, and their bytes.
const CACHED_MANIFESTS: usize = 4096;
const CACHED_BYTES: u64 = 32 * 1024 * 1024;

impl Registry {
    /// Opens the registry over a migrated database and a blob store.
    ///
    /// Both carry the identity of one store. A pair that does not belong
    /// together is refused before anything is written: a collector that runs
    /// on the wrong database would take every blob for an orphan.
    pub async fn open(
        database: Database,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Self> {
        let store = store_ensure(&database, &*blobs, &*clock).await?;
        let incarnation = incarnation_ensure(&database, &*blobs, store).await?;
        Ok(Self {
            database,
            blobs,
            clock,
            settings,
            store,
            incarnation,
            manifests: Arc::new(Cache::with_weighter(
                CACHED_MANIFESTS,
                CACHED_BYTES,
                pull::ContentWeight,
            )),
            collecting: Arc::default(),
            checking: Arc::default(),
            turns: Arc::<Turns>::default(),
            usage: Arc::default(),
            actor: None,
        })
    }
}

/// Makes a database that was restored from a backup another one than that which
/// the backup is of.
///
/// Both may be started over one blob store, and each would take the other's
/// blobs for orphans. So the next start writes a new incarnation into the blob
/// store's marker, and any other database is refused from then on. Upload
/// sessions end: a token of theirs may be one that was given out after the
/// backup.
pub async fn restored(database: &Database, now: Timestamp) -> Result<()> {
    let new = StoreId::new_at(now.unix_micros());
    database
        .write(move |tx| {
            repositories::incarnation_renew(tx, new)?;
            uploads::upload_end_all(tx)
        })
        .await?;
    Ok(())
}

async fn incarnation_ensure(
    database: &Database,
    blobs: &dyn BlobStore,
    store: StoreId,
) -> Result<Option<StoreId>> {
    let known = database.read(repositories::incarnation_find).await?;
    let found = blobs.incarnation().await?;
    match known {
        Some(Incarnation { id, is_new }) if is_new || found == Some(id) => {
            if found != Some(id) {
                blobs.reclaim(store, id).await?;
            }
            if is_new {
                database
                    .write(move |tx| repositories::incarnation_settle(tx, id))
                    .await?;
            }
            Ok(Some(id))
        }
        None if found.is_none() => Ok(None),
        _ => Err(taken_over()),
    }
}

fn taken_over() -> Error {
    Error::StoreMismatch(
        "the blob store belongs to another database that was restored from a backup of the same \
         store; stop this server and use that database, or restore a backup again to go on here"
            .to_owned(),
    )
}

impl Registry {
    /// Whether the blob store is still this database's, and not that of another
    /// one which was restored meanwhile. Asked before anything is deleted there.
    pub(crate) async fn owns_store(&self) -> Result<()> {
        if self.blobs.incarnation().await? == self.incarnation {
            Ok(())
        } else {
            Err(taken_over())
        }
    }
}

async fn store_ensure(
    database: &Database,
    blobs: &dyn BlobStore,
    clock: &dyn Clock,
) -> Result<StoreId> {
    let (known, blobs_known) = database
        .read(|tx| {
            let (count, ..) = store::blobs::blob_totals(tx)?;
            Ok::<_, Error>((repositories::store_id_find(tx)?, count))
        })
        .await?;
    let found = blobs.store_id().await?;
    let known = match (known, found) {
        // Another server may have made the pair between the two looks: it
        // writes to the database first, so a second look there tells.
        (None, Some(_)) => database.read(repositories::store_id_find).await?,
        _ => known,
    };
    match (known, found) {
        (Some(known), Some(found)) if known == found => return Ok(known),
        (Some(known), Some(found)) => {
            return Err(Error::StoreMismatch(format!(
                "the blob store belongs to store {found}, the metadata database to store {known}; \
                 point both settings at the same store"
            )));
        }
        (None, Some(found)) => {
            return Err(Error::StoreMismatch(format!(
                "the blob store belongs to store {found}, but the metadata database is new; \
                 restore a backup of its database, or give the new one an empty blob store"
            )));
        }
        (_, None) if blobs_known > 0 => {
            return Err(Error::StoreMismatch(format!(
                "the metadata database knows {blobs_known} blobs, but the blob store does not \
                 carry the mark of its store; check that its disk is mounted and its path is right"
            )));
        }
        // The first start, or one that was cut off between the two writes.
        (_, None) if blobs.list().next().await.is_none() => {}
        (_, None) => {
            return Err(Error::StoreMismatch(
                "the blob store holds blobs but not the mark of its store; give the path of a \
                 whole store, or of an empty directory"
                    .to_owned(),
            ));
        }
    }
    // The database first: a mark without its database could not be opened.
    let now = clock.now();
    let new = StoreId::new_at(now.unix_micros());
    let store = database
        .write(move |tx| repositories::store_id_ensure(tx, new, now))
        .await?;
    blobs.claim(store).await?;
    Ok(store)
}
