//! Purges: what was hidden lets go of its references.
//!
//! A purged manifest hands its blobs over to the collector: their links are
//! kept for a promise after the manifest was hidden, and a candidate is
//! written for each.

use std::collections::BTreeMap;

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, WriteTransaction, params};
use landfall_ids::{ManifestId, RepositoryId};
use landfall_oci::Digest;

use super::{
    candidates::candidate_insert, columns::parsed, history::history_end_of_repository,
    manifests::manifest_links, repositories, usage::usage_remove,
};
use crate::promise::Promise;

/// Purges up to `limit` hidden manifests whose time has come.
pub(crate) fn purge_manifests(
    tx: &WriteTransaction<'_>,
    due: Timestamp,
    now: Timestamp,
    promise: Promise,
    limit: usize,
) -> Result<u64> {
    let hidden: Vec<(ManifestId, Timestamp)> = tx.all(
        &format!(
            "select id, deleted from manifest where purge_due <= ?1 order by purge_due limit ?2{}",
            tx.skip_locked()
        ),
        params![due, limit],
        |row| Ok((row.get(0)?, row.get::<Option<Timestamp>>(1)?.unwrap_or(now))),
    )?;
    let kept = hidden
        .iter()
        .map(|(id, deleted)| (*id, promise.given(*deleted)));
    purge(tx, &kept.collect::<Vec<_>>(), now)?;
    Ok(hidden.len() as u64)
}

/// How many hidden manifests [`purge_manifests`] would purge.
pub(crate) fn purge_count(tx: &ReadTransaction<'_>, due: Timestamp) -> Result<u64> {
    tx.number(
        "select count(*) from manifest where purge_due <= ?1",
        params![due],
    )
}

/// Purges manifests, each with the time until which the links of its blobs are
/// kept. Links are locked in their order, whichever manifest refers to them.
fn purge(
    tx: &WriteTransaction<'_>,
    manifests: &[(ManifestId, Timestamp)],
    now: Timestamp,
) -> Result<()> {
    let mut links = BTreeMap::new();
    for (id, keep_until) in manifests {
        for link in manifest_links(tx, *id)? {
            let kept = links.entry(link).or_insert(*keep_until);
            *kept = (*kept).max(*keep_until);
        }
    }
    for ((repository, digest), keep_until) in links {
        let kept: Option<Timestamp> = tx.first(
            "update repository_blob
             set keep_until = case when keep_until < ?3 and deleted is null
                                   then ?3 else keep_until end
             where repository = ?1 and digest = ?2 returning keep_until",
            params![repository, digest.to_string(), keep_until],
            |row| row.get(0),
        )?;
        // Due when the link may go, and not earlier: an earlier one would be
        // dropped, and the candidate of a later promise may be gone already.
        candidate_insert(tx, &digest, kept.unwrap_or(now), now)?;
    }
    for (id, _) in manifests {
        for sql in [
            "delete from manifest_blob where manifest = ?1",
            "delete from manifest_child where manifest = ?1",
            "delete from pin where manifest = ?1",
            "delete from tag where manifest = ?1",
            "delete from manifest where id = ?1",
        ] {
            tx.execute(sql, params![id])?;
        }
    }
    Ok(())
}

/// Makes up to `limit` manifests of a hidden repository due for the purge, and
/// takes its links away when none is left. Whether anything is left to do.
pub(crate) fn purge_repository(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    now: Timestamp,
    limit: usize,
) -> Result<bool> {
    // The repository was hidden when it was deleted; nobody was promised
    // anything since.
    let manifests: Vec<(ManifestId, Timestamp)> = tx.all(
        "select id from manifest where repository = ?1 limit ?2",
        params![repository, limit],
        |row| Ok((row.get(0)?, now)),
    )?;
    purge(tx, &manifests, now)?;
    if !manifests.is_empty() {
        return Ok(true);
    }
    let links: Vec<Digest> = tx.all(
        "select digest from repository_blob where repository = ?1 order by digest limit ?2",
        params![repository, limit],
        |row| parsed(row, 0),
    )?;
    for digest in &links {
        tx.execute(
            "delete from repository_blob where repository = ?1 and digest = ?2",
            params![repository, digest.to_string()],
        )?;
        candidate_insert(tx, digest, now, now)?;
    }
    if !links.is_empty() {
        return Ok(true);
    }
    let uploads = super::uploads::upload_end_of_repository(tx, repository, limit)?;
    if !uploads.is_empty() {
        return Ok(true);
    }
    if history_end_of_repository(tx, repository, limit)? > 0 {
        return Ok(true);
    }
    usage_remove(tx, repository)?;
    repositories::repository_remove(tx, repository)?;
    Ok(false)
}

/// What is true of a manifest `m` that no root holds, and none has held after
/// `?1`: no tag, no index, no subject, no pin at `?2`; and no tag has been moved
/// away from it, or deleted, after `?3`. Indexes and subjects are those that can
/// be seen, or brought back at `?2`.
const ALONE: &str = "m.deleted is null and m.held_until <= ?1
    and not exists (select 1 from tag t where t.manifest = m.id)
    and not exists (select 1 from manifest_child c join manifest i on i.id = c.manifest
                    where c.repository = m.repository and c.digest = m.digest
                      and (i.deleted is null or i.purge_due > ?2))
    and not exists (select 1 from manifest s where s.repository = m.repository
                    and s.digest = m.subject
                    and (s.deleted is null or s.purge_due > ?2))
    and not exists (select 1 from pin p where p.manifest = m.id and p.until > ?2)
    and not exists (select 1 from tag_history h where h.repository = m.repository
                    and h.digest_before = m.digest and h.happened > ?3)";

/// When a manifest without roots is old enough to go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UntaggedTimes {
    /// It was held by nothing after that.
    pub(crate) before: Timestamp,
    /// Pins that last longer count, and what can be brought back then.
    pub(crate) now: Timestamp,
    /// What a tag has let go of after that counts as tagged: it is younger
    /// than `before`, or it can be undone.
    pub(crate) untagged: Timestamp,
}

/// Up to `limit` manifests after `last` that no root holds, in the order of ids.
pub(crate) fn untagged_page(
    tx: &ReadTransaction<'_>,
    times: UntaggedTimes,
    last: Option<ManifestId>,
    limit: usize,
) -> Result<Vec<ManifestId>> {
    let last = last.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    tx.all(
        &format!("select m.id from manifest m where m.id > ?4 and {ALONE} order by m.id limit ?5"),
        params![times.before, times.now, times.untagged, last, limit],
        |row| row.get(0),
    )
}

/// Locks a manifest and looks once more whether no root holds it; `false` if
/// one does by now, or if somebody works with it.
pub(crate) fn untagged_lock(
    tx: &WriteTransaction<'_>,
    id: ManifestId,
    times: UntaggedTimes,
) -> Result<bool> {
    let locked = tx.exists(
        &format!(
            "select 1 from manifest where id = ?1 and deleted is null{}",
            tx.skip_locked()
        ),
        params![id],
    )?;
    // By a later statement than the lock, which sees what committed before it.
    Ok(locked
        && tx.exists(
            &format!("select 1 from manifest m where m.id = ?4 and {ALONE}"),
            params![times.before, times.now, times.untagged, id],
        )?)
}
