//! Whose access a change of policies would alter.
//!
//! Asked of the principals and the repositories that the audit log has seen, of
//! anybody who has not said who they are, and of the account itself; the latest
//! first, and no more than [`MOST`] of each. Nothing is changed.

use std::sync::Arc;

use landfall_oci::RepositoryName;

use super::{
    PolicyTarget, keep,
    rules::Rules,
    slices::{self, Slice},
    stack,
};
use crate::{
    Action, Ask, Caller, Error, Identity, LocalName, OPERATOR_ACCOUNT, Principal, Resource,
    ResourceKind, store,
    store::{
        policies::{Attached, TargetId},
        principals::Standing,
    },
};

/// The most principals, and the most repositories, that are asked about.
const MOST: usize = 100;

/// A change that is not made yet.
#[derive(Debug, Clone)]
pub enum PolicyChange {
    /// A policy is made.
    Create {
        /// What it is attached to.
        target: PolicyTarget,
        /// Its statements.
        text: String,
    },
    /// The text of a policy is replaced.
    Replace {
        /// The policy.
        name: LocalName,
        /// Its new statements.
        text: String,
    },
    /// A policy is deleted.
    Delete {
        /// The policy.
        name: LocalName,
    },
}

/// One access that a change alters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alteration {
    /// The login name of the principal, or `anonymous`.
    pub principal: String,
    /// What it wants to do.
    pub action: Action,
    /// To what.
    pub resource: String,
    /// Whether it may now.
    pub before: bool,
    /// Whether it may after the change.
    pub after: bool,
}

/// What a change would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulation {
    /// How many questions were asked: principal, action and resource.
    pub asked: u64,
    /// The answers that differ.
    pub changes: Vec<Alteration>,
    /// Whether there are more principals or repositories than were asked about.
    pub cut: bool,
}

/// The rules of a target as they would be.
struct Changed {
    account: String,
    target: TargetId,
    rules: Rules,
}

impl Identity {
    /// What a change would alter. It is asked without a tag, without an address,
    /// and at the present time.
    pub async fn policy_simulate(&self, change: &PolicyChange) -> Result<Simulation, Error> {
        let changed = self.changed(change).await?;
        let account = changed.account.clone();
        let seen = self.database.read_long(move |tx| {
            let (ids, repositories) = store::policies::audit_seen(tx, &account, MOST + 1)?;
            let mut principals = Vec::new();
            for id in &ids {
                if let Some(Standing::Good(principal)) =
                    store::principals::principal_standing(tx, *id)?
                {
                    principals.push(principal);
                }
            }
            let cut = ids.len() > MOST || repositories.len() > MOST;
            Ok::<_, landfall_database::Error>((principals, repositories, cut))
        });
        let (principals, repositories, cut) = seen.await?;
        let who = self.askers(principals).await?;
        let what = self.asked_about(&changed, repositories).await?;
        let now = self.clock.now();
        let anonymous_pull = self.settings.anonymous_pull;
        let asking = tokio::task::spawn_blocking(move || {
            let mut simulation = Simulation {
                asked: 0,
                changes: Vec::new(),
                cut,
            };
            for (caller, who) in &who {
                for (thing, what) in &what {
                    // Where the target is neither, its policies say nothing.
                    let matters = who.targets.contains(&changed.target)
                        || what.targets.contains(&changed.target);
                    if !matters {
                        continue;
                    }
                    compare(
                        &mut simulation,
                        (caller, who),
                        (thing, what),
                        &changed,
                        now,
                        anonymous_pull,
                    );
                }
            }
            simulation
        });
        asking
            .await
            .map_err(|_| Error::invalid("the change can't be simulated"))
    }

    /// The rules of the target as the change would make them.
    async fn changed(&self, change: &PolicyChange) -> Result<Changed, Error> {
        match change {
            PolicyChange::Create { text, .. } | PolicyChange::Replace { text, .. } => {
                keep::check(text).await?;
            }
            PolicyChange::Delete { .. } => {}
        }
        let repository = match change {
            PolicyChange::Create { target, .. } => self.repository_of(target).await?,
            PolicyChange::Replace { .. } | PolicyChange::Delete { .. } => None,
        };
        let change = change.clone();
        let read = self.database.read(move |tx| {
            let (account, target, mut policies);
            match &change {
                PolicyChange::Create { target: whom, text } => {
                    let found = keep::target_find(tx, whom, repository)?;
                    (account, target) = (whom.account(), found.1);
                    policies = store::policies::policies_of(tx, &[target])?;
                    policies.push(Attached {
                        target,
                        kind: whom.kind().to_owned(),
                        account: found.0,
                        // No policy can have this name.
                        name: crate::PolicyName::new(format!("{account}/*")),
                        text: text.clone(),
                    });
                }
                PolicyChange::Replace { name, .. } | PolicyChange::Delete { name } => {
                    let full = keep::full(name);
                    let found = store::policies::policy_find(tx, name)?;
                    let (_, of, _) = found.ok_or_else(|| Error::not_found("policy", &full))?;
                    (account, target) = (name.account().to_owned(), of);
                    policies = store::policies::policies_of(tx, &[target])?;
                    if let PolicyChange::Replace { text, .. } = &change {
                        for policy in policies.iter_mut().filter(|each| each.name == full) {
                            policy.text.clone_from(text);
                        }
                    } else {
                        policies.retain(|policy| policy.name != full);
                    }
                }
            }
            Ok::<_, Error>((account, target, policies))
        });
        let (account, target, policies) = read.await?;
        let compiled = stack::deep(move || slices::rules_of(policies.iter())).await;
        Ok(Changed {
            account,
            target,
            rules: compiled.ok_or(Error::Unavailable)?,
        })
    }

    async fn askers(&self, principals: Vec<Principal>) -> Result<Vec<(Caller, Arc<Slice>)>, Error> {
        let generation = self.generation().await?;
        let mut callers = vec![Caller::ANONYMOUS];
        for principal in principals.into_iter().take(MOST) {
            callers.push(Caller {
                principal: Some(principal.into()),
                ..Caller::ANONYMOUS
            });
        }
        let mut askers = Vec::new();
        for caller in callers {
            let slice = self.slice_of_caller(&generation, &caller).await?;
            askers.push((caller, slice));
        }
        Ok(askers)
    }

    async fn asked_about(
        &self,
        changed: &Changed,
        repositories: Vec<RepositoryName>,
    ) -> Result<Vec<(Thing, Arc<Slice>)>, Error> {
        let generation = self.generation().await?;
        let mut things: Vec<Thing> = vec![Thing::Account(changed.account.clone())];
        if changed.account == OPERATOR_ACCOUNT {
            things.push(Thing::Registry);
        }
        let known = repositories.into_iter().take(MOST);
        things.extend(known.map(Thing::Repository));
        // The repository that the policy is for may not have been seen yet.
        let id = landfall_ids::RepositoryId::from_bytes(&changed.target.0);
        if let Ok(id) = id
            && let Some(name) = self.repositories.repository_name(id).await?
            && !things
                .iter()
                .any(|thing| thing.resource().name() == name.as_str())
        {
            things.push(Thing::Repository(name));
        }
        let mut about = Vec::new();
        for thing in things {
            let slice = self
                .slice_of_resource(&generation, thing.resource())
                .await?;
            about.push((thing, slice));
        }
        Ok(about)
    }
}

/// A resource that has its name.
enum Thing {
    Repository(RepositoryName),
    Account(String),
    Registry,
}

impl Thing {
    fn resource(&self) -> Resource<'_> {
        match self {
            Self::Repository(name) => Resource::Repository(name),
            Self::Account(name) => Resource::Account(name),
            Self::Registry => Resource::Registry,
        }
    }

    fn kind(&self) -> ResourceKind {
        self.resource().kind()
    }
}

/// Asks for each action before and after the change.
fn compare(
    simulation: &mut Simulation,
    (caller, who): (&Caller, &Slice),
    (thing, what): (&Thing, &Slice),
    changed: &Changed,
    now: landfall_clock::Timestamp,
    anonymous_pull: bool,
) {
    for action in Action::ALL {
        if action.kind() != thing.kind() {
            continue;
        }
        simulation.asked += 1;
        let ask = Ask {
            caller,
            action,
            resource: thing.resource(),
            tag: None,
        };
        let may = |said| crate::access::with_built_in(said, &ask, anonymous_pull).is_allowed();
        let before = may(slices::said(who, what, &ask, now));
        let others = who.rules.iter().chain(&what.rules);
        let others = others.filter(|(target, _)| *target != changed.target);
        let rules = others
            .map(|(_, rules)| &**rules)
            .chain(std::iter::once(&changed.rules));
        let after = may(slices::said_by(rules, (who, what), &ask, now));
        if before != after {
            simulation.changes.push(Alteration {
                principal: caller.name(),
                action,
                resource: thing.resource().name().to_owned(),
                before,
                after,
            });
        }
    }
}
