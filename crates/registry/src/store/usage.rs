//! The table `repository_usage`.

use landfall_database::{ReadTransaction, Result, WriteTransaction, params};
use landfall_ids::RepositoryId;
use landfall_oci::RepositoryName;

use crate::Usage;

/// Adds to what is known of a repository; nothing happens if it is not there.
pub(crate) fn usage_add(
    tx: &WriteTransaction<'_>,
    name: &RepositoryName,
    usage: Usage,
) -> Result<()> {
    let found: Option<RepositoryId> = tx.first(
        "select id from repository where name = ?1 and deleted is null",
        params![name.as_str()],
        |row| row.get(0),
    )?;
    if let Some(repository) = found {
        tx.execute(
            "insert into repository_usage(repository, pulls, bytes, last_pull)
             values (?1, ?2, ?3, ?4)
             on conflict (repository) do update
             set pulls = repository_usage.pulls + excluded.pulls,
                 bytes = repository_usage.bytes + excluded.bytes,
                 last_pull = case when repository_usage.last_pull is null
                                    or repository_usage.last_pull < excluded.last_pull
                                  then excluded.last_pull else repository_usage.last_pull end",
            params![repository, usage.pulls, usage.bytes, usage.last_pull],
        )?;
    }
    Ok(())
}

/// What was pulled from a repository, as far as it is in the database.
pub(crate) fn usage_find(tx: &ReadTransaction<'_>, repository: RepositoryId) -> Result<Usage> {
    let found = tx.first(
        "select pulls, bytes, last_pull from repository_usage where repository = ?1",
        params![repository],
        |row| {
            Ok(Usage {
                pulls: row.get(0)?,
                bytes: row.get(1)?,
                last_pull: row.get(2)?,
            })
        },
    )?;
    Ok(found.unwrap_or_default())
}

/// Forgets what was pulled from a repository.
pub(crate) fn usage_remove(tx: &WriteTransaction<'_>, repository: RepositoryId) -> Result<()> {
    tx.execute(
        "delete from repository_usage where repository = ?1",
        params![repository],
    )?;
    Ok(())
}
