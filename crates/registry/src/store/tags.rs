//! The table `tag`.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, WriteTransaction, params};
use landfall_ids::{ManifestId, RepositoryId};
use landfall_oci::Tag;

use super::columns::parsed;

/// Points the tag at the manifest.
pub(crate) fn tag_upsert(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    tag: &Tag,
    manifest: ManifestId,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "update manifest set held_until = ?4 where id in
           (select manifest from tag where repository = ?1 and name = ?2 and manifest <> ?3)",
        params![repository, tag.as_str(), manifest, now],
    )?;
    tx.execute(
        "insert into tag(repository, name, manifest, created, updated) values (?1, ?2, ?3, ?4, ?4)
         on conflict (repository, name) do update
         set manifest = excluded.manifest, updated = excluded.updated",
        params![repository, tag.as_str(), manifest, now],
    )?;
    Ok(())
}

/// Takes the tag away, and tells what it pointed at.
pub(crate) fn tag_delete(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    tag: &Tag,
    now: Timestamp,
) -> Result<Option<ManifestId>> {
    let tagged: Option<ManifestId> = tx.first(
        "delete from tag where repository = ?1 and name = ?2 returning manifest",
        params![repository, tag.as_str()],
        |row| row.get(0),
    )?;
    if let Some(manifest) = tagged {
        tx.execute(
            "update manifest set held_until = ?2 where id = ?1",
            params![manifest, now],
        )?;
    }
    Ok(tagged)
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

/// The tags that point at the manifest, in order.
pub(crate) fn tag_names(tx: &ReadTransaction<'_>, manifest: ManifestId) -> Result<Vec<Tag>> {
    tx.all(
        "select name from tag where manifest = ?1 order by name",
        params![manifest],
        |row| parsed(row, 0),
    )
}
