//! Blobs against their bytes, and bytes against their rows.

use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use landfall_oci::Hasher;

use super::{FsckOptions, FsckProgress, FsckReport, Problem};
use crate::{Registry, Result, StoredBlob, store};

/// Rows that are read at once.
const PAGE: usize = 500;

/// What the bytes at a location turn out to be.
enum Bytes {
    Whole,
    Missing,
    Wrong(String),
    /// The disk refuses them; it may be a person's turn, but not that of a
    /// new push.
    Unreadable(String),
}

impl Registry {
    pub(super) async fn check_blobs(
        &self,
        options: FsckOptions,
        progress: &FsckProgress,
        report: &mut FsckReport,
    ) -> Result<()> {
        let mut last = String::new();
        loop {
            let after = last.clone();
            let page = self
                .database
                .read_long(move |tx| store::blobs::blob_page(tx, &after, PAGE))
                .await?;
            let Some(end) = page.last() else {
                return Ok(());
            };
            last = end.digest.to_string();
            for blob in page {
                self.check_blob(options, &blob, report).await?;
                report.blobs += 1;
                report.bytes += blob.size;
                progress.blobs.fetch_add(1, Ordering::Relaxed);
                progress.bytes.fetch_add(blob.size, Ordering::Relaxed);
            }
        }
    }

    async fn check_blob(
        &self,
        options: FsckOptions,
        blob: &StoredBlob,
        report: &mut FsckReport,
    ) -> Result<()> {
        let digest = blob.digest.to_string();
        let (problem, present, repair) = match self.read_blob(options, blob).await? {
            Bytes::Whole => return Ok(()),
            Bytes::Missing => (Problem::BlobMissing { digest }, false, options.repair),
            Bytes::Wrong(reason) => (
                Problem::BlobCorrupt { digest, reason },
                true,
                options.repair,
            ),
            Bytes::Unreadable(reason) => (Problem::BlobCorrupt { digest, reason }, true, false),
        };
        // Collected, or healed, while it was read: no problem any more.
        let (after, location) = (blob.digest, blob.location.clone());
        let named = self
            .database
            .read_long(move |tx| store::blobs::blob_is_live_at(tx, &after, &location))
            .await?;
        if !named {
            return Ok(());
        }
        report.tell(problem);
        if repair {
            // Marked first: a crash between the two leaves bytes that nothing
            // reads, and not a row whose bytes were taken away.
            let marked = self.blob_mark_damaged(blob).await?;
            if marked && present {
                match self.blobs.quarantine(&blob.location).await {
                    // Healed meanwhile, and the damaged bytes were deleted.
                    Ok(()) | Err(landfall_blobs::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            report.repaired += u64::from(marked);
        }
        Ok(())
    }

    async fn read_blob(&self, options: FsckOptions, blob: &StoredBlob) -> Result<Bytes> {
        let source = match self.blobs.open(&blob.location).await {
            Ok(source) => source,
            Err(landfall_blobs::Error::NotFound { .. }) => return Ok(Bytes::Missing),
            Err(error) => return unreadable(error),
        };
        if source.size() != blob.size {
            let reason = format!("{} bytes instead of {}", source.size(), blob.size);
            return Ok(Bytes::Wrong(reason));
        }
        if options.quick {
            return Ok(Bytes::Whole);
        }
        let mut hasher = Hasher::new(blob.digest.algorithm());
        let mut bytes = source.read(0..blob.size);
        while let Some(frame) = bytes.next().await {
            match frame {
                Ok(frame) => hasher.update(&frame),
                Err(error @ landfall_blobs::Error::Damaged { .. }) => {
                    return Ok(Bytes::Wrong(error.to_string()));
                }
                Err(error) => return unreadable(error),
            }
        }
        let actual = hasher.finish();
        if actual == blob.digest {
            Ok(Bytes::Whole)
        } else {
            Ok(Bytes::Wrong(format!("the bytes have the digest {actual}")))
        }
    }

    pub(super) async fn check_orphans(
        &self,
        options: FsckOptions,
        report: &mut FsckReport,
    ) -> Result<()> {
        let now = self.now();
        let mut orphans = self.orphans(now);
        while let Some(page) = orphans.next_page().await? {
            self.owns_store().await?;
            for object in page {
                report.tell(Problem::Orphan {
                    location: object.location.to_string(),
                    size: object.size,
                });
                if options.repair
                    && self
                        .orphan_to_trash(object.location, object.size, now)
                        .await?
                {
                    report.repaired += 1;
                }
            }
        }
        Ok(())
    }
}

/// What a failure tells of the bytes. Of a store that is away it tells nothing,
/// and the check ends.
fn unreadable(error: landfall_blobs::Error) -> Result<Bytes> {
    match &error {
        landfall_blobs::Error::Io { source, .. } => Ok(Bytes::Unreadable(format!(
            "the bytes can't be read: {error}: {source}"
        ))),
        _ => Err(error.into()),
    }
}
