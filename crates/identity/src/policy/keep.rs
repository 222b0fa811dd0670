//! Making, changing, listing and deleting policies.

use landfall_ids::PolicyId;

use super::{Policy, PolicyErrors, PolicyTarget, parse, schema, stack};
use crate::{
    AuditEvent, Caller, Error, Identity, LocalName, Page, PolicyName, store,
    store::policies::{NewRow, TargetId},
};

/// The most policies that can be attached to one target.
const MOST_POLICIES: u64 = 20;
/// What it is called in messages and in the audit log.
const KIND: &str = "policy";

/// Checks the text of a policy against the schema, on a thread of its own: it
/// takes milliseconds, and the stack that it takes depends on the text.
pub(super) async fn check(text: &str) -> Result<(), Error> {
    let text = text.to_owned();
    match stack::deep(move || parse::check(&text)).await {
        Some(result) => result.map_err(Error::Policy),
        None => Err(Error::invalid("the policy can't be checked")),
    }
}

impl Identity {
    /// Whether this text can be a policy: all that is wrong with it, and where.
    pub async fn policy_validate(&self, text: &str) -> Result<(), PolicyErrors> {
        match check(text).await {
            Ok(()) => Ok(()),
            Err(Error::Policy(errors)) => Err(errors),
            Err(error) => Err(PolicyErrors(vec![super::PolicyError {
                line: 1,
                column: 1,
                message: error.to_string(),
                hint: None,
            }])),
        }
    }

    /// The published schema.
    pub fn policy_schema(&self) -> &'static str {
        schema::TEXT
    }

    /// Attaches a policy. Its account is that of its target.
    /// [`Error::NotFound`] if the target is not there, [`Error::Exists`] if the
    /// name is taken, [`Error::Policy`] if the text is wrong.
    pub async fn policy_create(
        &self,
        name: &LocalName,
        target: &PolicyTarget,
        text: &str,
        by: &Caller,
    ) -> Result<Policy, Error> {
        check(text).await?;
        if target.account() != name.account() {
            return Err(Error::invalid(format!(
                "the policy `{}/{}` can't be attached to the {} `{}`: it belongs to another \
                 account; name it `{}/{}`",
                name.account(),
                name.name(),
                target.kind(),
                target.name(),
                target.account(),
                name.name()
            )));
        }
        let repository = self.repository_of(target).await?;
        let now = self.clock.now();
        let policy = Policy {
            id: PolicyId::new_at(now.unix_micros()),
            name: full(name),
            target: target.clone(),
            text: text.to_owned(),
            created: now,
            updated: now,
        };
        let event = event(by, "policy.create", name)
            .id(policy.id)
            .detail(format!("on the {} `{}`", target.kind(), target.name()));
        let (made, local) = (policy.clone(), name.clone());
        self.change(event, move |tx| {
            let (account, target) = target_find(tx, &made.target, repository)?;
            if store::policies::policy_count(tx, target)? >= MOST_POLICIES {
                return Err(Error::invalid(format!(
                    "the {} `{}` has {MOST_POLICIES} policies already; put the statements into \
                     one of them",
                    made.target.kind(),
                    made.target.name()
                )));
            }
            let row = NewRow {
                id: made.id,
                account,
                name: local.name().to_owned(),
                kind: made.target.kind(),
                target,
                target_name: match &made.target {
                    PolicyTarget::Principal(name) | PolicyTarget::Group(name) => {
                        name.name().to_owned()
                    }
                    other => other.name(),
                },
                text: made.text.clone(),
            };
            if store::policies::policy_insert(tx, &row, now)? {
                return Ok(());
            }
            Err(Error::exists(KIND, &made.name))
        })
        .await?;
        Ok(policy)
    }

    /// Replaces the text of a policy.
    pub async fn policy_update(
        &self,
        name: &LocalName,
        text: &str,
        by: &Caller,
    ) -> Result<Policy, Error> {
        check(text).await?;
        let now = self.clock.now();
        let (local, text) = (name.clone(), text.to_owned());
        self.change(event(by, "policy.update", name), move |tx| {
            let gone = || Error::not_found(KIND, full(&local));
            let (found, ..) = store::policies::policy_find(tx, &local)?.ok_or_else(gone)?;
            if !store::policies::policy_set_text(tx, found.id, &text, now)? {
                return Err(gone());
            }
            Ok(Policy {
                text: text.clone(),
                updated: now,
                ..found
            })
        })
        .await
    }

    /// Deletes a policy: what it allowed is not allowed any more, and what it
    /// forbade is not forbidden any more.
    pub async fn policy_delete(&self, name: &LocalName, by: &Caller) -> Result<(), Error> {
        let local = name.clone();
        self.change(event(by, "policy.delete", name), move |tx| {
            let gone = || Error::not_found(KIND, full(&local));
            let (found, ..) = store::policies::policy_find(tx, &local)?.ok_or_else(gone)?;
            if store::policies::policy_delete(tx, found.id)? {
                return Ok(());
            }
            Err(gone())
        })
        .await
    }

    /// The policy of that name.
    pub async fn policy_show(&self, name: &LocalName) -> Result<Policy, Error> {
        let local = name.clone();
        let found = self
            .database
            .read(move |tx| store::policies::policy_find(tx, &local));
        match found.await? {
            Some((policy, ..)) => Ok(policy),
            None => Err(Error::not_found(KIND, full(name))),
        }
    }

    /// The policies of an account whose names, inside of it, come after `after`.
    pub async fn policy_list(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Policy>, Error> {
        let (wanted, after) = (account.to_owned(), after.map(str::to_owned));
        let listed = self.database.read(move |tx| {
            let Some(account) = store::accounts::account_find(tx, &wanted)? else {
                return Ok(None);
            };
            let more = limit.saturating_add(1);
            store::policies::policy_list(tx, account.id, after.as_deref(), more).map(Some)
        });
        let listed: Result<_, landfall_database::Error> = listed.await;
        let listed = listed?.ok_or_else(|| Error::not_found("account", account))?;
        let policies = listed.into_iter().map(|(policy, ..)| policy).collect();
        Ok(Page::cut(policies, limit))
    }

    /// The identity of the repository that a policy is for.
    pub(super) async fn repository_of(
        &self,
        target: &PolicyTarget,
    ) -> Result<Option<TargetId>, Error> {
        let PolicyTarget::Repository(name) = target else {
            return Ok(None);
        };
        let found = self.repositories.repository_find(name).await?;
        let id = found.ok_or_else(|| Error::not_found("repository", name))?;
        Ok(Some(TargetId(*id.as_bytes())))
    }
}

/// The account and the identity of a target.
pub(super) fn target_find(
    tx: &landfall_database::ReadTransaction<'_>,
    target: &PolicyTarget,
    repository: Option<TargetId>,
) -> Result<(landfall_ids::AccountId, TargetId), Error> {
    let missing = || Error::not_found(target.kind(), target.name());
    Ok(match target {
        PolicyTarget::Principal(name) => {
            let found = store::principals::principal_find(tx, name)?.ok_or_else(missing)?;
            let principal = found.principal;
            (principal.account, TargetId(*principal.id.as_bytes()))
        }
        PolicyTarget::Group(name) => {
            let group = store::groups::group_find(tx, name)?.ok_or_else(missing)?;
            (group.account, TargetId(*group.id.as_bytes()))
        }
        PolicyTarget::Repository(_) | PolicyTarget::Account(_) => {
            let found = store::accounts::account_find(tx, &target.account())?;
            let account = found.ok_or_else(missing)?.id;
            (account, repository.unwrap_or(TargetId(*account.as_bytes())))
        }
    })
}

/// The name with its account, also where that is the operator's.
pub(super) fn full(name: &LocalName) -> PolicyName {
    PolicyName::new(format!("{}/{}", name.account(), name.name()))
}

fn event(by: &Caller, action: &'static str, name: &LocalName) -> AuditEvent {
    AuditEvent::new(by, action, KIND, full(name).as_str()).account(name.account())
}
