//! The tables `manifest`, `manifest_blob` and `manifest_child`.

use std::collections::BTreeMap;

use bytes::Bytes;
use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, WriteTransaction, params};
use landfall_ids::{ManifestId, RepositoryId};
use landfall_oci::{Digest, Manifest, Reference, RepositoryName};

use super::columns::parsed;
use crate::model::{Referrer, StoredManifest};

/// The manifest that a tag or a digest names, or `None`: no such repository,
/// no such name, or hidden. One statement for all of these.
pub(crate) fn manifest_resolve(
    tx: &ReadTransaction<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Option<ManifestId>> {
    match reference {
        Reference::Tag(tag) => tx.first(
            "select m.id from repository r
             join tag t on t.repository = r.id
             join manifest m on m.id = t.manifest
             where r.name = ?1 and r.deleted is null and t.name = ?2 and m.deleted is null",
            params![name.as_str(), tag.as_str()],
            |row| row.get(0),
        ),
        Reference::Digest(digest) => tx.first(
            "select m.id from repository r
             join manifest m on m.repository = r.id
             where r.name = ?1 and r.deleted is null and m.digest = ?2 and m.deleted is null",
            params![name.as_str(), digest.to_string()],
            |row| row.get(0),
        ),
    }
}

/// The content of a manifest. It never changes, so it may be kept in memory.
pub(crate) fn manifest_load(
    tx: &ReadTransaction<'_>,
    id: ManifestId,
) -> Result<Option<StoredManifest>> {
    tx.first(
        "select digest, media_type, content from manifest where id = ?1",
        params![id],
        |row| {
            Ok(StoredManifest {
                id,
                digest: parsed(row, 0)?,
                media_type: parsed(row, 1)?,
                content: Bytes::from(row.get::<Vec<u8>>(2)?),
            })
        },
    )
}

/// A manifest on its way in.
pub(crate) struct NewManifest<'a> {
    pub(crate) repository: RepositoryId,
    pub(crate) digest: Digest,
    pub(crate) manifest: &'a Manifest,
    pub(crate) content: &'a Bytes,
    pub(crate) now: Timestamp,
}

/// Inserts the manifest, or shows one that was hidden, and returns its id.
pub(crate) fn manifest_upsert(
    tx: &WriteTransaction<'_>,
    new: &NewManifest<'_>,
) -> Result<Option<ManifestId>> {
    let annotations = (!new.manifest.annotations.is_empty())
        .then(|| serde_json::to_string(&new.manifest.annotations).unwrap_or_default());
    tx.first(
        "insert into manifest(id, repository, digest, media_type, artifact_type, subject,
                              annotations, size, created, held_until, content)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)
         on conflict (repository, digest) do update
         set deleted = null, purge_due = null, held_until = excluded.held_until
         returning id",
        params![
            ManifestId::new_at(new.now.unix_micros()),
            new.repository,
            new.digest.to_string(),
            new.manifest.media_type.as_str(),
            new.manifest
                .referrer_type()
                .map(|media_type| media_type.as_str().to_owned()),
            new.manifest
                .subject
                .as_ref()
                .map(|subject| subject.digest.to_string()),
            annotations,
            new.content.len(),
            new.now,
            &new.content[..]
        ],
        |row| row.get(0),
    )
}

/// Refers to a blob; the foreign key refuses one that is not linked.
pub(crate) fn manifest_blob_insert(
    tx: &WriteTransaction<'_>,
    manifest: ManifestId,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<()> {
    tx.execute(
        "insert into manifest_blob(manifest, repository, digest) values (?1, ?2, ?3)
         on conflict (manifest, digest) do nothing",
        params![manifest, repository, digest.to_string()],
    )?;
    Ok(())
}

/// Refers from an index to a manifest of the same repository; `false` if it
/// is not there.
pub(crate) fn manifest_child_insert(
    tx: &WriteTransaction<'_>,
    index: ManifestId,
    repository: RepositoryId,
    child: &Digest,
) -> Result<bool> {
    let child = child.to_string();
    let is_there = tx.exists(
        &format!(
            "select 1 from manifest where repository = ?1 and digest = ?2 and deleted is null{}",
            tx.for_update()
        ),
        params![repository, child],
    )?;
    if is_there {
        tx.execute(
            "insert into manifest_child(manifest, repository, digest) values (?1, ?2, ?3)
             on conflict (manifest, digest) do nothing",
            params![index, repository, child],
        )?;
    }
    Ok(is_there)
}

/// Hides the manifest and takes its tags away; `false` if it is not there.
pub(crate) fn manifest_hide(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    digest: &Digest,
    now: Timestamp,
    purge_due: Timestamp,
) -> Result<bool> {
    let hidden: Option<ManifestId> = tx.first(
        "update manifest set deleted = ?3, purge_due = ?4
         where repository = ?1 and digest = ?2 and deleted is null returning id",
        params![repository, digest.to_string(), now, purge_due],
        |row| row.get(0),
    )?;
    if let Some(id) = hidden {
        tx.execute("delete from tag where manifest = ?1", params![id])?;
        // From now on it holds its children and its referrers no more.
        tx.execute(
            "update manifest set held_until = ?4
             where repository = ?2 and (subject = ?3 or digest in
                   (select digest from manifest_child where manifest = ?1))",
            params![id, repository, digest.to_string(), now],
        )?;
    }
    Ok(hidden.is_some())
}

/// Whether a manifest that can be seen needs the blob.
pub(crate) fn manifest_needs_blob(
    tx: &ReadTransaction<'_>,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<bool> {
    tx.exists(
        "select 1 from manifest_blob mb join manifest m on m.id = mb.manifest
         where mb.repository = ?1 and mb.digest = ?2 and m.deleted is null",
        params![repository, digest.to_string()],
    )
}

/// The digests of the manifests whose subject is `subject`, in order.
pub(crate) fn manifest_referrer_digests(
    tx: &ReadTransaction<'_>,
    name: &RepositoryName,
    subject: &Digest,
    limit: usize,
) -> Result<Vec<Digest>> {
    tx.all(
        "select m.digest from repository r join manifest m on m.repository = r.id
         where r.name = ?1 and r.deleted is null and m.subject = ?2 and m.deleted is null
         order by m.digest limit ?3",
        params![name.as_str(), subject.to_string(), limit],
        |row| parsed(row, 0),
    )
}

/// Manifests whose subject is `subject`, after `last`, in digest order. Stops
/// where their annotations come to more than `bytes`; then the last one is the
/// first that did not fit.
pub(crate) fn manifest_referrers(
    tx: &ReadTransaction<'_>,
    name: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&str>,
    last: &str,
    (limit, bytes): (usize, usize),
) -> Result<Vec<Referrer>> {
    let mut taken = 0;
    tx.all_while(
        "select m.digest, m.media_type, m.size, m.artifact_type, m.annotations
         from repository r join manifest m on m.repository = r.id
         where r.name = ?1 and r.deleted is null and m.subject = ?2 and m.deleted is null
           and (?3 is null or m.artifact_type = ?3) and m.digest > ?4
         order by m.digest limit ?5",
        params![
            name.as_str(),
            subject.to_string(),
            artifact_type,
            last,
            limit
        ],
        |row| {
            let annotations: Option<String> = row.get(4)?;
            taken += 256 + annotations.as_ref().map_or(0, String::len);
            let more = taken <= bytes;
            let referrer = Referrer {
                digest: parsed(row, 0)?,
                media_type: parsed(row, 1)?,
                size: row.get(2)?,
                artifact_type: row.get(3)?,
                annotations: read_annotations(annotations),
            };
            Ok((referrer, more))
        },
    )
}

fn read_annotations(text: Option<String>) -> BTreeMap<String, String> {
    // Written by `manifest_upsert`, from a map of texts.
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

/// A manifest with its bytes, for the check of the whole store.
pub(crate) struct ManifestRow {
    pub(crate) id: ManifestId,
    pub(crate) digest: Digest,
    pub(crate) content: Bytes,
    pub(crate) repository: String,
}

/// Every manifest after `last` that can be seen in a repository that can be
/// seen, in the order of ids.
pub(crate) fn manifest_page(
    tx: &ReadTransaction<'_>,
    last: Option<ManifestId>,
    limit: usize,
) -> Result<Vec<ManifestRow>> {
    let last = last.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    tx.all(
        "select m.id, m.digest, m.content, r.name
         from manifest m join repository r on r.id = m.repository
         where m.id > ?1 and m.deleted is null and r.deleted is null order by m.id limit ?2",
        params![last, limit],
        |row| {
            Ok(ManifestRow {
                id: row.get(0)?,
                digest: parsed(row, 1)?,
                content: Bytes::from(row.get::<Vec<u8>>(2)?),
                repository: row.get(3)?,
            })
        },
    )
}

/// The digests that the manifest's rows refer to: blobs, then children.
pub(crate) fn manifest_references(
    tx: &ReadTransaction<'_>,
    id: ManifestId,
) -> Result<(Vec<Digest>, Vec<Digest>)> {
    let blobs = tx.all(
        "select digest from manifest_blob where manifest = ?1 order by digest",
        params![id],
        |row| parsed(row, 0),
    )?;
    let children = tx.all(
        "select digest from manifest_child where manifest = ?1 order by digest",
        params![id],
        |row| parsed(row, 0),
    )?;
    Ok((blobs, children))
}
