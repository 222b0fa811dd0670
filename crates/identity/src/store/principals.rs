//! The table of principals.

use landfall_clock::Timestamp;
use landfall_database::{Database, ReadTransaction, Result, Row, WriteTransaction, params};
use landfall_ids::{AccountId, PrincipalId};

use crate::{LocalName, Principal, PrincipalEntry, PrincipalKind};

/// Whether the credentials of a principal are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They are.
    Good(Principal),
    /// It, or its account, was disabled.
    Disabled,
    /// It, or its account, was deleted.
    Gone,
}

/// A statement whose first columns [`standing`] reads, from `principal` and its
/// `account`.
macro_rules! select_standing {
    ($($rest:literal),+) => {
        concat!(
            "select principal.id, principal.account, account.name, principal.name,
                    principal.kind, principal.administrator,
                    principal.disabled + account.disabled,
                    coalesce(principal.deleted, account.deleted)",
            $($rest),+
        )
    };
}
pub(crate) use select_standing;

/// The number of those columns.
pub(crate) const STANDING_COLUMNS: usize = 8;

/// Reads the standing from the first columns of a row.
pub(crate) fn standing(row: &Row<'_>) -> Result<Standing> {
    if row.get::<Option<Timestamp>>(7)?.is_some() {
        return Ok(Standing::Gone);
    }
    if row.get::<i64>(6)? > 0 {
        return Ok(Standing::Disabled);
    }
    Ok(Standing::Good(principal(row)?))
}

fn principal(row: &Row<'_>) -> Result<Principal> {
    Ok(Principal {
        id: row.get(0)?,
        account: row.get(1)?,
        account_name: row.get(2)?,
        name: row.get(3)?,
        // A kind that a later version has made is a program to us.
        kind: PrincipalKind::of(&row.get::<String>(4)?).unwrap_or(PrincipalKind::Robot),
        administrator: row.get(5)?,
    })
}

/// The principal, and whether its credentials are taken.
pub(crate) fn principal_standing(
    tx: &ReadTransaction<'_>,
    id: PrincipalId,
) -> Result<Option<Standing>> {
    tx.first(
        select_standing!(
            " from principal join account on account.id = principal.account
             where principal.id = ?1"
        ),
        params![id],
        standing,
    )
}

/// The names of the principal's account and its own, whatever became of them.
pub(crate) fn principal_called(
    tx: &ReadTransaction<'_>,
    id: PrincipalId,
) -> Result<Option<(String, String)>> {
    tx.first(
        "select account.name, principal.name
         from principal join account on account.id = principal.account
         where principal.id = ?1",
        params![id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// What a log-in by password looks up: the standing, and the hash.
pub(crate) fn password_look_up(
    database: &Database,
    name: &LocalName,
) -> impl Future<Output = Result<Option<(Standing, String)>>> + use<> {
    database.row(
        select_standing!(
            ", principal.password
             from principal join account on account.id = principal.account
             where account.name = ?1 and principal.name = ?2"
        ),
        params![name.account(), name.name()],
        |row| Ok((standing(row)?, row.get(STANDING_COLUMNS)?)),
    )
}

fn entry(row: &Row<'_>) -> Result<PrincipalEntry> {
    Ok(PrincipalEntry {
        principal: principal(row)?,
        enabled: !row.get::<bool>(6)?,
        created: row.get(7)?,
    })
}

pub(crate) fn principal_find(
    tx: &ReadTransaction<'_>,
    name: &LocalName,
) -> Result<Option<PrincipalEntry>> {
    tx.first(
        "select principal.id, principal.account, account.name, principal.name, principal.kind,
                principal.administrator, principal.disabled, principal.created
         from principal join account on account.id = principal.account
         where account.name = ?1 and principal.name = ?2
           and account.deleted is null and principal.deleted is null",
        params![name.account(), name.name()],
        entry,
    )
}

pub(crate) fn principal_list(
    tx: &ReadTransaction<'_>,
    account: AccountId,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<PrincipalEntry>> {
    tx.all(
        "select principal.id, principal.account, account.name, principal.name, principal.kind,
                principal.administrator, principal.disabled, principal.created
         from principal join account on account.id = principal.account
         where principal.account = ?1 and principal.name > ?2 and principal.deleted is null
         order by principal.name limit ?3",
        params![account, after.unwrap_or_default(), limit],
        entry,
    )
}

/// Holds the principal as it is until the transaction ends; `false` if it was
/// deleted.
pub(crate) fn principal_hold(tx: &WriteTransaction<'_>, id: PrincipalId) -> Result<bool> {
    tx.exists(
        &format!(
            "select 1 from principal where id = ?1 and deleted is null{}",
            tx.for_update()
        ),
        params![id],
    )
}

/// `false` if the name is taken, or was.
pub(crate) fn principal_insert(
    tx: &WriteTransaction<'_>,
    principal: &Principal,
    password: Option<&str>,
    now: Timestamp,
) -> Result<bool> {
    let inserted = tx.execute(
        "insert into principal(id, account, name, kind, administrator, password, created)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7) on conflict do nothing",
        params![
            principal.id,
            principal.account,
            principal.name,
            principal.kind.as_str(),
            principal.administrator,
            password.unwrap_or_default(),
            now
        ],
    )?;
    Ok(inserted == 1)
}

/// `false` if it was deleted.
pub(crate) fn principal_set_password(
    tx: &WriteTransaction<'_>,
    id: PrincipalId,
    password: &str,
) -> Result<bool> {
    let changed = tx.execute(
        "update principal set password = ?2 where id = ?1 and deleted is null",
        params![id, password],
    )?;
    Ok(changed == 1)
}

/// `false` if it was deleted.
pub(crate) fn principal_enable(
    tx: &WriteTransaction<'_>,
    id: PrincipalId,
    enabled: bool,
) -> Result<bool> {
    let changed = tx.execute(
        "update principal set disabled = ?2 where id = ?1 and deleted is null",
        params![id, !enabled],
    )?;
    Ok(changed == 1)
}

/// Takes its credentials and its groups, and keeps its name. `false` if it was
/// deleted before.
pub(crate) fn principal_delete(
    tx: &WriteTransaction<'_>,
    id: PrincipalId,
    now: Timestamp,
) -> Result<bool> {
    let deleted = tx.execute(
        "update principal set deleted = ?2, password = '' where id = ?1 and deleted is null",
        params![id, now],
    )?;
    super::policies::target_policies_delete(tx, id.as_bytes())?;
    tx.execute("delete from api_key where principal = ?1", params![id])?;
    tx.execute("delete from group_member where principal = ?1", params![id])?;
    Ok(deleted == 1)
}
