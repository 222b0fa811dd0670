//! The trash sweep: first the bytes go, then the row that names them.
//!
//! It runs outside of any transaction, and may be cut off and repeated: a
//! location is never used twice, so deleting it twice is deleting it once.
//!
//! Deleting keeps a disk's journal busy, on which every push waits. So after
//! each page the sweep rests for as long as the page took.

use std::time::Instant;

use futures_util::{StreamExt, stream};

use super::{GarbageProgress, Times, add};
use crate::{Registry, Result, store::trash};

/// Locations in one page, and deletions that go on at once.
const PAGE: usize = 200;
const AT_ONCE: usize = 4;

impl Registry {
    pub(super) async fn sweep_trash(&self, times: Times, progress: &GarbageProgress) -> Result<()> {
        let due = times.trash_due;
        loop {
            let began = Instant::now();
            let page = self
                .database
                .read_long(move |tx| trash::trash_due(tx, due, PAGE))
                .await?;
            if page.is_empty() {
                return Ok(());
            }
            self.owns_store().await?;
            let mut gone = Vec::with_capacity(page.len());
            let mut deletions = stream::iter(page)
                .map(|trash| async move {
                    let deleted = self.blobs.delete(&trash.location).await;
                    (trash, deleted)
                })
                .buffer_unordered(AT_ONCE);
            let mut failed = None;
            while let Some((trash, deleted)) = deletions.next().await {
                match deleted {
                    Ok(()) => {
                        add(&progress.report.deleted, 1);
                        add(&progress.report.freed, trash.size);
                        gone.push(trash.location);
                    }
                    Err(error) => failed = Some(error),
                }
            }
            drop(deletions);
            self.database
                .write_behind(move |tx| trash::trash_remove(tx, &gone))
                .await?;
            if let Some(error) = failed {
                return Err(error.into());
            }
            tokio::time::sleep(began.elapsed()).await;
        }
    }
}
