//! The table of policies.
//!
//! `target` is the identity of what a policy is attached to. Identities are
//! never used twice, so a policy of something that is gone says nothing any
//! more.

use std::collections::BTreeSet;

use landfall_clock::Timestamp;
use landfall_database::{
    FromValue, ReadTransaction, Result, Row, ToValue, Value, WriteTransaction, params, placeholders,
};
use landfall_ids::{AccountId, PolicyId, PrincipalId};
use landfall_oci::RepositoryName;

use crate::{LocalName, Policy, PolicyName, PolicyTarget};

pub(crate) const SCHEMA: &str = "
create table policy(
  id BYTEA primary key,
  account BYTEA not null references account(id),
  name TEXT not null,
  kind TEXT not null,
  target BYTEA not null,
  target_name TEXT not null,
  text TEXT not null,
  created BIGINT not null,
  updated BIGINT not null,
  unique (account, name));
create index policy_target on policy(target);";

/// The identity of a policy's target, of whatever kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TargetId(pub(crate) [u8; 16]);

impl TargetId {
    /// What is not there.
    pub(crate) const NONE: Self = Self([0; 16]);
}

impl ToValue for TargetId {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(&self.0)
    }
    fn kind(&self) -> landfall_database::ValueKind {
        landfall_database::ValueKind::Bytes
    }
}
impl FromValue for TargetId {
    const EXPECTED: &'static str = "an identifier";
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => bytes.try_into().ok().map(Self),
            _ => None,
        }
    }
}

/// A policy as a decision needs it.
#[derive(Debug, Clone)]
pub(crate) struct Attached {
    pub(crate) target: TargetId,
    pub(crate) kind: String,
    pub(crate) account: AccountId,
    pub(crate) name: PolicyName,
    pub(crate) text: String,
}

/// All policies of these targets.
pub(crate) fn policies_of(tx: &ReadTransaction<'_>, targets: &[TargetId]) -> Result<Vec<Attached>> {
    let params: Vec<&dyn ToValue> = targets.iter().map(|id| id as &dyn ToValue).collect();
    tx.all(
        &format!(
            "select policy.target, policy.kind, policy.account, account.name, policy.name,
                    policy.text
             from policy join account on account.id = policy.account
             where policy.target in ({}) order by policy.id",
            placeholders(1, targets.len())
        ),
        &params,
        |row| {
            Ok(Attached {
                target: row.get(0)?,
                kind: row.get(1)?,
                account: row.get(2)?,
                name: policy_name(row, 3, 4)?,
                text: row.get(5)?,
            })
        },
    )
}

fn policy_name(row: &Row<'_>, account: usize, name: usize) -> Result<PolicyName> {
    let (account, name): (String, String) = (row.get(account)?, row.get(name)?);
    Ok(PolicyName::new(format!("{account}/{name}")))
}

/// An account that resources belong to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) id: AccountId,
    /// Whether it was deleted.
    pub(crate) gone: bool,
}

/// The accounts of these names; deleted ones too, and disabled ones: what their
/// policies forbid stays forbidden.
pub(crate) fn owners(tx: &ReadTransaction<'_>, names: &[String]) -> Result<Vec<(String, Owner)>> {
    let params: Vec<&dyn ToValue> = names.iter().map(|name| name as &dyn ToValue).collect();
    tx.all(
        &format!(
            "select name, id, deleted from account where name in ({})",
            placeholders(1, names.len())
        ),
        &params,
        |row| {
            let owner = Owner {
                id: row.get(1)?,
                gone: row.get::<Option<Timestamp>>(2)?.is_some(),
            };
            Ok((row.get(0)?, owner))
        },
    )
}

const COLUMNS: &str = "policy.id, account.name, policy.name, policy.kind, policy.target_name,
    policy.text, policy.created, policy.updated, policy.target, policy.account";

/// A policy, the identity of its target, and its account.
pub(crate) type Found = (Policy, TargetId, AccountId);

fn found(row: &Row<'_>) -> Result<Found> {
    let (account, target): (String, String) = (row.get(1)?, row.get(4)?);
    let wrong = || landfall_database::Error::Failed(format!("a policy of `{target}`").into());
    let local = || LocalName::stored(&account, target.clone());
    let target = match row.get::<String>(3)?.as_str() {
        "principal" => PolicyTarget::Principal(local()),
        "group" => PolicyTarget::Group(local()),
        "repository" => {
            let name: RepositoryName = target.parse().map_err(|_| wrong())?;
            PolicyTarget::Repository(name)
        }
        "account" => PolicyTarget::Account(target),
        _ => return Err(wrong()),
    };
    let policy = Policy {
        id: row.get(0)?,
        name: policy_name(row, 1, 2)?,
        target,
        text: row.get(5)?,
        created: row.get(6)?,
        updated: row.get(7)?,
    };
    Ok((policy, row.get(8)?, row.get(9)?))
}

pub(crate) fn policy_find(tx: &ReadTransaction<'_>, name: &LocalName) -> Result<Option<Found>> {
    tx.first(
        &format!(
            "select {COLUMNS} from policy join account on account.id = policy.account
             where account.name = ?1 and policy.name = ?2"
        ),
        params![name.account(), name.name()],
        found,
    )
}

pub(crate) fn policy_list(
    tx: &ReadTransaction<'_>,
    account: AccountId,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Found>> {
    tx.all(
        &format!(
            "select {COLUMNS} from policy join account on account.id = policy.account
             where policy.account = ?1 and policy.name > ?2 order by policy.name limit ?3"
        ),
        params![account, after.unwrap_or_default(), limit],
        found,
    )
}

/// What a new policy is made of.
pub(crate) struct NewRow {
    pub(crate) id: PolicyId,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) target: TargetId,
    pub(crate) target_name: String,
    pub(crate) text: String,
}

/// `false` if the name is taken.
pub(crate) fn policy_insert(
    tx: &WriteTransaction<'_>,
    new: &NewRow,
    now: Timestamp,
) -> Result<bool> {
    let inserted = tx.execute(
        "insert into policy(id, account, name, kind, target, target_name, text, created, updated)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) on conflict (account, name) do nothing",
        params![
            new.id,
            new.account,
            new.name,
            new.kind,
            new.target,
            new.target_name,
            new.text,
            now
        ],
    )?;
    Ok(inserted == 1)
}

/// The number of policies of a target.
pub(crate) fn policy_count(tx: &ReadTransaction<'_>, target: TargetId) -> Result<u64> {
    tx.number(
        "select count(*) from policy where target = ?1",
        params![target],
    )
}

/// `false` if it is gone.
pub(crate) fn policy_set_text(
    tx: &WriteTransaction<'_>,
    id: PolicyId,
    text: &str,
    now: Timestamp,
) -> Result<bool> {
    let changed = tx.execute(
        "update policy set text = ?2, updated = ?3 where id = ?1",
        params![id, text, now],
    )?;
    Ok(changed == 1)
}

/// `false` if it is gone.
pub(crate) fn policy_delete(tx: &WriteTransaction<'_>, id: PolicyId) -> Result<bool> {
    let deleted = tx.execute("delete from policy where id = ?1", params![id])?;
    Ok(deleted == 1)
}

/// Deletes the policies of what is being deleted.
pub(crate) fn target_policies_delete(tx: &WriteTransaction<'_>, target: &[u8; 16]) -> Result<()> {
    tx.execute(
        "delete from policy where target = ?1",
        params![TargetId(*target)],
    )?;
    Ok(())
}

/// The most lines of the audit log that are looked at for each list.
const LINES: usize = 10_000;

/// Who was seen in the latest lines of the audit log of this account, and on
/// which repositories, the latest first. For a policy's simulation.
pub(crate) fn audit_seen(
    tx: &ReadTransaction<'_>,
    account: &str,
    limit: usize,
) -> Result<(Vec<PrincipalId>, Vec<RepositoryName>)> {
    let seen = |whose: &str| {
        tx.all(
            &format!(
                "select principal, max(at) as latest
                 from (select principal, at from audit
                       where {whose} = ?1 order by id desc limit ?2) seen
                 where principal is not null
                 group by principal order by latest desc limit ?3"
            ),
            params![account, LINES, limit],
            |row| Ok((row.get::<Timestamp>(1)?, row.get::<PrincipalId>(0)?)),
        )
    };
    let mut principals = seen("account_name")?;
    principals.extend(seen("resource_account")?);
    principals.sort_by_key(|(latest, id)| (std::cmp::Reverse(*latest), *id));
    let mut known = BTreeSet::new();
    let principals = principals.into_iter().map(|(_, id)| id);
    let principals = principals.filter(|id| known.insert(*id)).take(limit);
    let names = tx.all(
        "select resource_name, max(at) as latest
         from (select resource_name, resource_kind, at from audit
               where resource_account = ?1 order by id desc limit ?2) seen
         where resource_kind = 'repository'
         group by resource_name order by latest desc limit ?3",
        params![account, LINES, limit],
        |row| row.get::<String>(0),
    )?;
    Ok((
        principals.collect(),
        names.iter().filter_map(|name| name.parse().ok()).collect(),
    ))
}
