//! The table `candidate`, and the step that turns candidates into trash.
//!
//! The order of the statements is the protocol: blob rows are locked first, in
//! digest order; then the expired links of only those blobs; what is deleted is
//! decided by later statements, which see what committed meanwhile. Locking
//! links before blobs leaks: a pusher that links a blob between the two makes
//! the collector drop a candidate that nobody will write again.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, ToValue, WriteTransaction, params, placeholders};
use landfall_ids::{Id, RepositoryId};
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
    /// Of these, how many needn't be looked at again: the others are about
    /// blobs or links that somebody holds right now.
    pub(crate) dropped: u64,
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
    let places = Places::of(&digests);
    let locked: Vec<String> = tx.all(
        &format!(
            "select digest from blob where digest in ({}) order by digest{}",
            places.from(1),
            tx.skip_locked()
        ),
        &places.params(&[]),
        |row| row.get(0),
    )?;
    let mut step = Step {
        claimed: claimed.len() as u64,
        ..Step::default()
    };
    if !locked.is_empty() {
        links_expire(tx, &locked, times.expired)?;
        for blob in blobs_remove_unlinked(tx, &locked)? {
            step.blobs += 1;
            step.bytes += blob.size;
            trash::trash_insert(tx, &blob.location, blob.size, times.not_before)?;
        }
    }
    step.dropped = candidates_remove(tx, &claimed, &locked, times.expired)?;
    Ok(step)
}

const UNREFERENCED: &str = "not exists (select 1 from manifest_blob mb
    where mb.repository = l.repository and mb.digest = l.digest)";

/// Deletes the expired links of blobs that this step has locked. A link that
/// somebody refers to right now is passed over, and so is one that has got a
/// reference by the time it is locked.
fn links_expire(tx: &WriteTransaction<'_>, locked: &[String], expired: Timestamp) -> Result<()> {
    let places = Places::of(locked);
    let links: Vec<(RepositoryId, String)> = tx.all(
        &format!(
            "select l.repository, l.digest from repository_blob l
             where l.digest in ({}) and l.keep_until <= ?1 and {UNREFERENCED}
             order by l.repository, l.digest{}",
            places.from(2),
            tx.skip_locked()
        ),
        &places.params(&[&expired]),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (repository, digest) in &links {
        tx.execute(
            &format!(
                "delete from repository_blob as l
                 where l.repository = ?1 and l.digest = ?2 and l.keep_until <= ?3
                   and {UNREFERENCED}"
            ),
            params![repository, digest, expired],
        )?;
    }
    Ok(())
}

/// Deletes the rows of those of the locked blobs that no repository links, and
/// returns them.
fn blobs_remove_unlinked(tx: &WriteTransaction<'_>, locked: &[String]) -> Result<Vec<StoredBlob>> {
    let places = Places::of(locked);
    tx.all(
        &format!(
            "delete from blob as b where b.digest in ({})
               and not exists (select 1 from repository_blob l where l.digest = b.digest)
             returning digest, size, location",
            places.from(1)
        ),
        &places.params(&[]),
        |row| {
            Ok(StoredBlob {
                digest: parsed(row, 0)?,
                size: row.get(1)?,
                location: parsed(row, 2)?,
            })
        },
    )
}

/// Drops the candidates that have been looked at. A blob that somebody else
/// holds is looked at again later, and so is a link that was passed over.
fn candidates_remove(
    tx: &WriteTransaction<'_>,
    claimed: &[(Vec<u8>, String)],
    locked: &[String],
    expired: Timestamp,
) -> Result<u64> {
    let mut dropped = 0;
    let is_locked = |digest: &String| locked.binary_search(digest).is_ok();
    let (looked_at, passed_over): (Vec<_>, Vec<_>) =
        claimed.iter().partition(|(_, digest)| is_locked(digest));
    for (ids, gone) in [
        (looked_at, ""),
        (
            passed_over,
            "and not exists (select 1 from blob b where b.digest = c.digest)",
        ),
    ] {
        if ids.is_empty() {
            continue;
        }
        let ids: Vec<Vec<u8>> = ids.into_iter().map(|(id, _)| id.clone()).collect();
        let places = Places::of(&ids);
        dropped += tx.execute(
            &format!(
                "delete from candidate as c where c.id in ({}) {gone}
                 and not exists (select 1 from repository_blob l where l.digest = c.digest
                                 and l.keep_until <= ?1 and {UNREFERENCED})",
                places.from(2)
            ),
            &places.params(&[&expired]),
        )?;
    }
    Ok(dropped)
}

/// A list of parameters, filled up to one of a few lengths by naming the last
/// one again, so that there are few statements to prepare.
struct Places<'a, T>(Vec<&'a T>);

impl<'a, T: ToValue> Places<'a, T> {
    fn of(values: &'a [T]) -> Self {
        let length = values.len().next_power_of_two();
        let last = values.last().into_iter().cycle();
        Self(values.iter().chain(last).take(length).collect())
    }

    /// `?2, ?3`, from the place `first` on.
    fn from(&self, first: usize) -> String {
        placeholders(first, self.0.len())
    }

    fn params(&self, before: &[&'a dyn ToValue]) -> Vec<&dyn ToValue> {
        let list = self.0.iter().map(|value| value as &dyn ToValue);
        before.iter().copied().chain(list).collect()
    }
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
           where l.digest = b.digest and (r.purge_due is null or r.purge_due > ?2) and (
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
