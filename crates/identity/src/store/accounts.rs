//! The table of accounts.

use landfall_clock::Timestamp;
use landfall_database::{Database, ReadTransaction, Result, Row, WriteTransaction, params};
use landfall_ids::AccountId;

use crate::Account;

const ACCOUNT: &str = "select id from account where name = ?1 and deleted is null";

fn account(row: &Row<'_>) -> Result<Account> {
    Ok(Account {
        id: row.get(0)?,
        name: row.get(1)?,
        enabled: !row.get::<bool>(2)?,
        created: row.get(3)?,
    })
}

/// The account of that name by itself: what each push looks up.
pub(crate) fn account_look_up(
    database: &Database,
    name: &str,
) -> impl Future<Output = Result<Option<AccountId>>> + use<> {
    database.row(ACCOUNT, params![name], |row| row.get(0))
}

pub(crate) fn account_find(tx: &ReadTransaction<'_>, name: &str) -> Result<Option<Account>> {
    tx.first(
        "select id, name, disabled, created from account where name = ?1 and deleted is null",
        params![name],
        account,
    )
}

/// The account of that name, which stays as it is until the transaction ends.
pub(crate) fn account_hold(tx: &WriteTransaction<'_>, name: &str) -> Result<Option<AccountId>> {
    tx.first(
        &format!("{ACCOUNT}{}", tx.for_share()),
        params![name],
        |row| row.get(0),
    )
}

pub(crate) fn account_list(
    tx: &ReadTransaction<'_>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Account>> {
    tx.all(
        "select id, name, disabled, created from account
         where name > ?1 and deleted is null order by name limit ?2",
        params![after.unwrap_or_default(), limit],
        account,
    )
}

/// `false` if the name is taken, or was.
pub(crate) fn account_insert(
    tx: &WriteTransaction<'_>,
    id: AccountId,
    name: &str,
    now: Timestamp,
) -> Result<bool> {
    let inserted = tx.execute(
        "insert into account(id, name, created) values (?1, ?2, ?3) on conflict (name) do nothing",
        params![id, name, now],
    )?;
    Ok(inserted == 1)
}

/// `false` if there is none of that name.
pub(crate) fn account_enable(tx: &WriteTransaction<'_>, name: &str, enabled: bool) -> Result<bool> {
    let changed = tx.execute(
        "update account set disabled = ?2 where name = ?1 and deleted is null",
        params![name, !enabled],
    )?;
    Ok(changed == 1)
}

/// `false` if there is none of that name.
pub(crate) fn account_delete(
    tx: &WriteTransaction<'_>,
    name: &str,
    now: Timestamp,
) -> Result<bool> {
    let deleted = tx.execute(
        "update account set deleted = ?2 where name = ?1 and deleted is null",
        params![name, now],
    )?;
    Ok(deleted == 1)
}
