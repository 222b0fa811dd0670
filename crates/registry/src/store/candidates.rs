//! The table `candidate`, and the step that turns candidates into trash.
//!
//! The order of the statements is the protocol: blob rows are locked first, in
//! digest order; then the expired links of only those blobs; what is deleted is
//! decided by later statements, which see what committed meanwhile. Locking
//! links before blobs leaks: a pusher that links a blob between the two makes
//! the collector drop a candidate that nobody will write again.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, ToValue, WriteTransaction, params, placeholders};
use landfall_ids::Id;
use landfall_oci::Digest;

use super::{columns::parsed, trash};
use crate::model::StoredBlob;

/// A row that tells the collector to look at a digest.
enum Candidate {}
impl landfall_ids::Kind for Candidate {
    const NAME: &'static str = "candidate";
}

pub(crate) fn candidate_insert(
    tx: &WriteTransaction<'_>,
    digest: &Digest,
    due: Timestamp,
    now: Timestamp,
) -> Result<()> {
    let id = Id::<Candidate>::new_at(now.unix_micros());
    tx.execute(
        "insert into candidate(id, digest, due) values (?1, ?2, ?3)",
        params![id, digest.to_string(), due],
    )?;
    Ok(())
}

/// When a step is made, and what it takes for expired.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepTimes {
    /// Candidates due until then are looked at; links kept until then, and
    /// without reference, have expired.
    pub(crate) expired: Timestamp,
    /// From when on the bytes may go.
    pub(crate) not_before: Timestamp,
}

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Candidates that were due, and claimed.
    pub(crate) claimed: u64,
    /// Blobs that went to the trash.
    pub(crate) blobs: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// Looks at up to `limit` due candidates, and puts what nobody needs in the
/// trash.
pub(crate) fn candidate_step(
    tx: &WriteTransaction<'_>,
    times: StepTimes,
    limit: usize,
) -> Result<Step> {
    let claimed: Vec<(Vec<u8>, String)> = tx.all(
        &format!(
            "select id, digest from candidate where due <= ?1 order by due limit ?2{}",
            tx.skip_locked()
        ),
        params![times.expired, limit],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let mut digests: Vec<&str> = claimed.iter().map(|(_, digest)| digest.as_str()).collect();
    digests.sort_unstable();
    digests.dedup();
    if digests.is_empty() {
        return Ok(Step::default());
    }
    let locked: Vec<String> = tx.all(
        &format!(
            "select digest from blob where digest in ({}) order by digest{}",
            placeholders(1, digests.len()),
            tx.skip_locked()
        ),
        &values(&digests),
        |row| row.get(0),
    )?;
    let mut step = Step {
        claimed: claimed.len() as u64,
        ..Step::default()
    };
    for digest in &locked {
        links_expire(tx, digest, times.expired)?;
        if let Some(blob) = blob_remove_unlinked(tx, digest)? {
            step.blobs += 1;
            step.bytes += blob.size;
            trash::trash_insert(tx, &blob.location, blob.size, times.not_before)?;
        }
    }
    for (id, digest) in &claimed {
        // A blob that somebody else holds is looked at again later.
        tx.execute(
            &format!(
                "delete from candidate where id = ?1
                 and (?3 = 1 or not exists (select 1 from blob b where b.digest = ?2))
                 and not exists (select 1 from repository_blob l where l.digest = ?2
                                 and l.keep_until <= ?4 and {UNREFERENCED})"
            ),
            params![
                id,
                digest,
                locked.binary_search(digest).is_ok(),
                times.expired
            ],
        )?;
    }
    Ok(step)
}

const UNREFERENCED: &str = "not exists (select 1 from manifest_blob mb
    where mb.repository = l.repository and mb.digest = l.digest)";

fn links_expire(tx: &WriteTransaction<'_>, digest: &str, expired: Timestamp) -> Result<()> {
    tx.execute(
        &format!(
            "delete from repository_blob as l
             where l.digest = ?1 and l.keep_until <= ?2 and {UNREFERENCED}"
        ),
        params![digest, expired],
    )?;
    Ok(())
}

/// Deletes the row of a blob that no repository links, and returns it.
fn blob_remove_unlinked(tx: &WriteTransaction<'_>, digest: &str) -> Result<Option<StoredBlob>> {
    tx.first(
        "delete from blob where digest = ?1
           and not exists (select 1 from repository_blob l where l.digest = ?1)
         returning digest, size, location",
        params![digest],
        |row| {
            Ok(StoredBlob {
                digest: parsed(row, 0)?,
                size: row.get(1)?,
                location: parsed(row, 2)?,
            })
        },
    )
}

fn values<'a>(texts: &'a [&'a str]) -> Vec<&'a dyn ToValue> {
    texts.iter().map(|text| text as &dyn ToValue).collect()
}

/// What a run would collect now: blobs and their bytes. `purge_due` tells
/// which hidden manifests the run would purge first, and `held` for how long
/// their links would be kept after they were deleted, in microseconds.
pub(crate) fn candidate_forecast(
    tx: &ReadTransaction<'_>,
    expired: Timestamp,
    purge_due: Timestamp,
    held: i64,
) -> Result<(u64, u64)> {
    let forecast = tx.first(
        "select count(*), sum(b.size) from blob b
         where not exists (
           select 1 from repository_blob l
           join repository r on r.id = l.repository
           where l.digest = b.digest and r.deleted is null and (
             l.keep_until > ?1 or exists (
               select 1 from manifest_blob mb join manifest m on m.id = mb.manifest
               where mb.repository = l.repository and mb.digest = l.digest
                 and (m.purge_due is null or m.purge_due > ?2
                      or (l.deleted is null and m.deleted + ?3 > ?1)))))",
        params![expired, purge_due, held],
        |row| Ok((row.get::<u64>(0)?, row.get::<Option<u64>>(1)?.unwrap_or(0))),
    )?;
    Ok(forecast.unwrap_or_default())
}
