//! The table `tag_history`: what happened to each tag.
//!
//! Entries are numbered for each tag, from 1. Whoever writes one holds the
//! lock of the tag's row, has just made it, or has just deleted it, so two acts
//! on one tag get two numbers, in the order in which they commit.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, Row, WriteTransaction, params};
use landfall_ids::{DeletionId, RepositoryId};
use landfall_oci::{Digest, Tag};

use super::columns::{parsed, parsed_if_any};
use crate::model::{TagAct, TagEntry};

/// An entry to be written.
pub(crate) struct NewEntry<'a> {
    pub(crate) act: TagAct,
    pub(crate) before: Option<Digest>,
    pub(crate) after: Option<Digest>,
    pub(crate) actor: Option<&'a str>,
    /// The number of the entry that this one turns back.
    pub(crate) undoes: Option<u64>,
    /// What took the tag along.
    pub(crate) deletion: Option<DeletionId>,
    pub(crate) now: Timestamp,
}

/// Writes an entry behind the last one of the tag.
pub(crate) fn history_append(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    tag: &Tag,
    new: &NewEntry<'_>,
) -> Result<()> {
    tx.execute(
        "insert into tag_history(repository, name, number, act, digest_before, digest_after,
                                 actor, happened, undoes, deletion)
         values (?1, ?2,
                 (select coalesce(max(h.number), 0) + 1 from tag_history h
                  where h.repository = ?1 and h.name = ?2),
                 ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            repository,
            tag.as_str(),
            new.act.as_str(),
            new.before.map(|digest| digest.to_string()),
            new.after.map(|digest| digest.to_string()),
            new.actor,
            new.now,
            new.undoes,
            new.deletion
        ],
    )?;
    Ok(())
}

const COLUMNS: &str = "h.number, h.act, h.digest_before, h.digest_after, h.actor, h.happened,
    h.undoes, h.deletion";

fn entry(row: &Row<'_>) -> Result<TagEntry> {
    Ok(TagEntry {
        number: row.get(0)?,
        act: parsed(row, 1)?,
        before: parsed_if_any(row, 2)?,
        after: parsed_if_any(row, 3)?,
        actor: row.get(4)?,
        happened: row.get(5)?,
        undoes: row.get(6)?,
        deletion: row.get(7)?,
    })
}

/// The entries of a tag before the number `before`, the newest first.
pub(crate) fn history_page(
    tx: &ReadTransaction<'_>,
    repository: RepositoryId,
    tag: &Tag,
    before: u64,
    limit: usize,
) -> Result<Vec<TagEntry>> {
    tx.all(
        &format!(
            "select {COLUMNS} from tag_history h
             where h.repository = ?1 and h.name = ?2 and h.number < ?3
             order by h.number desc limit ?4"
        ),
        params![repository, tag.as_str(), before, limit],
        entry,
    )
}

/// The last entry of a tag.
pub(crate) fn history_last(
    tx: &ReadTransaction<'_>,
    repository: RepositoryId,
    tag: &Tag,
) -> Result<Option<TagEntry>> {
    Ok(history_page(tx, repository, tag, u64::MAX, 1)?.pop())
}

/// The tags that one act took along, and to which nothing has happened since:
/// their names, the numbers of the entries, and what they pointed at.
pub(crate) fn history_taken(
    tx: &ReadTransaction<'_>,
    repository: RepositoryId,
    deletion: DeletionId,
) -> Result<Vec<(Tag, u64, Digest)>> {
    tx.all(
        "select h.name, h.number, h.digest_before from tag_history h
         where h.deletion = ?2 and h.repository = ?1 and h.digest_before is not null
           and not exists (select 1 from tag_history l
                           where l.repository = h.repository and l.name = h.name
                             and l.number > h.number)
         order by h.name",
        params![repository, deletion],
        |row| Ok((parsed(row, 0)?, row.get(1)?, parsed(row, 2)?)),
    )
}

/// Tags that were deleted after `since` and not set again, after the name
/// `last`, in order; each with the entry of its deletion.
pub(crate) fn history_deleted(
    tx: &ReadTransaction<'_>,
    repository: RepositoryId,
    since: Timestamp,
    last: &str,
    limit: usize,
) -> Result<Vec<(Tag, TagEntry)>> {
    tx.all(
        &format!(
            "select {COLUMNS}, h.name from tag_history h
             where h.repository = ?1 and h.name > ?2 and h.happened > ?3
               and h.digest_after is null
               and not exists (select 1 from tag_history l
                               where l.repository = h.repository and l.name = h.name
                                 and l.number > h.number)
             order by h.name limit ?4"
        ),
        params![repository, last, since, limit],
        |row| Ok((parsed(row, 8)?, entry(row)?)),
    )
}

/// Whether a tag can be set back to the manifest: it was moved away from it, or
/// deleted, after `since`.
pub(crate) fn history_may_need(
    tx: &ReadTransaction<'_>,
    repository: RepositoryId,
    digest: &Digest,
    since: Timestamp,
) -> Result<bool> {
    tx.exists(
        "select 1 from tag_history h
         where h.repository = ?1 and h.digest_before = ?2 and h.happened > ?3",
        params![repository, digest.to_string(), since],
    )
}

/// Forgets up to `limit` entries that are as old as `before`; how many went.
pub(crate) fn history_prune(
    tx: &WriteTransaction<'_>,
    before: Timestamp,
    limit: usize,
) -> Result<u64> {
    tx.execute(
        "delete from tag_history where (repository, name, number) in
           (select repository, name, number from tag_history
            where happened <= ?1 order by happened limit ?2)",
        params![before, limit],
    )
}

/// Forgets up to `limit` entries of a repository; how many went.
pub(crate) fn history_end_of_repository(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    limit: usize,
) -> Result<u64> {
    tx.execute(
        "delete from tag_history where repository = ?1 and (name, number) in
           (select name, number from tag_history
            where repository = ?1 order by name, number limit ?2)",
        params![repository, limit],
    )
}
