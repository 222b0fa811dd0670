//! The table `repository`, and the identity of the store.

use landfall_clock::Timestamp;
use landfall_database::{
    Database, Error, ReadTransaction, Result, Row, ToValue, WriteTransaction, params, placeholders,
};
use landfall_ids::{AccountId, RepositoryId, StoreId};
use landfall_oci::RepositoryName;

use super::{columns::parsed, usage::usage_find};
use crate::{
    TagRules,
    event::{self, Event},
    model::{Repository, RepositorySummary},
};

pub(crate) fn store_id_ensure(
    tx: &WriteTransaction<'_>,
    new: StoreId,
    now: Timestamp,
) -> Result<StoreId> {
    // Servers that start at once give the store one identity.
    tx.lock_exclusive("store")?;
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

/// Which of the databases of one store this is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incarnation {
    pub(crate) id: StoreId,
    /// The blob store may not carry it yet.
    pub(crate) is_new: bool,
}

pub(crate) fn incarnation_find(tx: &ReadTransaction<'_>) -> Result<Option<Incarnation>> {
    tx.first(
        "select incarnation, incarnation_is_new from store where incarnation is not null",
        params![],
        |row| {
            let is_new: u64 = row.get(1)?;
            Ok(Incarnation {
                id: row.get(0)?,
                is_new: is_new != 0,
            })
        },
    )
}

/// A database that was restored is another one from here on.
pub(crate) fn incarnation_renew(tx: &WriteTransaction<'_>, new: StoreId) -> Result<()> {
    tx.execute(
        "update store set incarnation = ?1, incarnation_is_new = 1",
        params![new],
    )?;
    Ok(())
}

/// The blob store carries it.
pub(crate) fn incarnation_settle(tx: &WriteTransaction<'_>, id: StoreId) -> Result<()> {
    tx.execute(
        "update store set incarnation_is_new = 0 where incarnation = ?1",
        params![id],
    )?;
    Ok(())
}

/// The columns of a repository `r`, for [`repository`].
pub(super) const COLUMNS: &str =
    "r.id, r.account, r.name, r.created, r.tags_immutable, r.tag_exceptions";

pub(super) fn repository(row: &Row<'_>) -> Result<Repository> {
    Ok(Repository {
        id: row.get(0)?,
        account: row.get(1)?,
        name: parsed(row, 2)?,
        created: row.get(3)?,
        rules: rules(row, 4)?,
    })
}

/// The rules in two columns, from `first` on.
fn rules(row: &Row<'_>, first: usize) -> Result<TagRules> {
    let exceptions: String = row.get(first + 1)?;
    TagRules::stored(row.get(first)?, &exceptions).map_err(|_| Error::Column {
        column: first + 1,
        expected: "patterns of tags",
        found: exceptions,
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

/// The identity of the repository of this name, if it can be seen.
pub(crate) fn repository_look_up(
    database: &Database,
    name: &RepositoryName,
) -> impl Future<Output = Result<Option<RepositoryId>>> + use<> {
    let sql = "select id from repository where name = ?1 and deleted is null";
    database.row(sql, params![name.as_str()], |row| row.get(0))
}

/// The identities of the repositories of these names that can be seen.
pub(crate) fn repository_ids(
    tx: &ReadTransaction<'_>,
    names: &[String],
) -> Result<Vec<(String, RepositoryId)>> {
    let sql = format!(
        "select name, id from repository where deleted is null and name in ({})",
        placeholders(1, names.len())
    );
    let params: Vec<&dyn ToValue> = names.iter().map(|name| name as &dyn ToValue).collect();
    tx.all(&sql, &params, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The name of the repository of this identity, if it can be seen.
pub(crate) fn repository_name(
    database: &Database,
    id: RepositoryId,
) -> impl Future<Output = Result<Option<RepositoryName>>> + use<> {
    let sql = "select name from repository where id = ?1 and deleted is null";
    database.row(sql, params![id], |row| parsed(row, 0))
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

/// The repository of this name, made by `actor` if it is not there.
pub(crate) fn repository_ensure(
    tx: &WriteTransaction<'_>,
    name: &RepositoryName,
    account: AccountId,
    actor: Option<&str>,
    now: Timestamp,
) -> Result<Repository> {
    if let Some(found) = repository_find(tx, name)? {
        return Ok(found);
    }
    let new = Repository {
        id: RepositoryId::new_at(now.unix_micros()),
        account,
        name: name.clone(),
        created: now,
        rules: TagRules::default(),
    };
    if repository_insert(tx, &new)? {
        event::tell(tx, &new, actor, now, Event::RepositoryCreated)?;
    }
    Ok(repository_find(tx, name)?.unwrap_or(new))
}

/// The rules about tags, which stay as they are until the end of the
/// transaction.
pub(crate) fn repository_rules_lock(
    tx: &WriteTransaction<'_>,
    id: RepositoryId,
) -> Result<Option<TagRules>> {
    tx.first(
        &format!(
            "select tags_immutable, tag_exceptions from repository where id = ?1{}",
            tx.for_share()
        ),
        params![id],
        |row| rules(row, 0),
    )
}

/// Sets the rules about tags. It waits for acts that go by the old ones.
pub(crate) fn repository_set_rules(
    tx: &WriteTransaction<'_>,
    id: RepositoryId,
    rules: &TagRules,
) -> Result<()> {
    tx.execute(
        "update repository set tags_immutable = ?2, tag_exceptions = ?3 where id = ?1",
        params![id, rules.is_immutable(), rules.exceptions_text()],
    )?;
    Ok(())
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

/// The first of the account's repositories.
pub(crate) fn repository_of_account(
    tx: &ReadTransaction<'_>,
    account: AccountId,
) -> Result<Option<RepositoryName>> {
    tx.first(
        "select name from repository where account = ?1 and deleted is null
         order by name limit 1",
        params![account],
        |row| parsed(row, 0),
    )
}

/// What a repository holds.
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
        usage: usage_find(tx, repository.id)?,
        repository,
    })
}

/// Hides the repository until `purge_due`, when it goes; `None` if it is not
/// there.
pub(crate) fn repository_hide(
    tx: &WriteTransaction<'_>,
    name: &RepositoryName,
    now: Timestamp,
    purge_due: Timestamp,
) -> Result<Option<Repository>> {
    let Some(found) = repository_find(tx, name)? else {
        return Ok(None);
    };
    let hidden = tx.execute(
        "update repository set deleted = ?2, purge_due = ?3 where id = ?1 and deleted is null",
        params![found.id, now, purge_due],
    )?;
    Ok((hidden == 1).then_some(found))
}

/// A repository that is hidden.
pub(crate) struct Hidden {
    pub(crate) repository: Repository,
    pub(crate) deleted: Timestamp,
    pub(crate) purge_due: Timestamp,
}

/// The last of this name that was hidden and has not gone yet.
pub(crate) fn repository_last_hidden(
    tx: &WriteTransaction<'_>,
    name: &RepositoryName,
) -> Result<Option<Hidden>> {
    tx.first(
        &format!(
            "select {COLUMNS}, r.deleted, r.purge_due from repository r
             where r.name = ?1 and r.deleted is not null and r.purge_due is not null
             order by r.deleted desc, r.id desc limit 1{}",
            tx.for_update()
        ),
        params![name.as_str()],
        |row| {
            Ok(Hidden {
                repository: repository(row)?,
                deleted: row.get(6)?,
                purge_due: row.get(7)?,
            })
        },
    )
}

/// Shows a hidden repository again; `false` if it is gone. One of the same name
/// that can be seen is [`Error::Unique`].
pub(crate) fn repository_show(
    tx: &WriteTransaction<'_>,
    id: RepositoryId,
    now: Timestamp,
) -> Result<bool> {
    let shown = tx.execute(
        "update repository set deleted = null, purge_due = null
         where id = ?1 and deleted is not null and purge_due > ?2",
        params![id, now],
    )?;
    Ok(shown == 1)
}

/// A hidden repository that is to go, and still has rows. Nobody shows it again
/// until the end of the transaction.
pub(crate) fn repository_due(
    tx: &WriteTransaction<'_>,
    due: Timestamp,
) -> Result<Option<RepositoryId>> {
    tx.first(
        &format!(
            "select id from repository where purge_due <= ?1 order by purge_due limit 1{}",
            tx.for_update()
        ),
        params![due],
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

/// A repository, seen or hidden.
pub(crate) fn repository_by_id(
    tx: &ReadTransaction<'_>,
    id: RepositoryId,
) -> Result<Option<Repository>> {
    tx.first(
        &format!("select {COLUMNS} from repository r where r.id = ?1"),
        params![id],
        repository,
    )
}
