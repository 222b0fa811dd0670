//! The tables `manifest`, `manifest_blob` and `manifest_child`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use bytes::Bytes;
use landfall_clock::Timestamp;
use landfall_database::{Database, ReadTransaction, Result, WriteTransaction, params};
use landfall_ids::{DeletionId, ManifestId, RepositoryId};
use landfall_oci::{Digest, Manifest, Reference, RepositoryName};

use super::columns::parsed;
use crate::model::{Referrer, StoredManifest};

const BY_TAG: &str = "select m.id from repository r
    join tag t on t.repository = r.id
    join manifest m on m.id = t.manifest
    where r.name = ?1 and r.deleted is null and t.name = ?2 and m.deleted is null";
const BY_DIGEST: &str = "select m.id from repository r
    join manifest m on m.repository = r.id
    where r.name = ?1 and r.deleted is null and m.digest = ?2 and m.deleted is null";

/// As [`manifest_resolve`], by itself: what each pull looks up.
pub(crate) fn manifest_look_up(
    database: &Database,
    name: &RepositoryName,
    reference: &Reference,
) -> impl Future<Output = Result<Option<ManifestId>>> + use<> {
    let name = name.as_str();
    let (sql, by) = match reference {
        Reference::Tag(tag) => (BY_TAG, Cow::Borrowed(tag.as_str())),
        Reference::Digest(digest) => (BY_DIGEST, Cow::Owned(digest.to_string())),
    };
    database.row(sql, params![name, by.as_ref() as &str], |row| row.get(0))
}

/// The manifest that a tag or a digest names, or `None`: no such repository,
/// no such name, or hidden. One statement for all of these.
pub(crate) fn manifest_resolve(
    tx: &ReadTransaction<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Option<ManifestId>> {
    match reference {
        Reference::Tag(tag) => {
            let params = params![name.as_str(), tag.as_str()];
            tx.first(BY_TAG, params, |row| row.get(0))
        }
        Reference::Digest(digest) => {
            let params = params![name.as_str(), digest.to_string()];
            tx.first(BY_DIGEST, params, |row| row.get(0))
        }
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
         set deleted = null, purge_due = null, deletion = null,
             held_until = excluded.held_until
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
            tx.for_key_share()
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

/// The digest of a manifest that can be seen. It can be until the end of the
/// transaction, and nothing begins to refer to it meanwhile.
pub(crate) fn manifest_lock(tx: &WriteTransaction<'_>, id: ManifestId) -> Result<Option<Digest>> {
    tx.first(
        &format!(
            "select digest from manifest where id = ?1 and deleted is null{}",
            tx.for_update()
        ),
        params![id],
        |row| parsed(row, 0),
    )
}

/// The digest of a manifest.
pub(crate) fn manifest_digest(tx: &ReadTransaction<'_>, id: ManifestId) -> Result<Option<Digest>> {
    tx.first(
        "select digest from manifest where id = ?1",
        params![id],
        |row| parsed(row, 0),
    )
}

/// The repository of a manifest.
pub(crate) fn manifest_repository(
    tx: &ReadTransaction<'_>,
    id: ManifestId,
) -> Result<Option<RepositoryId>> {
    tx.first(
        "select repository from manifest where id = ?1",
        params![id],
        |row| row.get(0),
    )
}

/// Hides a manifest whose row is locked.
pub(crate) fn manifest_hide(
    tx: &WriteTransaction<'_>,
    id: ManifestId,
    digest: &Digest,
    (now, purge_due): (Timestamp, Timestamp),
    deletion: DeletionId,
) -> Result<()> {
    tx.execute(
        "update manifest set deleted = ?2, purge_due = ?3, deletion = ?4
         where id = ?1 and deleted is null",
        params![id, now, purge_due, deletion],
    )?;
    // From now on it holds its children and its referrers no more.
    tx.execute(
        "update manifest set held_until = ?3
         where repository in (select repository from manifest where id = ?1)
           and (subject = ?2 or digest in
                 (select digest from manifest_child where manifest = ?1))",
        params![id, digest.to_string(), now],
    )?;
    Ok(())
}

/// A manifest that is there, seen or hidden.
pub(crate) struct Standing {
    pub(crate) id: ManifestId,
    /// Since when it is hidden.
    pub(crate) deleted: Option<Timestamp>,
    /// When it lets go of what it refers to.
    pub(crate) purge_due: Option<Timestamp>,
    /// The act that has hidden it.
    pub(crate) deletion: Option<DeletionId>,
}

/// How a manifest stands.
pub(crate) fn manifest_standing(
    tx: &ReadTransaction<'_>,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<Standing>> {
    tx.first(
        "select id, deleted, purge_due, deletion from manifest
         where repository = ?1 and digest = ?2",
        params![repository, digest.to_string()],
        |row| {
            Ok(Standing {
                id: row.get(0)?,
                deleted: row.get(1)?,
                purge_due: row.get(2)?,
                deletion: row.get(3)?,
            })
        },
    )
}

/// What one act has hidden and is still hidden, in the order of ids.
pub(crate) fn manifest_hidden_by(
    tx: &ReadTransaction<'_>,
    repository: RepositoryId,
    deletion: DeletionId,
) -> Result<Vec<ManifestId>> {
    tx.all(
        "select id from manifest
         where deletion = ?2 and repository = ?1 and deleted is not null order by id",
        params![repository, deletion],
        |row| row.get(0),
    )
}

/// Shows a hidden manifest again and gives its digest; `None` if it is not
/// hidden, or its time to undo has ended. Its links have to be shown as well.
pub(crate) fn manifest_show(
    tx: &WriteTransaction<'_>,
    id: ManifestId,
    now: Timestamp,
) -> Result<Option<Digest>> {
    tx.first(
        "update manifest set deleted = null, purge_due = null, deletion = null, held_until = ?2
         where id = ?1 and deleted is not null and purge_due > ?2 returning digest",
        params![id, now],
        |row| parsed(row, 0),
    )
}

/// Shows the links of the blobs that these manifests need. A blob that nothing
/// seen needed may have been deleted meanwhile, or is being deleted just now:
/// so each link is written to, also one that can be seen. The bytes are there:
/// the references have held them.
pub(crate) fn manifest_links_show(
    tx: &WriteTransaction<'_>,
    manifests: &[ManifestId],
) -> Result<()> {
    let mut links = BTreeSet::new();
    for id in manifests {
        links.extend(manifest_links(tx, *id)?);
    }
    for (repository, digest) in links {
        tx.execute(
            "update repository_blob set deleted = null where repository = ?1 and digest = ?2",
            params![repository, digest.to_string()],
        )?;
    }
    Ok(())
}

/// The links that the manifest refers to. Whoever writes to links of several
/// manifests puts them all in order first: that is how they are locked.
pub(crate) fn manifest_links(
    tx: &ReadTransaction<'_>,
    id: ManifestId,
) -> Result<Vec<(RepositoryId, Digest)>> {
    tx.all(
        "select repository, digest from manifest_blob where manifest = ?1 order by digest",
        params![id],
        |row| Ok((row.get(0)?, parsed(row, 1)?)),
    )
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
