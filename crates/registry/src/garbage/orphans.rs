//! The orphan sweep: bytes that no row names.
//!
//! They are left by a crash between the rename of a blob's bytes and the commit
//! of its row, or by a broken monolithic upload. Only what is older than an
//! upload may become is looked at, so nothing that is just being committed is.

use futures_util::StreamExt;
use landfall_blobs::Location;
use landfall_clock::Timestamp;

use super::{GarbageProgress, Times, add};
use crate::{
    Error, Registry, Result,
    store::{blobs, trash, uploads},
};

impl Registry {
    pub(super) async fn sweep_orphans(
        &self,
        times: Times,
        progress: &GarbageProgress,
    ) -> Result<()> {
        let before = times.now - self.settings.upload_lifetime;
        let mut stored = self.blobs.list();
        while let Some(object) = stored.next().await {
            let object = object?;
            if object.modified < before
                && self
                    .orphan_to_trash(object.location, object.size, times.now)
                    .await?
            {
                add(&progress.report.orphans, 1);
            }
        }
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
                self.discard(id).await;
                add(&progress.report.orphans, 1);
            }
        }
        Ok(())
    }

    /// Puts a location in the trash, if no row names it.
    pub(crate) async fn orphan_to_trash(
        &self,
        location: Location,
        size: u64,
        not_before: Timestamp,
    ) -> Result<bool> {
        let asked = location.clone();
        let named = self
            .database
            .read_long(move |tx| blobs::location_is_named(tx, &asked))
            .await?;
        if named {
            return Ok(false);
        }
        self.database
            .write_behind(move |tx| {
                // Asked again, in the transaction that decides.
                if blobs::location_is_named(tx, &location)? {
                    return Ok(false);
                }
                trash::trash_insert(tx, &location, size, not_before)?;
                Ok::<_, Error>(true)
            })
            .await
    }
}
