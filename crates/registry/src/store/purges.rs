//! Purges: what was hidden lets go of its references.
//!
//! A purged manifest hands its blobs over to the collector: their links are
//! kept for a promise after the manifest was hidden, and a candidate is
//! written for each.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, WriteTransaction, params};
use landfall_ids::{ManifestId, RepositoryId};
use landfall_oci::Digest;

use super::{
    candidates::candidate_insert, columns::parsed, manifests::manifest_hide, repositories,
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
    for (id, deleted) in &hidden {
        purge_manifest(tx, *id, promise.given(*deleted), now)?;
    }
    Ok(hidden.len() as u64)
}

/// How many hidden manifests [`purge_manifests`] would purge.
pub(crate) fn purge_count(tx: &ReadTransaction<'_>, due: Timestamp) -> Result<u64> {
    tx.number(
        "select count(*) from manifest where purge_due <= ?1",
        params![due],
    )
}

fn purge_manifest(
    tx: &WriteTransaction<'_>,
    id: ManifestId,
    keep_until: Timestamp,
    now: Timestamp,
) -> Result<()> {
    let blobs: Vec<(RepositoryId, Digest)> = tx.all(
        "select repository, digest from manifest_blob where manifest = ?1 order by digest",
        params![id],
        |row| Ok((row.get(0)?, parsed(row, 1)?)),
    )?;
    for (repository, digest) in &blobs {
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
        candidate_insert(tx, digest, kept.unwrap_or(now), now)?;
    }
    for sql in [
        "delete from manifest_blob where manifest = ?1",
        "delete from manifest_child where manifest = ?1",
        "delete from pin where manifest = ?1",
        "delete from tag where manifest = ?1",
        "delete from manifest where id = ?1",
    ] {
        tx.execute(sql, params![id])?;
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
    let manifests: Vec<ManifestId> = tx.all(
        "select id from manifest where repository = ?1 limit ?2",
        params![repository, limit],
        |row| row.get(0),
    )?;
    for manifest in &manifests {
        // The repository was hidden when it was deleted; nobody was promised
        // anything since.
        purge_manifest(tx, *manifest, now, now)?;
    }
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
    repositories::repository_remove(tx, repository)?;
    Ok(false)
}

/// Hides up to `limit` manifests that no root holds and that none has held
/// after `before`: no tag, no index that can be seen, no subject that can be
/// seen, no pin.
pub(crate) fn hide_untagged(
    tx: &WriteTransaction<'_>,
    before: Timestamp,
    now: Timestamp,
    purge_due: Timestamp,
    limit: usize,
) -> Result<u64> {
    let alone: Vec<(RepositoryId, Digest)> = tx.all(
        "select m.repository, m.digest from manifest m
         where m.deleted is null and m.held_until <= ?1
           and not exists (select 1 from tag t where t.manifest = m.id)
           and not exists (select 1 from manifest_child c join manifest i on i.id = c.manifest
                           where c.repository = m.repository and c.digest = m.digest
                             and i.deleted is null)
           and not exists (select 1 from manifest s where s.repository = m.repository
                           and s.digest = m.subject and s.deleted is null)
           and not exists (select 1 from pin p where p.manifest = m.id and p.until > ?2)
         limit ?3",
        params![before, now, limit],
        |row| Ok((row.get(0)?, parsed(row, 1)?)),
    )?;
    for (repository, digest) in &alone {
        manifest_hide(tx, *repository, digest, now, purge_due)?;
    }
    Ok(alone.len() as u64)
}

/// Forgets pins that have ended.
pub(crate) fn pins_expire(tx: &WriteTransaction<'_>, now: Timestamp) -> Result<u64> {
    tx.execute(
        "update manifest set held_until = ?1
         where id in (select manifest from pin where until <= ?1)",
        params![now],
    )?;
    tx.execute("delete from pin where until <= ?1", params![now])
}
