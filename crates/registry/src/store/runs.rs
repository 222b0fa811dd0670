//! The table `run`: collections and checks of all servers.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, WriteTransaction, lease, params};
use landfall_ids::RunId;

use crate::{RunKind, RunRecord};

/// Ends the runs whose server is gone: whoever asks holds the lease of their
/// kind.
pub(crate) fn run_end_lost(tx: &WriteTransaction<'_>, kind: RunKind) -> Result<()> {
    tx.execute(
        "update run set ended = touched, token = 0 where kind = ?1 and ended is null",
        params![kind.as_str()],
    )?;
    Ok(())
}

pub(crate) fn run_insert(
    tx: &WriteTransaction<'_>,
    id: RunId,
    kind: RunKind,
    token: u64,
    document: &str,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "insert into run(id, kind, token, touched, document) values (?1, ?2, ?3, ?4, ?5)",
        params![id, kind.as_str(), token, now, document],
    )?;
    Ok(())
}

/// Deletes all of a kind but the last ones.
pub(crate) fn run_prune(tx: &WriteTransaction<'_>, kind: RunKind, keep: usize) -> Result<()> {
    tx.execute(
        "delete from run where kind = ?1 and id not in
           (select id from run where kind = ?1 order by id desc limit ?2)",
        params![kind.as_str(), keep],
    )?;
    Ok(())
}

pub(crate) fn run_note(
    tx: &WriteTransaction<'_>,
    id: RunId,
    document: &str,
    now: Timestamp,
    ended: Option<Timestamp>,
) -> Result<()> {
    tx.execute(
        "update run set document = ?2, touched = ?3, ended = ?4 where id = ?1 and ended is null",
        params![id, document, now, ended],
    )?;
    Ok(())
}

/// The runs of a kind, the last one first. `lease` is the name of its lease.
pub(crate) fn run_list(
    tx: &ReadTransaction<'_>,
    kind: RunKind,
    lease: &str,
) -> Result<Vec<RunRecord>> {
    let held = lease::lease_find(tx, lease)?.is_some();
    let records = tx.all(
        "select r.id, r.touched, r.ended, r.document, r.token, coalesce(l.token, 0)
         from run r left join lease l on l.name = ?2
         where r.kind = ?1 order by r.id desc",
        params![kind.as_str(), lease],
        |row| {
            let (token, last): (u64, u64) = (row.get(4)?, row.get(5)?);
            let ended: Option<Timestamp> = row.get(2)?;
            let alive = held && token == last;
            Ok(RunRecord {
                id: row.get(0)?,
                document: row.get(3)?,
                lost: match ended {
                    Some(at) => (token == 0).then_some(at),
                    None if alive => None,
                    None => Some(row.get(1)?),
                },
            })
        },
    )?;
    Ok(records)
}
