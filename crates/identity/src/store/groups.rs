//! The tables of groups and their members.

use landfall_clock::Timestamp;
use landfall_database::{ReadTransaction, Result, Row, WriteTransaction, params};
use landfall_ids::{AccountId, GroupId, PrincipalId};

use crate::{Group, LocalName};

/// The groups of a principal, in the order of their identities.
pub(crate) fn groups_of(tx: &ReadTransaction<'_>, principal: PrincipalId) -> Result<Vec<GroupId>> {
    tx.all(
        "select member_of from group_member where principal = ?1 order by member_of",
        params![principal],
        |row| row.get(0),
    )
}

/// The names, inside of its account, of a principal's groups.
pub(crate) fn group_names_of(
    tx: &ReadTransaction<'_>,
    principal: PrincipalId,
) -> Result<Vec<String>> {
    tx.all(
        "select principal_group.name
         from group_member join principal_group on principal_group.id = group_member.member_of
         where group_member.principal = ?1 order by principal_group.name",
        params![principal],
        |row| row.get(0),
    )
}

/// The names, inside of the account, of a group's members.
pub(crate) fn group_members(tx: &ReadTransaction<'_>, group: GroupId) -> Result<Vec<String>> {
    tx.all(
        "select principal.name
         from group_member join principal on principal.id = group_member.principal
         where group_member.member_of = ?1 order by principal.name",
        params![group],
        |row| row.get(0),
    )
}

fn group(row: &Row<'_>, account: &str) -> Result<Group> {
    Ok(Group {
        id: row.get(0)?,
        account: row.get(1)?,
        name: LocalName::stored(account, row.get(2)?),
        created: row.get(3)?,
    })
}

pub(crate) fn group_find(tx: &ReadTransaction<'_>, name: &LocalName) -> Result<Option<Group>> {
    tx.first(
        "select principal_group.id, principal_group.account, principal_group.name,
                principal_group.created
         from principal_group join account on account.id = principal_group.account
         where account.name = ?1 and principal_group.name = ?2 and account.deleted is null",
        params![name.account(), name.name()],
        |row| group(row, name.account()),
    )
}

pub(crate) fn group_list(
    tx: &ReadTransaction<'_>,
    account: (AccountId, &str),
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Group>> {
    let (id, name) = account;
    tx.all(
        "select id, account, name, created from principal_group
         where account = ?1 and name > ?2 order by name limit ?3",
        params![id, after.unwrap_or_default(), limit],
        |row| group(row, name),
    )
}

/// `false` if the name is taken.
pub(crate) fn group_insert(
    tx: &WriteTransaction<'_>,
    id: GroupId,
    account: AccountId,
    name: &str,
    now: Timestamp,
) -> Result<bool> {
    let inserted = tx.execute(
        "insert into principal_group(id, account, name, created) values (?1, ?2, ?3, ?4)
         on conflict (account, name) do nothing",
        params![id, account, name, now],
    )?;
    Ok(inserted == 1)
}

/// `false` if it was in there already.
pub(crate) fn group_add(
    tx: &WriteTransaction<'_>,
    group: GroupId,
    principal: PrincipalId,
) -> Result<bool> {
    let added = tx.execute(
        "insert into group_member(principal, member_of) values (?1, ?2)
         on conflict (principal, member_of) do nothing",
        params![principal, group],
    )?;
    Ok(added == 1)
}

/// `false` if it was not in there.
pub(crate) fn group_remove(
    tx: &WriteTransaction<'_>,
    group: GroupId,
    principal: PrincipalId,
) -> Result<bool> {
    let removed = tx.execute(
        "delete from group_member where principal = ?1 and member_of = ?2",
        params![principal, group],
    )?;
    Ok(removed == 1)
}

/// `false` if it was deleted before.
pub(crate) fn group_delete(tx: &WriteTransaction<'_>, group: GroupId) -> Result<bool> {
    tx.execute(
        "delete from group_member where member_of = ?1",
        params![group],
    )?;
    super::policies::target_policies_delete(tx, group.as_bytes())?;
    let deleted = tx.execute("delete from principal_group where id = ?1", params![group])?;
    Ok(deleted == 1)
}
