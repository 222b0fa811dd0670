//! The orphan sweep: bytes that no row names.
//!
//! They are left by a crash between the rename of a blob's bytes and the commit
//! of its row, or by a broken monolithic upload. Only what is older than an
//! upload may become is looked at, so nothing that is just being committed is.

use futures_util::{StreamExt, stream::BoxStream};
use landfall_blobs::{Location, StoredObject};
use landfall_clock::Timestamp;
use landfall_ids::UploadId;

use super::{GarbageProgress, Times, add};
use crate::{
    Error, Registry, Result,
    store::{blobs, trash, uploads},
};

/// Objects that are looked up together.
const PAGE: usize = 500;

/// A walk over the stored objects that no row names, and that were written
/// before an instant.
pub(crate) struct Orphans<'a> {
    registry: &'a Registry,
    stored: BoxStream<'static, Result<StoredObject, landfall_blobs::Error>>,
    before: Timestamp,
}

impl Orphans<'_> {
    /// Some more of them, maybe none; `None` at the end of the store.
    pub(crate) async fn next_page(&mut self) -> Result<Option<Vec<StoredObject>>> {
        let mut page = Vec::new();
        while page.len() < PAGE
            && let Some(object) = self.stored.next().await
        {
            let object = object?;
            if object.modified < self.before {
                page.push(object);
            }
        }
        if page.is_empty() {
            return Ok(None);
        }
        let unnamed = self.registry.database.read_long(move |tx| {
            let mut unnamed = Vec::new();
            for object in page {
                if !blobs::location_is_named(tx, &object.location)? {
                    unnamed.push(object);
                }
            }
            Ok::<_, Error>(unnamed)
        });
        unnamed.await.map(Some)
    }
}

impl Registry {
    /// Stored objects that no row names and that are too old to be a blob that
    /// is just being committed.
    pub(crate) fn orphans(&self, now: Timestamp) -> Orphans<'_> {
        Orphans {
            registry: self,
            stored: self.blobs.list().fuse().boxed(),
            before: now - self.settings.upload_lifetime,
        }
    }

    /// Staged objects as old whose upload is not there any more.
    pub(super) async fn staged_orphans(&self, now: Timestamp) -> Result<Vec<UploadId>> {
        let before = now - self.settings.upload_lifetime;
        let mut orphans = Vec::new();
        let mut staged = self.blobs.list_staged();
        while let Some(object) = staged.next().await {
            let object = object?;
            if object.modified >= before {
                continue;
            }
            let id = object.upload;
            let running = self
                .database
                .read_long(move |tx| uploads::upload_exists(tx, id))
                .await?;
            if !running {
                orphans.push(id);
            }
        }
        Ok(orphans)
    }

    pub(super) async fn sweep_orphans(
        &self,
        times: Times,
        progress: &GarbageProgress,
    ) -> Result<()> {
        let mut orphans = self.orphans(times.now);
        while let Some(page) = orphans.next_page().await? {
            self.owns_store().await?;
            for object in page {
                let size = object.size;
                if self
                    .orphan_to_trash(object.location, size, times.now)
                    .await?
                {
                    add(&progress.report.orphans, 1);
                }
            }
        }
        let staged = self.staged_orphans(times.now).await?;
        self.owns_store().await?;
        for id in staged {
            self.discard(id).await;
            add(&progress.report.orphans, 1);
        }
        Ok(())
    }

    /// Puts a location in the trash, if no row names it in the transaction that
    /// does so.
    pub(crate) async fn orphan_to_trash(
        &self,
        location: Location,
        size: u64,
        not_before: Timestamp,
    ) -> Result<bool> {
        self.database
            .write_behind(move |tx| {
                tx.lock_exclusive("orphans")?;
                if blobs::location_is_named(tx, &location)? {
                    return Ok(false);
                }
                trash::trash_insert(tx, &location, size, not_before)?;
                Ok::<_, Error>(true)
            })
            .await
    }
}
