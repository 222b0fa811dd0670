//! What a text, a policy or a change would mean: `policies:validate`,
//! `policies:explain` and `policies:simulate`. Nothing is changed here.

use std::net::IpAddr;

use axum::Json;
use landfall_identity::{
    Action, Alteration, Explanation, LocalName, PolicyChange, Resource, ResourceKind, Simulation,
    StatementOutcome, StatementSays,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{
        caller::{Call, repository},
        paging::Content,
        problem::{PolicyErrorBody, Problem},
    },
    PolicyText, TargetBody,
};

/// How a caller is called that does not say who it is.
const ANONYMOUS: &str = "anonymous";

/// Whether a text can be a policy.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Validation {
    /// Whether it can.
    valid: bool,
    /// What is wrong, and where.
    errors: Vec<PolicyErrorBody>,
}

/// Checks a text against the schema. What is wrong is told with its place.
#[utoipa::path(post, path = "/policies:validate", operation_id = "policy_validate",
    tag = "policies", request_body = PolicyText,
    responses((status = 200, body = Validation),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(in crate::api) async fn validate(
    call: Call,
    content: Content,
) -> Result<Json<Validation>, Problem> {
    call.is_somebody()?;
    let asked: PolicyText = content.read().await?;
    let checked = call.server.identity.policy_validate(&asked.text).await;
    let errors = checked.err().map(|errors| errors.0).unwrap_or_default();
    Ok(Json(Validation {
        valid: errors.is_empty(),
        errors: errors.into_iter().map(Into::into).collect(),
    }))
}

/// What something would be done to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ResourceBody {
    /// `repository`, `account` or `registry`.
    kind: String,
    /// Its name; the registry has none.
    #[serde(default)]
    name: Option<String>,
}

/// May this principal do that to this?
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Question {
    /// The name of a principal; `anonymous` for who does not say who it is; `~`
    /// for the caller.
    principal: String,
    /// An action of the schema, such as `push`.
    action: String,
    /// What it would be done to.
    resource: ResourceBody,
    /// The tag that it is about.
    #[serde(default)]
    tag: Option<String>,
    /// The address that the request would come from.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    source: Option<IpAddr>,
}

/// What a statement says about a question.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct StatementBody {
    /// The policy that it is in.
    policy: String,
    /// Its number in the policy, from 1.
    number: usize,
    /// `permit` or `forbid`.
    effect: &'static str,
    /// `applies`, `does-not-apply` or `fails`.
    outcome: &'static str,
    /// Why it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The statement, with the conditions that hold it to its target.
    text: String,
}

impl From<StatementSays> for StatementBody {
    fn from(says: StatementSays) -> Self {
        let (outcome, error) = match says.outcome {
            StatementOutcome::Applies => ("applies", None),
            StatementOutcome::DoesNotApply => ("does-not-apply", None),
            StatementOutcome::Fails(error) => ("fails", Some(error)),
        };
        Self {
            policy: says.policy.to_string(),
            number: says.number,
            effect: if says.forbids { "forbid" } else { "permit" },
            outcome,
            error,
            text: says.text,
        }
    }
}

/// The answer to a question.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Answer {
    /// Whether it may.
    allowed: bool,
    /// Why it may not, where no policy says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The policies that say so.
    policies: Vec<String>,
    /// Every statement about the action that the caller may see.
    statements: Vec<StatementBody>,
    /// Whether there are policies that the caller may not see.
    hidden: bool,
}

impl From<Explanation> for Answer {
    fn from(explanation: Explanation) -> Self {
        let allowed = explanation.decision.is_allowed();
        let policies = &explanation.decision.policies;
        let told: Vec<_> = policies.iter().map(ToString::to_string).collect();
        let nothing = !allowed && told.is_empty() && !explanation.hidden;
        Self {
            allowed,
            reason: nothing.then_some("no policy allows it"),
            policies: told,
            statements: explanation.statements.into_iter().map(Into::into).collect(),
            hidden: explanation.hidden,
        }
    }
}

/// Tells whether a principal may do something, and which policies say so. Who
/// asks needs the right to read the policies of the resource's account; and
/// those of the principal's, if it is not the caller.
#[utoipa::path(post, path = "/policies:explain", operation_id = "policy_explain",
    tag = "policies", request_body = Question,
    responses((status = 200, body = Answer),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(in crate::api) async fn explain(call: Call, content: Content) -> Result<Json<Answer>, Problem> {
    call.is_somebody()?;
    let asked: Question = content.read().await?;
    let Some(action) = Action::of(&asked.action) else {
        let known: Vec<_> = Action::ALL.iter().map(|action| action.cedar_id()).collect();
        let detail = format!(
            "`{}` is no action; there are {}",
            asked.action,
            known.join(", ")
        );
        return Err(Problem::invalid(&detail));
    };
    let name;
    let resource = match (asked.resource.kind.as_str(), &asked.resource.name) {
        ("repository", Some(given)) => {
            name = repository(given)?;
            Resource::Repository(&name)
        }
        ("account", Some(given)) => Resource::Account(given),
        ("registry", None) => Resource::Registry,
        _ => {
            let detail = "a resource is a `repository` or an `account` with its name, or the \
                          `registry` without one";
            return Err(Problem::invalid(&detail));
        }
    };
    if action.kind() != resource.kind() {
        let wanted = match action.kind() {
            ResourceKind::Registry => "to the registry",
            ResourceKind::Repository => "to a repository, such as `acme/web`",
            ResourceKind::Account => "to an account, such as `acme`",
        };
        let detail = format!("`{action}` is done {wanted}");
        return Err(Problem::invalid(&detail));
    }
    match resource {
        Resource::Repository(name) => {
            let account = name.account().to_string();
            call.allow_account(Action::ReadPolicies, &account).await?;
        }
        Resource::Account(account) => call.allow_account(Action::ReadPolicies, account).await?,
        Resource::Registry => call.allow_operation().await?,
    }
    let principal = match asked.principal.as_str() {
        ANONYMOUS => None,
        name => Some(call.principal(name)?),
    };
    if let Some(name) = principal.as_ref().filter(|name| !call.is_oneself(name)) {
        call.allow_account(Action::ReadPolicies, name.account())
            .await?;
    }
    let identity = &call.server.identity;
    let explained = identity.policy_explain(
        principal.as_ref(),
        action,
        resource,
        asked.tag.as_deref(),
        asked.source,
        &call.caller,
    );
    Ok(Json(explained.await?.into()))
}

/// A change that is not made: a policy for `target` with `text`, another `text`
/// for the policy `replace`, or the policy `delete` gone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Change {
    /// What a policy would be attached to.
    #[serde(default)]
    target: Option<TargetBody>,
    /// The name of the policy that would be replaced.
    #[serde(default)]
    replace: Option<String>,
    /// The name of the policy that would be deleted.
    #[serde(default)]
    delete: Option<String>,
    /// The statements of the policy, in Cedar.
    #[serde(default)]
    text: Option<String>,
}

impl Change {
    /// The change, and the name of the account that it is about.
    fn parse(self) -> Result<(String, PolicyChange), Problem> {
        match (self.target, self.replace, self.delete, self.text) {
            (Some(target), None, None, Some(text)) => {
                let target = target.parse()?;
                Ok((target.account(), PolicyChange::Create { target, text }))
            }
            (None, Some(name), None, Some(text)) => {
                let name: LocalName = name.parse()?;
                let account = name.account().to_owned();
                Ok((account, PolicyChange::Replace { name, text }))
            }
            (None, None, Some(name), None) => {
                let name: LocalName = name.parse()?;
                Ok((name.account().to_owned(), PolicyChange::Delete { name }))
            }
            _ => Err(Problem::invalid(
                &"one change is expected: `target` and `text`, `replace` and `text`, or `delete`",
            )),
        }
    }
}

/// Access that a change would alter.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct AlterationBody {
    /// The name of the principal, or `anonymous`.
    principal: String,
    /// What it wants to do.
    action: &'static str,
    /// The name of what it wants to do it to.
    resource: String,
    /// `allowed` or `refused`, now.
    before: &'static str,
    /// `allowed` or `refused`, after the change.
    after: &'static str,
}

impl From<Alteration> for AlterationBody {
    fn from(alteration: Alteration) -> Self {
        let word = |allowed| if allowed { "allowed" } else { "refused" };
        Self {
            principal: alteration.principal,
            action: alteration.action.cedar_id(),
            resource: alteration.resource,
            before: word(alteration.before),
            after: word(alteration.after),
        }
    }
}

/// What a change would do.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct SimulationBody {
    /// How many questions were asked.
    asked: u64,
    /// The answers that differ.
    changes: Vec<AlterationBody>,
    /// Whether there are more principals or repositories than were asked about.
    cut: bool,
}

impl From<Simulation> for SimulationBody {
    fn from(simulation: Simulation) -> Self {
        Self {
            asked: simulation.asked,
            changes: simulation.changes.into_iter().map(Into::into).collect(),
            cut: simulation.cut,
        }
    }
}

/// Tells whose access a change would alter, over the principals and the
/// resources of the audit log. Who asks needs the rights to read the account's
/// policies and its audit log.
#[utoipa::path(post, path = "/policies:simulate", operation_id = "policy_simulate",
    tag = "policies", request_body = Change,
    responses((status = 200, body = SimulationBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(in crate::api) async fn simulate(
    call: Call,
    content: Content,
) -> Result<Json<SimulationBody>, Problem> {
    call.is_somebody()?;
    let change: Change = content.read().await?;
    let (account, change) = change.parse()?;
    call.allow_account(Action::ReadPolicies, &account).await?;
    call.allow_account(Action::ReadAudit, &account).await?;
    let simulated = call.server.identity.policy_simulate(&change).await?;
    Ok(Json(simulated.into()))
}
