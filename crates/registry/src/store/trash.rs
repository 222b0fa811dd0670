//! The table `trash`: locations that no blob row names any more.

use landfall_blobs::Location;
use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, WriteTransaction, params};

use super::columns::parsed;

/// Bytes that may go, and how many they are.
pub(crate) struct Trash {
    pub(crate) location: Location,
    pub(crate) size: u64,
}

pub(crate) fn trash_insert(
    tx: &WriteTransaction<'_>,
    location: &Location,
    size: u64,
    not_before: Timestamp,
) -> Result<()> {
    tx.execute(
        "insert into trash(location, size, not_before) values (?1, ?2, ?3)
         on conflict (location) do nothing",
        params![location.as_str(), size, not_before],
    )?;
    Ok(())
}

/// Whether the bytes at this location are to be deleted.
pub(crate) fn trash_exists(tx: &ReadTransaction<'_>, location: &Location) -> Result<bool> {
    tx.exists(
        "select 1 from trash where location = ?1",
        params![location.as_str()],
    )
}

/// Trash that may go now, a page.
pub(crate) fn trash_due(
    tx: &ReadTransaction<'_>,
    due: Timestamp,
    limit: usize,
) -> Result<Vec<Trash>> {
    tx.all(
        "select location, size from trash where not_before <= ?1 order by not_before limit ?2",
        params![due, limit],
        |row| {
            Ok(Trash {
                location: parsed(row, 0)?,
                size: row.get(1)?,
            })
        },
    )
}

/// Forgets locations whose bytes are gone.
pub(crate) fn trash_remove(tx: &WriteTransaction<'_>, gone: &[Location]) -> Result<()> {
    for location in gone {
        tx.execute(
            "delete from trash where location = ?1",
            params![location.as_str()],
        )?;
    }
    Ok(())
}

/// How many locations are due, and their bytes.
pub(crate) fn trash_due_totals(tx: &ReadTransaction<'_>, due: Timestamp) -> Result<(u64, u64)> {
    let totals = tx.first(
        "select count(*), sum(size) from trash where not_before <= ?1",
        params![due],
        |row| Ok((row.get::<u64>(0)?, row.get::<Option<u64>>(1)?.unwrap_or(0))),
    )?;
    Ok(totals.unwrap_or_default())
}

/// How many locations wait, and their bytes.
pub(crate) fn trash_totals(tx: &ReadTransaction<'_>) -> Result<(u64, u64)> {
    Ok((
        tx.number("select count(*) from trash", params![])?,
        tx.number("select sum(size) from trash", params![])?,
    ))
}
