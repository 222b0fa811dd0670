//! The table `upload`: sessions that survive a restart.
//!
//! A session has the bytes received so far, the state of their hash, where the
//! blob store has them, and a **token**. A request that adds bytes takes the next token, and commits what
//! it received by that token only: of two requests at once, the later wins and
//! the earlier changes nothing.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, WriteTransaction, params};
use landfall_ids::{RepositoryId, UploadId};
use landfall_oci::RepositoryName;

/// A session that a request holds.
pub(crate) struct Session {
    pub(crate) repository: RepositoryId,
    pub(crate) received: u64,
    pub(crate) token: u64,
    /// What `Hasher::save` wrote.
    pub(crate) hasher: Vec<u8>,
    /// What the blob store wrote.
    pub(crate) state: Vec<u8>,
}

/// How far a request has brought a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress<'a> {
    pub(crate) received: u64,
    pub(crate) hasher: &'a [u8],
    pub(crate) state: &'a [u8],
}

pub(crate) fn upload_insert(
    tx: &WriteTransaction<'_>,
    id: UploadId,
    repository: RepositoryId,
    hasher: &[u8],
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "insert into upload(id, repository, received, token, hasher, started, touched)
         values (?1, ?2, 0, 0, ?3, ?4, ?4)",
        params![id, repository, hasher, now],
    )?;
    Ok(())
}

/// How many bytes the session has, or `None` if there is none in that
/// repository.
pub(crate) fn upload_received(
    tx: &ReadTransaction<'_>,
    name: &RepositoryName,
    id: UploadId,
) -> Result<Option<u64>> {
    tx.first(
        "select u.received from upload u join repository r on r.id = u.repository
         where u.id = ?1 and r.name = ?2 and r.deleted is null",
        params![id, name.as_str()],
        |row| row.get(0),
    )
}

/// Takes the next token of the session.
pub(crate) fn upload_take(
    tx: &WriteTransaction<'_>,
    name: &RepositoryName,
    id: UploadId,
    now: Timestamp,
) -> Result<Option<Session>> {
    tx.first(
        "update upload set token = token + 1, touched = ?3
         where id = ?1 and repository in
           (select r.id from repository r where r.name = ?2 and r.deleted is null)
         returning repository, received, token, hasher, state",
        params![id, name.as_str(), now],
        |row| {
            Ok(Session {
                repository: row.get(0)?,
                received: row.get(1)?,
                token: row.get(2)?,
                hasher: row.get(3)?,
                state: row.get::<Option<_>>(4)?.unwrap_or_default(),
            })
        },
    )
}

/// Writes down what was received, if the token is still ours.
pub(crate) fn upload_commit(
    tx: &WriteTransaction<'_>,
    id: UploadId,
    token: u64,
    progress: &Progress<'_>,
    now: Timestamp,
) -> Result<bool> {
    let Progress {
        received,
        hasher,
        state,
    } = *progress;
    let changed = tx.execute(
        "update upload set received = ?3, hasher = ?4, state = ?5, touched = ?6
         where id = ?1 and token = ?2",
        params![id, token, received, hasher, state, now],
    )?;
    Ok(changed == 1)
}

/// Whether the token of the session is still ours.
pub(crate) fn upload_is_held(tx: &ReadTransaction<'_>, id: UploadId, token: u64) -> Result<bool> {
    tx.exists(
        "select 1 from upload where id = ?1 and token = ?2",
        params![id, token],
    )
}

/// Ends the session, if the token is still ours.
pub(crate) fn upload_end(tx: &WriteTransaction<'_>, id: UploadId, token: u64) -> Result<bool> {
    Ok(tx.execute(
        "delete from upload where id = ?1 and token = ?2",
        params![id, token],
    )? == 1)
}

/// Ends the session whoever holds it; `false` if there is none.
pub(crate) fn upload_cancel(
    tx: &WriteTransaction<'_>,
    name: &RepositoryName,
    id: UploadId,
) -> Result<bool> {
    let ended = tx.execute(
        "delete from upload where id = ?1 and repository in
           (select r.id from repository r where r.name = ?2 and r.deleted is null)",
        params![id, name.as_str()],
    )?;
    Ok(ended == 1)
}

/// Ends sessions that lay still since `before` or whose repository was deleted,
/// a page, and names them.
pub(crate) fn upload_expire(
    tx: &WriteTransaction<'_>,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<UploadId>> {
    // A session that a request takes over right now is passed over.
    let ended: Vec<UploadId> = tx.all(
        &format!(
            "select id from upload where {ENDED} order by touched limit ?2{}",
            tx.skip_locked()
        ),
        params![before, limit],
        |row| row.get(0),
    )?;
    uploads_remove(tx, &ended)?;
    Ok(ended)
}

fn uploads_remove(tx: &WriteTransaction<'_>, ended: &[UploadId]) -> Result<()> {
    for id in ended {
        tx.execute("delete from upload where id = ?1", params![id])?;
    }
    Ok(())
}

/// Ends the sessions of a repository, a page, and names them.
pub(crate) fn upload_end_of_repository(
    tx: &WriteTransaction<'_>,
    repository: RepositoryId,
    limit: usize,
) -> Result<Vec<UploadId>> {
    let ended: Vec<UploadId> = tx.all(
        &format!(
            "select id from upload where repository = ?1 limit ?2{}",
            tx.for_update()
        ),
        params![repository, limit],
        |row| row.get(0),
    )?;
    uploads_remove(tx, &ended)?;
    Ok(ended)
}

/// How many sessions [`upload_expire`] would end.
pub(crate) fn upload_expired(tx: &ReadTransaction<'_>, before: Timestamp) -> Result<u64> {
    tx.number(
        &format!("select count(*) from upload where {ENDED}"),
        params![before],
    )
}

const ENDED: &str = "(touched <= ?1
    or repository in (select id from repository where deleted is not null))";

pub(crate) fn upload_exists(tx: &ReadTransaction<'_>, id: UploadId) -> Result<bool> {
    tx.exists("select 1 from upload where id = ?1", params![id])
}

/// Ends all sessions.
pub(crate) fn upload_end_all(tx: &WriteTransaction<'_>) -> Result<()> {
    tx.execute("delete from upload", params![])?;
    Ok(())
}
