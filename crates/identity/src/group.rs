//! Groups: principals of one account that policies name together. A group
//! holds principals, and no groups.

use landfall_clock::Timestamp;
use landfall_ids::{AccountId, GroupId};

use crate::{AuditEvent, Caller, Error, Identity, LocalName, Page, store};

/// Principals that policies name together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its identity: what policies name it by.
    pub id: GroupId,
    /// The account that it belongs to, and its members too.
    pub account: AccountId,
    /// What it is called.
    pub name: LocalName,
    /// When it was made.
    pub created: Timestamp,
}

/// What it is called in messages and in the audit log.
const KIND: &str = "group";
/// Groups that a principal is in, at the most: each has policies that a
/// decision has to look at.
const MOST_GROUPS: usize = 64;

impl Identity {
    /// Makes a group. [`Error::Exists`] if there is one of the name.
    pub async fn group_create(&self, name: &LocalName, by: &Caller) -> Result<Group, Error> {
        let now = self.clock.now();
        let id = GroupId::new_at(now.unix_micros());
        let event = event(by, "group.create", name).id(id);
        let name = name.clone();
        self.change(event, move |tx| {
            let account = store::accounts::account_hold(tx, name.account())?
                .ok_or_else(|| Error::not_found("account", name.account()))?;
            if !store::groups::group_insert(tx, id, account, name.name(), now)? {
                return Err(Error::exists(KIND, &name));
            }
            Ok(Group {
                id,
                account,
                name: name.clone(),
                created: now,
            })
        })
        .await
    }

    /// The groups of an account whose names come after `after`, by name.
    pub async fn group_list(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Group>, Error> {
        let id = self.account_show(account).await?.id;
        let (account, after) = (account.to_owned(), after.map(str::to_owned));
        let listed = self.database.read(move |tx| {
            let more = limit.saturating_add(1);
            store::groups::group_list(tx, (id, &account), after.as_deref(), more)
        });
        Ok(Page::cut(listed.await?, limit))
    }

    /// The group of that name.
    pub async fn group_show(&self, name: &LocalName) -> Result<Group, Error> {
        let wanted = name.clone();
        let found = self
            .database
            .read(move |tx| store::groups::group_find(tx, &wanted));
        found.await?.ok_or_else(|| Error::not_found(KIND, name))
    }

    /// The principals in the group, by name.
    pub async fn group_members(&self, name: &LocalName) -> Result<Vec<LocalName>, Error> {
        let id = self.group_show(name).await?.id;
        let names = self
            .database
            .read_long(move |tx| store::groups::group_members(tx, id))
            .await?;
        let full = |each| LocalName::stored(name.account(), each);
        Ok(names.into_iter().map(full).collect())
    }

    /// Puts a principal of the same account into the group. One that is in it
    /// already stays.
    pub async fn group_add(
        &self,
        group: &LocalName,
        principal: &LocalName,
        by: &Caller,
    ) -> Result<(), Error> {
        if group.account() != principal.account() {
            return Err(Error::invalid(format!(
                "`{principal}` is not of the account `{}`; a group holds principals of its own \
                 account",
                group.account()
            )));
        }
        let to = self.group_show(group).await?.id;
        let id = self.principal_of(principal, by).await?;
        let event = event(by, "group.add", group)
            .id(to)
            .detail(principal.to_string());
        let (group, principal) = (group.clone(), principal.clone());
        self.change(event, move |tx| {
            if !store::principals::principal_hold(tx, id)? {
                return Err(Error::not_found("principal", &principal));
            }
            if store::groups::group_find(tx, &group)?.is_none_or(|found| found.id != to) {
                return Err(Error::not_found(KIND, &group));
            }
            store::groups::group_add(tx, to, id)?;
            if store::groups::groups_of(tx, id)?.len() > MOST_GROUPS {
                return Err(Error::in_use(format!(
                    "`{principal}` is in {MOST_GROUPS} groups, and more are not possible; take it \
                     out of another one first"
                )));
            }
            Ok(())
        })
        .await
    }

    /// Takes a principal out of the group. [`Error::NotFound`] if it is not in
    /// it.
    pub async fn group_remove(
        &self,
        group: &LocalName,
        principal: &LocalName,
        by: &Caller,
    ) -> Result<(), Error> {
        let from = self.group_show(group).await?.id;
        let id = self.principal_of(principal, by).await?;
        let event = event(by, "group.remove", group)
            .id(from)
            .detail(principal.to_string());
        let (group, principal) = (group.clone(), principal.clone());
        self.change(event, move |tx| {
            if store::groups::group_remove(tx, from, id)? {
                return Ok(());
            }
            Err(Error::NotFound {
                what: format!("principal `{principal}` in the group `{group}`"),
            })
        })
        .await
    }

    /// Deletes the group with its policies. Its members stay.
    pub async fn group_delete(&self, name: &LocalName, by: &Caller) -> Result<(), Error> {
        let id = self.group_show(name).await?.id;
        let wanted = name.clone();
        self.change(event(by, "group.delete", name).id(id), move |tx| {
            if !store::groups::group_delete(tx, id)? {
                return Err(Error::not_found(KIND, &wanted));
            }
            Ok(store::policies::target_policies_delete(tx, id.as_bytes())?)
        })
        .await
    }
}

fn event(by: &Caller, action: &'static str, name: &LocalName) -> AuditEvent {
    AuditEvent::new(by, action, KIND, name.to_string()).account(name.account())
}
