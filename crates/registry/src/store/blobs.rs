//! The tables `blob` and `repository_blob`: what is stored, and who may see it.

use landfall_blobs::Location;
use landfall_clock::Timestamp;
use landfall_database::{Database, ReadTransaction, Result, Row, WriteTransaction, params};
use landfall_ids::{AccountId, RepositoryId};
use landfall_oci::{Digest, RepositoryName};

use super::{
    columns::parsed,
    repositories::{COLUMNS, repository},
};
use crate::model::{Repository, StoredBlob};

/// A link as a positive answer needs to know it.
pub(crate) struct Link {
    pub(crate) repository: RepositoryId,
    pub(crate) blob: StoredBlob,
    pub(crate) keep_until: Timestamp,
    /// Whether a manifest that can be seen refers to it.
    pub(crate) referenced: bool,
}

const LINK: &str = "select r.id, b.digest, b.size, b.location, l.keep_until,
           exists (select 1 from manifest_blob mb join manifest m on m.id = mb.manifest
                   where mb.repository = l.repository and mb.digest = l.digest
                     and m.deleted is null)
    from repository r cross join repository_blob l cross join blob b
    where r.name = ?1 and r.deleted is null and l.repository = r.id
      and l.digest = ?2 and l.deleted is null
      and b.digest = l.digest and b.state = 'live'";

/// The blob as this repository sees it, or `None`: not stored, damaged, not
/// linked, hidden, or no such repository. One statement for all of these, so
/// that they can't be told apart by its cost. It asks for the link first, and
/// only then for the blob (SQLite keeps the order of a cross join): a blob that
/// others hold costs what one costs that nobody holds.
pub(crate) fn link_find(
    tx: &ReadTransaction<'_>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Link>> {
    tx.first(LINK, params![name.as_str(), digest.to_string()], link)
}

/// As [`link_find`], by itself: what each pull looks up.
pub(crate) fn link_look_up(
    database: &Database,
    name: &RepositoryName,
    digest: &Digest,
) -> impl Future<Output = Result<Option<Link>>> + use<> {
    database.row(LINK, params![name.as_str(), digest.to_string()], link)
}

fn link(row: &Row<'_>) -> Result<Link> {
    Ok(Link {
        repository: row.get(0)?,
        blob: blob(row, 1)?,
        keep_until: row.get(4)?,
        referenced: row.get(5)?,
    })
}

fn blob(row: &Row<'_>, first: usize) -> Result<StoredBlob> {
    Ok(StoredBlob {
        digest: parsed(row, first)?,
        size: row.get(first + 1)?,
        location: parsed(row, first + 2)?,
    })
}

/// The size of a blob that the repository may refer to, or `None`. The link
/// stays until the end of the transaction; others may refer to it as well, and
/// may prolong its promise.
pub(crate) fn link_size(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<u64>> {
    let size = tx.first(
        &format!(
            "select (select b.size from blob b where b.digest = l.digest and b.state = 'live')
             from repository_blob l
             where l.repository = ?1 and l.digest = ?2 and l.deleted is null{}",
            tx.for_key_share()
        ),
        params![repository, digest.to_string()],
        |row| row.get(0),
    )?;
    Ok(size.flatten())
}

/// Locks the link against new references; `false` if it is not there. Who asks
/// afterwards whether it is referred to sees every reference.
pub(crate) fn link_lock(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<bool> {
    tx.exists(
        &format!(
            "select 1 from repository_blob
             where repository = ?1 and digest = ?2 and deleted is null{}",
            tx.for_update()
        ),
        params![repository, digest.to_string()],
    )
}

/// Keeps the link until `keep_until` at least; `false` if it is not there.
pub(crate) fn link_extend(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    digest: &Digest,
    keep_until: Timestamp,
) -> Result<bool> {
    let changed = tx.execute(
        "update repository_blob
         set keep_until = case when keep_until < ?3 then ?3 else keep_until end
         where repository = ?1 and digest = ?2 and deleted is null
           and exists (select 1 from blob b where b.digest = ?2 and b.state = 'live')",
        params![repository, digest.to_string(), keep_until],
    )?;
    Ok(changed == 1)
}

/// Links the blob, or shows and keeps a link that is there.
pub(crate) fn link_upsert(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    digest: &Digest,
    keep_until: Timestamp,
) -> Result<()> {
    tx.execute(
        "insert into repository_blob(repository, digest, keep_until, account)
         values (?1, ?2, ?3, (select r.account from repository r where r.id = ?1))
         on conflict (repository, digest) do update set deleted = null,
           account = excluded.account, keep_until =
           case when repository_blob.keep_until < excluded.keep_until
                then excluded.keep_until else repository_blob.keep_until end",
        params![repository, digest.to_string(), keep_until],
    )?;
    Ok(())
}

/// Hides the link, and lets its promise end at `keep_until`; `false` if it is
/// not there.
pub(crate) fn link_hide(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    digest: &Digest,
    now: Timestamp,
) -> Result<bool> {
    let hidden = tx.execute(
        "update repository_blob set deleted = ?3, keep_until = ?3
         where repository = ?1 and digest = ?2 and deleted is null",
        params![repository, digest.to_string(), now],
    )?;
    Ok(hidden == 1)
}

/// Names of repositories of the account that hold the blob, a few. Found by the
/// links of the account alone: how many others hold the blob, or whether anybody
/// does, changes nothing of what is done.
pub(crate) fn link_sources(
    tx: &ReadTransaction<'_>,
    account: AccountId,
    digest: &Digest,
) -> Result<Vec<RepositoryName>> {
    tx.all(
        "select r.name from repository_blob l cross join repository r cross join blob b
         where l.account = ?2 and l.digest = ?1 and l.deleted is null
           and r.id = l.repository and r.deleted is null
           and b.digest = l.digest and b.state = 'live'
         order by r.name limit 8",
        params![digest.to_string(), account],
        |row| parsed(row, 0),
    )
}

/// Every repository that can be seen and sees the blob.
pub(crate) fn link_holders(tx: &ReadTransaction<'_>, digest: &Digest) -> Result<Vec<Repository>> {
    tx.all(
        &format!(
            "select {COLUMNS} from repository_blob l join repository r on r.id = l.repository
             where l.digest = ?1 and l.deleted is null and r.deleted is null order by r.id"
        ),
        params![digest.to_string()],
        repository,
    )
}

/// What [`blob_insert`] did with the bytes that were just stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// They are the blob now.
    Taken,
    /// The blob was there; the new bytes are not needed.
    Known,
    /// They replace damaged bytes, which are not needed any more.
    Healed {
        /// Where the damaged bytes lie.
        damaged: Location,
    },
}

pub(crate) fn blob_insert(
    tx: &WriteTransaction<'_>,
    blob: &StoredBlob,
    now: Timestamp,
) -> Result<Inserted> {
    let digest = blob.digest.to_string();
    let inserted = tx.execute(
        "insert into blob(digest, size, location, state, created) values (?1, ?2, ?3, 'live', ?4)
         on conflict (digest) do nothing",
        params![digest, blob.size, blob.location.as_str(), now],
    )?;
    if inserted == 1 {
        return Ok(Inserted::Taken);
    }
    let damaged: Option<Location> = tx.first(
        &format!(
            "select location from blob where digest = ?1 and state = 'damaged'{}",
            tx.for_update()
        ),
        params![digest],
        |row| parsed(row, 0),
    )?;
    let Some(damaged) = damaged else {
        return Ok(Inserted::Known);
    };
    tx.execute(
        "update blob set location = ?2, size = ?3, state = 'live' where digest = ?1",
        params![digest, blob.location.as_str(), blob.size],
    )?;
    Ok(Inserted::Healed { damaged })
}

/// Marks the blob as damaged, if it still lies at this location.
pub(crate) fn blob_set_damaged(
    tx: &WriteTransaction<'_>,
    digest: &Digest,
    location: &Location,
) -> Result<bool> {
    let marked = tx.execute(
        "update blob set state = 'damaged' where digest = ?1 and location = ?2 and state = 'live'",
        params![digest.to_string(), location.as_str()],
    )?;
    Ok(marked == 1)
}

/// Every blob after `last` that should be whole, in digest order.
pub(crate) fn blob_page(
    tx: &ReadTransaction<'_>,
    last: &str,
    limit: usize,
) -> Result<Vec<StoredBlob>> {
    tx.all(
        "select digest, size, location from blob
         where digest > ?1 and state = 'live' order by digest limit ?2",
        params![last, limit],
        |row| blob(row, 0),
    )
}

/// Counts and bytes of blobs: all, and those that are damaged.
pub(crate) fn blob_totals(tx: &ReadTransaction<'_>) -> Result<(u64, u64, u64)> {
    Ok((
        tx.number("select count(*) from blob", params![])?,
        tx.number("select sum(size) from blob", params![])?,
        tx.number(
            "select count(*) from blob where state = 'damaged'",
            params![],
        )?,
    ))
}

/// Whether a blob or the trash names this location, or an upload that goes on
/// may: some stores make objects of its bytes before it has ended.
pub(crate) fn location_is_named(tx: &ReadTransaction<'_>, location: &Location) -> Result<bool> {
    if let Some(upload) = location.upload()
        && super::uploads::upload_exists(tx, upload)?
    {
        return Ok(true);
    }
    tx.exists(
        "select 1 from blob where location = ?1 union all
         select 1 from trash where location = ?1",
        params![location.as_str()],
    )
}

/// Whether the blob is live and lies at this location.
pub(crate) fn blob_is_live_at(
    tx: &ReadTransaction<'_>,
    digest: &Digest,
    location: &Location,
) -> Result<bool> {
    tx.exists(
        "select 1 from blob where digest = ?1 and location = ?2 and state = 'live'",
        params![digest.to_string(), location.as_str()],
    )
}
