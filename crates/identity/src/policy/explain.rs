//! Why somebody may do something, or may not: statement by statement.

use std::net::IpAddr;

use cedar_policy::{Authorizer, Decision as Verdict, Effect, PolicySet};

use super::{rules::NUMBER, slices};
use crate::{
    Action, Ask, Caller, Credential, CredentialKind, Decision, Error, Identity, LocalName,
    PolicyName, Resource, ResourceKind, ScopeLimit, store,
};

/// What a statement comes to for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementOutcome {
    /// It applies: it permits, or it forbids.
    Applies,
    /// It does not apply.
    DoesNotApply,
    /// It can't be evaluated. A permit does not count then; a forbid does.
    Fails(String),
}

/// A statement that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementSays {
    /// The policy that it is in.
    pub policy: PolicyName,
    /// Its number in the policy, from 1.
    pub number: usize,
    /// Whether it forbids, and does not permit.
    pub forbids: bool,
    /// What it comes to.
    pub outcome: StatementOutcome,
    /// The statement, with the conditions that hold it to its target.
    pub text: String,
}

/// Why somebody may do something, or may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Whether they may, and the policies that decide.
    pub decision: Decision,
    /// Every statement about the action that speaks of them or of the resource.
    pub statements: Vec<StatementSays>,
    /// Policies of accounts that the asker may not read were left out.
    pub hidden: bool,
}

impl Identity {
    /// Whether a principal (`None`: anybody who has not said who they are) may
    /// do something, and what each policy says about it. Policies of accounts
    /// whose policies `by` may not read decide, and are not told.
    pub async fn policy_explain(
        &self,
        principal: Option<&LocalName>,
        action: Action,
        resource: Resource<'_>,
        tag: Option<&str>,
        source: Option<IpAddr>,
        by: &Caller,
    ) -> Result<Explanation, Error> {
        fits(action, resource)?;
        let mut caller = Caller::anonymous(source);
        if let Some(name) = principal {
            let wanted = name.clone();
            let found = self
                .database
                .read(move |tx| store::principals::principal_find(tx, &wanted));
            let found = found
                .await?
                .ok_or_else(|| Error::not_found("principal", name))?;
            caller.principal = Some(found.principal.into());
            caller.scope = ScopeLimit::Whole;
            caller.credential = Credential {
                kind: CredentialKind::BearerToken,
                id: None,
            };
        }
        let ask = Ask {
            caller: &caller,
            action,
            resource,
            tag,
        };
        let decision = self.authorize(&ask).await?;
        let generation = self.generation().await?;
        let who = self.slice_of_caller(&generation, &caller).await?;
        let what = self.slice_of_resource(&generation, resource).await?;
        let (request, entities) = slices::request(&who, &what, &ask, self.clock.now());
        let mut statements = Vec::new();
        for (_, rules) in who.rules.iter().chain(&what.rules) {
            for name in rules.broken() {
                statements.push(StatementSays {
                    policy: name.clone(),
                    number: 0,
                    forbids: true,
                    outcome: StatementOutcome::Fails("the policy can't be read".to_owned()),
                    text: String::new(),
                });
            }
            for statement in rules.statements(action) {
                let id: &str = statement.id().as_ref();
                let (name, number) = id.rsplit_once(NUMBER).unwrap_or((id, "0"));
                let alone = PolicySet::from_policies([statement.clone()]);
                let alone = alone.map_err(|error| Error::invalid(error.to_string()))?;
                let answer = Authorizer::new().is_authorized(&request, &alone, &entities);
                let failed = answer
                    .diagnostics()
                    .errors()
                    .next()
                    .map(ToString::to_string);
                let forbids = statement.effect() == Effect::Forbid;
                let satisfied = answer.diagnostics().reason().next().is_some()
                    || (!forbids && answer.decision() == Verdict::Allow);
                statements.push(StatementSays {
                    policy: PolicyName::new(name),
                    number: number.parse().unwrap_or(0),
                    forbids,
                    outcome: match failed {
                        Some(error) => StatementOutcome::Fails(error),
                        None if satisfied => StatementOutcome::Applies,
                        None => StatementOutcome::DoesNotApply,
                    },
                    text: statement.to_string(),
                });
            }
        }
        statements.sort_by(|a, b| (&a.policy, a.number).cmp(&(&b.policy, b.number)));
        self.hide(by, decision, statements).await
    }

    /// Leaves out the policies of accounts that `by` may not read.
    async fn hide(
        &self,
        by: &Caller,
        decision: Decision,
        statements: Vec<StatementSays>,
    ) -> Result<Explanation, Error> {
        let mut accounts = std::collections::BTreeMap::new();
        let names = statements.iter().map(|says| &says.policy);
        for name in names.chain(decision.policies.iter()) {
            let account = account_of(name).to_owned();
            if account == BUILT_IN || accounts.contains_key(&account) {
                continue;
            }
            let ask = Ask {
                caller: by,
                action: Action::ReadPolicies,
                resource: Resource::Account(&account),
                tag: None,
            };
            let may = self.authorize(&ask).await?.is_allowed();
            accounts.insert(account, may);
        }
        let shown = |name: &PolicyName| accounts.get(account_of(name)).copied().unwrap_or(true);
        let hidden = accounts.values().any(|may| !may);
        Ok(Explanation {
            decision: Decision {
                outcome: decision.outcome,
                policies: decision
                    .policies
                    .iter()
                    .filter(|name| shown(name))
                    .cloned()
                    .collect(),
            },
            statements: statements
                .into_iter()
                .filter(|says| shown(&says.policy))
                .collect(),
            hidden,
        })
    }
}

/// The account that what holds without a policy would have.
const BUILT_IN: &str = "built-in";

fn account_of(name: &PolicyName) -> &str {
    name.split_once('/').map_or(name, |(account, _)| account)
}

/// Refuses a question that makes no sense.
fn fits(action: Action, resource: Resource<'_>) -> Result<(), Error> {
    if action.kind() == resource.kind() {
        return Ok(());
    }
    let example = match action.kind() {
        ResourceKind::Repository => "name a repository, as in `acme/web`",
        ResourceKind::Account => "name an account, as in `acme`",
        ResourceKind::Registry => "leave the name out",
    };
    Err(Error::invalid(format!(
        "`{action}` is done to a {}, not to a {}: {example}",
        action.kind().as_str(),
        resource.kind().as_str()
    )))
}
