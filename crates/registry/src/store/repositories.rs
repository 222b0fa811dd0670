//! The table `repository`, and the identity of the store.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, Row, WriteTransaction, params};
use landfall_ids::{AccountId, RepositoryId, StoreId};
use landfall_oci::RepositoryName;

use super::columns::parsed;
use crate::model::{Repository, RepositorySummary};

pub(crate) fn store_id_ensure(
    tx: &WriteTransaction<'_>,
    new: StoreId,
    now: Timestamp,
) -> Result<StoreId> {
    if let Some(id) = store_id_find(tx)? {
        return Ok(id);
    }
    tx.execute(
        "insert into store(id, created) values (?1, ?2)",
        params![new, now],
    )?;
    Ok(new)
}

pub(crate) fn store_id_find(tx: &ReadTransaction<'_>) -> Result<Option<StoreId>> {
    tx.first("select id from store", params![], |row| row.get(0))
}

const COLUMNS: &str = "r.id, r.account, r.name, r.created";

fn repository(row: &Row<'_>) -> Result<Repository> {
    Ok(Repository {
        id: row.get(0)?,
        account: row.get(1)?,
        name: parsed(row, 2)?,
        created: row.get(3)?,
    })
}

pub(crate) fn repository_find(
    tx: &ReadTransaction<'_>,
    name: &RepositoryName,
) -> Result<Option<Repository>> {
    tx.first(
        &format!("select {COLUMNS} from repository r where r.name = ?1 and r.deleted is null"),
        params![name.as_str()],
        repository,
    )
}

/// Makes a repository; `false` if one of this name is there.
pub(crate) fn repository_insert(tx: &WriteTransaction<'_>, new: &Repository) -> Result<bool> {
    let inserted = tx.execute(
        "insert into repository(id, account, name, created) values (?1, ?2, ?3, ?4)
         on conflict (name) where deleted is null do nothing",
        params![new.id, new.account, new.name.as_str(), new.created],
    )?;
    Ok(inserted == 1)
}

/// The repository of this name, made if it is not there.
pub(crate) fn repository_ensure(
    tx: &WriteTransaction<'_>,
    name: &RepositoryName,
    account: AccountId,
    now: Timestamp,
) -> Result<RepositoryId> {
    if let Some(found) = repository_find(tx, name)? {
        return Ok(found.id);
    }
    let id = RepositoryId::new_at(now.unix_micros());
    repository_insert(
        tx,
        &Repository {
            id,
            account,
            name: name.clone(),
            created: now,
        },
    )?;
    Ok(repository_find(tx, name)?.map_or(id, |found| found.id))
}

/// Names after `last`, in order.
pub(crate) fn repository_names(
    tx: &ReadTransaction<'_>,
    last: &str,
    limit: usize,
) -> Result<Vec<RepositoryName>> {
    tx.all(
        "select name from repository where deleted is null and name > ?1 order by name limit ?2",
        params![last, limit],
        |row| parsed(row, 0),
    )
}

/// Repositories after `last`, in the order of their names, with what they hold.
pub(crate) fn repository_summaries(
    tx: &ReadTransaction<'_>,
    last: &str,
    limit: usize,
) -> Result<Vec<RepositorySummary>> {
    let repositories = tx.all(
        &format!(
            "select {COLUMNS} from repository r
             where r.deleted is null and r.name > ?1 order by r.name limit ?2"
        ),
        params![last, limit],
        repository,
    )?;
    repositories
        .into_iter()
        .map(|each| repository_summary(tx, each))
        .collect()
}

pub(crate) fn repository_summary(
    tx: &ReadTransaction<'_>,
    repository: Repository,
) -> Result<RepositorySummary> {
    let count = |sql| tx.number(sql, params![repository.id]);
    Ok(RepositorySummary {
        tags: count("select count(*) from tag where repository = ?1")?,
        manifests: count(
            "select count(*) from manifest where repository = ?1 and deleted is null",
        )?,
        blobs: count(
            "select count(*) from repository_blob where repository = ?1 and deleted is null",
        )?,
        bytes: count(
            "select sum(b.size) from repository_blob l join blob b on b.digest = l.digest
             where l.repository = ?1 and l.deleted is null",
        )?,
        repository,
    })
}

/// Hides the repository; `false` if it is not there.
pub(crate) fn repository_hide(
    tx: &WriteTransaction<'_>,
    name: &RepositoryName,
    now: Timestamp,
) -> Result<bool> {
    let hidden = tx.execute(
        "update repository set deleted = ?2 where name = ?1 and deleted is null",
        params![name.as_str(), now],
    )?;
    Ok(hidden == 1)
}

/// A hidden repository that still has rows.
pub(crate) fn repository_hidden(tx: &ReadTransaction<'_>) -> Result<Option<RepositoryId>> {
    tx.first(
        "select id from repository where deleted is not null order by deleted limit 1",
        params![],
        |row| row.get(0),
    )
}

/// Deletes the row of a hidden repository that holds nothing any more.
pub(crate) fn repository_remove(tx: &WriteTransaction<'_>, id: RepositoryId) -> Result<()> {
    tx.execute(
        "delete from repository where id = ?1 and deleted is not null",
        params![id],
    )?;
    Ok(())
}
