//! The policies of one target, compiled, and decisions from several of them.

use std::{collections::BTreeSet, sync::Arc};

use cedar_policy::{
    ActionConstraint, Authorizer, Context, Decision as Verdict, Effect, Entities, Entity,
    EntityUid, Policy as Statement, PolicySet, Request,
};

use landfall_ids::{AccountId, PrincipalId, RepositoryId};

use super::{
    parse,
    pin::{self, Pin},
    schema,
};
use crate::{Action, PolicyName, PrincipalKind};

/// Between the name of a policy and the number of a statement.
pub(super) const NUMBER: char = '#';

/// The policies that are attached to one principal, group, repository or
/// account, sorted by the actions that they can say something about.
#[derive(Default)]
pub(crate) struct Rules {
    by_action: [Option<Set>; Action::ALL.len()],
    /// Policies that can't be compiled. They might forbid anything, so they do.
    broken: Vec<PolicyName>,
    /// About how many bytes this takes.
    weight: u64,
}

/// What is said about one action.
#[derive(Default)]
struct Set {
    statements: PolicySet,
    /// The name of the only policy, where there is one: most have one.
    only: Option<Arc<[PolicyName]>>,
    contextual: bool,
    permits: bool,
}

impl Rules {
    /// Compiles policies: the name, the pin and the text of each.
    pub(crate) fn compile<'a>(
        policies: impl IntoIterator<Item = (&'a PolicyName, Option<&'a Pin>, &'a str)>,
    ) -> Self {
        let mut rules = Self::default();
        for (name, pin, text) in policies {
            rules.weight += 1024 + 16 * text.len() as u64;
            if let Some(statements) = pin.and_then(|pin| compile(name, pin, text)) {
                rules.add(name, &statements);
                continue;
            }
            tracing::error!(
                policy = %name,
                "a policy can't be used, so all that it could forbid is refused; update or delete it"
            );
            rules.broken.push(name.clone());
        }
        rules
    }

    fn add(&mut self, name: &PolicyName, statements: &[Statement]) {
        for statement in statements {
            let constraint = statement.action_constraint();
            let contextual = pin::looks_at_context(statement);
            for action in Action::ALL {
                if !may_match(&constraint, action) {
                    continue;
                }
                let set = self.by_action[action as usize].get_or_insert_with(|| Set {
                    only: Some(Arc::from([name.clone()])),
                    ..Set::default()
                });
                if set.only.as_ref().is_some_and(|only| only[0] != *name) {
                    set.only = None;
                }
                set.contextual |= contextual;
                set.permits |= statement.effect() == Effect::Permit;
                // Names are unique and each statement of one has its number.
                if set.statements.add(statement.clone()).is_err() {
                    self.broken.push(name.clone());
                }
            }
        }
    }

    /// Whether nothing is said about anything.
    pub(super) fn is_empty(&self) -> bool {
        self.broken.is_empty() && self.by_action.iter().all(Option::is_none)
    }

    /// About how many bytes this takes.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    fn of(&self, action: Action) -> Option<&Set> {
        self.by_action[action as usize].as_ref()
    }

    /// Whether what is said about the action depends on the context.
    pub(super) fn is_contextual(&self, action: Action) -> bool {
        self.of(action).is_some_and(|set| set.contextual)
    }

    /// What is said about the action, statement by statement.
    pub(super) fn statements(&self, action: Action) -> impl Iterator<Item = &Statement> {
        let set = self.of(action).into_iter();
        set.flat_map(|set| set.statements.policies())
    }

    /// The policies that can't be compiled.
    pub(super) fn broken(&self) -> &[PolicyName] {
        &self.broken
    }

    /// Whether anything allows the action under any condition.
    pub(super) fn permits(&self, action: Action) -> bool {
        self.of(action).is_some_and(|set| set.permits)
    }
}

/// The statements of a policy, held by its pin.
pub(crate) fn compile(name: &PolicyName, pin: &Pin, text: &str) -> Option<Vec<Statement>> {
    let statements = parse::read(text).ok()?;
    let held = statements
        .iter()
        .enumerate()
        .map(|(number, statement)| pin.hold(statement, &format!("{name}{NUMBER}{}", number + 1)));
    held.collect()
}

/// Whether the text can be compiled, whatever it is attached to, and asked.
pub(super) fn can_be_used(text: &str) -> bool {
    let name = PolicyName::new("a/a");
    let who = schema::principal_uid(PrincipalKind::User, PrincipalId::new_at(0));
    let account = schema::account_uid(AccountId::new_at(0));
    let what = schema::repository_uid(Some(RepositoryId::new_at(0)));
    let pins = [
        Pin::Whom {
            targets: vec![who.clone()],
            account: account.clone(),
        },
        Pin::What(account.clone()),
    ];
    pins.iter().all(|pin| {
        let rules = Rules::compile([(&name, Some(pin), text)]);
        for action in Action::ALL {
            let entities = [
                schema::named(who.clone(), "a", Some(&account), [account.clone()]),
                schema::named(what.clone(), "a/a", Some(&account), [account.clone()]),
                schema::named(account.clone(), "a", None, []),
            ];
            let context = Context::empty();
            let (request, entities) = request(who.clone(), action, what.clone(), context, entities);
            if let Some(set) = rules.of(action) {
                // What it answers does not matter, nor that it may fail.
                Authorizer::new().is_authorized(&request, &set.statements, &entities);
            }
        }
        rules.broken.is_empty()
    })
}

/// Whether a statement with this constraint can match the action.
fn may_match(constraint: &ActionConstraint, action: Action) -> bool {
    let entity = schema::action_entity(action);
    let is = |uid: &EntityUid| entity.uid() == *uid || schema::is_in_group(action, uid);
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => entity.uid() == *uid,
        ActionConstraint::In(uids) => uids.iter().any(is),
    }
}

/// What policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// These allow it, and none forbids it.
    Allowed(Arc<[PolicyName]>),
    /// These forbid it, or might, and can't be asked.
    Forbidden(Arc<[PolicyName]>),
    /// None says anything.
    Nothing,
}

/// What all of the rules say together: as one set of policies would.
///
/// A permit that can't be evaluated does not count. A forbid that can't be
/// evaluated forbids.
pub(crate) fn decide<'a>(
    rules: impl IntoIterator<Item = &'a Rules>,
    action: Action,
    request: impl FnOnce() -> (Request, Entities),
) -> Said {
    let mut asked = None;
    let mut request = Some(request);
    let (mut permits, mut forbids) = (Found::default(), Found::default());
    for rules in rules {
        for name in &rules.broken {
            forbids.add(name.clone());
        }
        let Some(set) = rules.of(action) else {
            continue;
        };
        if let Some(request) = request.take() {
            asked = Some(request());
        }
        let Some((request, entities)) = &asked else {
            continue;
        };
        let answer = Authorizer::new().is_authorized(request, &set.statements, entities);
        for error in answer.diagnostics().errors() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            tracing::warn!(%error, "a policy can't be evaluated");
            let statement = set.statements.policy(error.policy_id());
            if statement.is_none_or(|statement| statement.effect() == Effect::Forbid) {
                forbids.add_statement(error.policy_id().as_ref());
            }
        }
        let found = match answer.decision() {
            Verdict::Allow => &mut permits,
            Verdict::Deny => &mut forbids,
        };
        match &set.only {
            Some(only) if answer.diagnostics().reason().next().is_some() => found.add_all(only),
            _ => {
                for reason in answer.diagnostics().reason() {
                    found.add_statement(reason.as_ref());
                }
            }
        }
    }
    match (forbids.names(), permits.names()) {
        (Some(names), _) => Said::Forbidden(names),
        (None, Some(names)) => Said::Allowed(names),
        (None, None) => Said::Nothing,
    }
}

/// Names of policies, without a copy where there is one.
#[derive(Default)]
struct Found {
    first: Option<Arc<[PolicyName]>>,
    more: BTreeSet<PolicyName>,
}

impl Found {
    fn add_all(&mut self, only: &Arc<[PolicyName]>) {
        if self.first.is_none() && self.more.is_empty() {
            self.first = Some(Arc::clone(only));
        } else {
            self.more.extend(only.iter().cloned());
        }
    }

    fn add(&mut self, name: PolicyName) {
        self.more.insert(name);
    }

    fn add_statement(&mut self, id: &str) {
        let name = id.rsplit_once(NUMBER).map_or(id, |(name, _)| name);
        self.add(PolicyName::new(name));
    }

    fn names(mut self) -> Option<Arc<[PolicyName]>> {
        if self.more.is_empty() {
            return self.first;
        }
        if let Some(first) = self.first {
            self.more.extend(first.iter().cloned());
        }
        Some(self.more.into_iter().collect())
    }
}

/// A request, and the entities that its policies may look at.
pub(crate) fn request(
    principal: EntityUid,
    action: Action,
    resource: EntityUid,
    context: Context,
    entities: impl IntoIterator<Item = Entity>,
) -> (Request, Entities) {
    let action = schema::action_entity(action);
    let entities = entities.into_iter().chain([action.clone()]);
    let entities =
        Entities::from_entities(entities, None).expect("each is there once, with its ancestors");
    let request = Request::new(principal, action.uid(), resource, context, None)
        .expect("without a schema nothing is checked");
    (request, entities)
}
