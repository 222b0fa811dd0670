//! Manifests as a person lists them: with tags, sizes and relations.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, Row, params};
use landfall_ids::{ManifestId, RepositoryId};
use landfall_oci::Tag;

use super::{
    columns::{parsed, parsed_if_any},
    tags::tag_names,
};
use crate::model::Image;

const COLUMNS: &str = "m.id, m.digest, m.media_type, m.artifact_type, m.subject, m.created,
    m.size + coalesce((select sum(b.size) from manifest_blob mb join blob b on b.digest = mb.digest
                       where mb.manifest = m.id), 0)";

fn image(row: &Row<'_>) -> Result<(ManifestId, Image)> {
    let image = Image {
        digest: parsed(row, 1)?,
        media_type: parsed(row, 2)?,
        artifact_type: row.get(3)?,
        subject: parsed_if_any(row, 4)?,
        created: row.get(5)?,
        tags: Vec::new(),
        size: row.get(6)?,
    };
    Ok((row.get(0)?, image))
}

fn with_tags(tx: &ReadTransaction<'_>, found: Vec<(ManifestId, Image)>) -> Result<Vec<Image>> {
    let tagged = found.into_iter().map(|(id, image)| {
        Ok(Image {
            tags: tag_names(tx, id)?,
            ..image
        })
    });
    tagged.collect()
}

/// Images of the repository after `last`, in digest order.
pub(crate) fn image_page(
    tx: &ReadTransaction<'_>,
    repository: RepositoryId,
    last: &str,
    limit: usize,
) -> Result<Vec<Image>> {
    let found = tx.all(
        &format!(
            "select {COLUMNS} from manifest m
             where m.repository = ?1 and m.deleted is null and m.digest > ?2
             order by m.digest limit ?3"
        ),
        params![repository, last, limit],
        image,
    )?;
    with_tags(tx, found)
}

/// One image.
pub(crate) fn image_find(tx: &ReadTransaction<'_>, id: ManifestId) -> Result<Option<Image>> {
    let found = tx.all(
        &format!("select {COLUMNS} from manifest m where m.id = ?1"),
        params![id],
        image,
    )?;
    Ok(with_tags(tx, found)?.pop())
}

/// The children of an index that can be seen, in digest order.
pub(crate) fn image_children(
    tx: &ReadTransaction<'_>,
    index: ManifestId,
) -> Result<Vec<ManifestId>> {
    tx.all(
        "select m.id from manifest_child c
         join manifest m on m.repository = c.repository and m.digest = c.digest
         where c.manifest = ?1 and m.deleted is null
         order by m.digest",
        params![index],
        |row| row.get(0),
    )
}

/// The indexes that hold the manifest: those that can be seen, and with
/// `restorable` also those that can be brought back then.
pub(crate) fn image_indexes(
    tx: &ReadTransaction<'_>,
    id: ManifestId,
    restorable: Option<Timestamp>,
) -> Result<Vec<ManifestId>> {
    tx.all(
        "select i.id from manifest m
         join manifest_child c on c.repository = m.repository and c.digest = m.digest
         join manifest i on i.id = c.manifest
         where m.id = ?1 and (i.deleted is null or i.purge_due > ?2)",
        params![id, restorable],
        |row| row.get(0),
    )
}

/// Whether the manifest has a pin, or a tag other than `but`.
pub(crate) fn image_is_named(
    tx: &ReadTransaction<'_>,
    id: ManifestId,
    but: Option<&Tag>,
) -> Result<bool> {
    tx.exists(
        "select 1 from tag where manifest = ?1 and name <> ?2
         union all select 1 from pin where manifest = ?1",
        // No tag has an empty name.
        params![id, but.map_or("", Tag::as_str)],
    )
}
