//! The table `tag`.
//!
//! Whoever sets, moves or takes a tag holds the lock of its row, or has just
//! inserted it. Rows are locked in one order everywhere: manifests, then tags
//! in the order of their names, then the repository.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, Row, WriteTransaction, params};
use landfall_ids::{ManifestId, RepositoryId};
use landfall_oci::Tag;

use super::columns::parsed;
use crate::model::TagStatus;

/// Makes the tag; `false` if it is there.
pub(crate) fn tag_insert(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    tag: &Tag,
    manifest: ManifestId,
    now: Timestamp,
) -> Result<bool> {
    let inserted = tx.execute(
        "insert into tag(repository, name, manifest, created, updated) values (?1, ?2, ?3, ?4, ?4)
         on conflict (repository, name) do nothing",
        params![repository, tag.as_str(), manifest, now],
    )?;
    Ok(inserted == 1)
}

/// What the tag points at. It stays so until the end of the transaction.
pub(crate) fn tag_lock(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    tag: &Tag,
) -> Result<Option<ManifestId>> {
    tx.first(
        &format!(
            "select manifest from tag where repository = ?1 and name = ?2{}",
            tx.for_update()
        ),
        params![repository, tag.as_str()],
        |row| row.get(0),
    )
}

/// The tags that point at the manifest, in order. They stay so until the end of
/// the transaction.
pub(crate) fn tag_lock_all(tx: &WriteTransaction<'_>, manifest: ManifestId) -> Result<Vec<Tag>> {
    tx.all(
        &format!(
            "select name from tag where manifest = ?1 order by name{}",
            tx.for_update()
        ),
        params![manifest],
        |row| parsed(row, 0),
    )
}

/// Points the tag at another manifest than `from`; `false` if it does not
/// point there.
pub(crate) fn tag_move(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    tag: &Tag,
    (from, to): (ManifestId, ManifestId),
    now: Timestamp,
) -> Result<bool> {
    let moved = tx.execute(
        "update tag set manifest = ?4, updated = ?5
         where repository = ?1 and name = ?2 and manifest = ?3",
        params![repository, tag.as_str(), from, to, now],
    )?;
    Ok(moved == 1)
}

/// Takes the tag away; `false` if it does not point at `from`.
pub(crate) fn tag_remove(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    tag: &Tag,
    from: ManifestId,
) -> Result<bool> {
    let removed = tx.execute(
        "delete from tag where repository = ?1 and name = ?2 and manifest = ?3",
        params![repository, tag.as_str(), from],
    )?;
    Ok(removed == 1)
}

/// Tags after `last`, in the order of their bytes.
pub(crate) fn tag_page(
    tx: &ReadTransaction<'_>,
    repository: RepositoryId,
    last: &str,
    limit: usize,
) -> Result<Vec<Tag>> {
    tx.all(
        "select t.name from tag t join manifest m on m.id = t.manifest
         where t.repository = ?1 and t.name > ?2 and m.deleted is null
         order by t.name limit ?3",
        params![repository, last, limit],
        |row| parsed(row, 0),
    )
}

const COLUMNS: &str = "t.name, m.digest, m.media_type, t.created, t.updated";

fn status(row: &Row<'_>) -> Result<TagStatus> {
    Ok(TagStatus {
        tag: parsed(row, 0)?,
        digest: parsed(row, 1)?,
        media_type: parsed(row, 2)?,
        created: row.get(3)?,
        updated: row.get(4)?,
        immutable: false,
    })
}

/// Tags after `last`, in the order of their bytes, with what they point at.
pub(crate) fn tag_statuses(
    tx: &ReadTransaction<'_>,
    repository: RepositoryId,
    last: &str,
    limit: usize,
) -> Result<Vec<TagStatus>> {
    tx.all(
        &format!(
            "select {COLUMNS} from tag t join manifest m on m.id = t.manifest
             where t.repository = ?1 and t.name > ?2 and m.deleted is null
             order by t.name limit ?3"
        ),
        params![repository, last, limit],
        status,
    )
}

/// One tag with what it points at.
pub(crate) fn tag_status(
    tx: &ReadTransaction<'_>,
    repository: RepositoryId,
    tag: &Tag,
) -> Result<Option<TagStatus>> {
    tx.first(
        &format!(
            "select {COLUMNS} from tag t join manifest m on m.id = t.manifest
             where t.repository = ?1 and t.name = ?2 and m.deleted is null"
        ),
        params![repository, tag.as_str()],
        status,
    )
}

/// The tags that point at the manifest, in order.
pub(crate) fn tag_names(tx: &ReadTransaction<'_>, manifest: ManifestId) -> Result<Vec<Tag>> {
    tx.all(
        "select name from tag where manifest = ?1 order by name",
        params![manifest],
        |row| parsed(row, 0),
    )
}
