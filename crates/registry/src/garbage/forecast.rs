//! The forecast: what a run would do now, without doing it.

use super::{GarbageOptions, GarbageReport, Times};
use crate::{
    Error, Registry, Result,
    store::{candidates, purges, trash, uploads},
};

impl Registry {
    pub(super) async fn forecast(
        &self,
        options: GarbageOptions,
        times: Times,
    ) -> Result<GarbageReport> {
        let held = i64::try_from((self.settings.promise * 3 / 2).as_micros()).unwrap_or(i64::MAX);
        let before = times.now - self.settings.upload_lifetime;
        let mut report = self
            .database
            .read_long(move |tx| {
                let (blobs, bytes) =
                    candidates::candidate_forecast(tx, times.expired, times.now, held)?;
                let (trash, trash_bytes) = trash::trash_totals(tx)?;
                let (due, due_bytes) = trash::trash_due_totals(tx, times.trash_due)?;
                Ok::<_, Error>(GarbageReport {
                    uploads: uploads::upload_expired(tx, before)?,
                    manifests: purges::purge_count(tx, times.now)?,
                    blobs,
                    bytes,
                    orphans: 0,
                    deleted: due,
                    freed_bytes: due_bytes,
                    waiting: trash - due,
                    waiting_bytes: trash_bytes - due_bytes,
                })
            })
            .await?;
        // What is collected goes the way of the trash: at once, or later.
        if times.not_before <= times.trash_due {
            report.deleted += report.blobs;
            report.freed_bytes += report.bytes;
        } else {
            report.waiting += report.blobs;
            report.waiting_bytes += report.bytes;
        }
        if !options.skip_orphans {
            self.forecast_orphans(times, &mut report).await?;
        }
        Ok(report)
    }

    async fn forecast_orphans(&self, times: Times, report: &mut GarbageReport) -> Result<()> {
        let mut orphans = self.orphans(times.now);
        while let Some(page) = orphans.next_page().await? {
            for object in page {
                report.orphans += 1;
                report.waiting += 1;
                report.waiting_bytes += object.size;
            }
        }
        report.orphans += self.staged_orphans(times.now).await?.len() as u64;
        Ok(())
    }
}
