//! `/api/v1/policies`: who may do what.

pub(super) mod questions;

use axum::{
    Json,
    http::{StatusCode, header},
    response::IntoResponse,
};
use landfall_identity::{Action, LocalName, Policy, PolicyTarget, PolicyTemplate};
use landfall_ids::PolicyId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    caller::{Call, Segments, repository},
    paging::{Content, Listing, Paging, Parameters},
    principals::OfAccount,
    problem::Problem,
};

/// What a policy is attached to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetBody {
    /// `principal`, `group`, `repository` or `account`.
    kind: String,
    /// Its name.
    name: String,
}

impl TargetBody {
    fn parse(&self) -> Result<PolicyTarget, Problem> {
        match self.kind.as_str() {
            "principal" => Ok(PolicyTarget::Principal(self.name.parse()?)),
            "group" => Ok(PolicyTarget::Group(self.name.parse()?)),
            "repository" => Ok(PolicyTarget::Repository(repository(&self.name)?)),
            "account" => Ok(PolicyTarget::Account(self.name.clone())),
            kind => {
                let detail = format!(
                    "`{kind}` is no kind of target; there are `principal`, `group`, `repository` \
                     and `account`"
                );
                Err(Problem::invalid(&detail))
            }
        }
    }
}

/// A policy.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PolicyBody {
    /// Its identity.
    #[schema(value_type = String)]
    id: PolicyId,
    /// Its name, with its account: `acme/readers`.
    name: String,
    /// What it is attached to.
    target: TargetBody,
    /// Its statements, in Cedar.
    text: String,
    /// When it was made, in RFC 3339.
    created: String,
    /// When its text was changed last, in RFC 3339.
    updated: String,
}

impl From<Policy> for PolicyBody {
    fn from(policy: Policy) -> Self {
        Self {
            id: policy.id,
            name: policy.name.to_string(),
            target: TargetBody {
                kind: policy.target.kind().to_owned(),
                name: policy.target.name(),
            },
            text: policy.text,
            created: policy.created.to_string(),
            updated: policy.updated.to_string(),
        }
    }
}

/// A policy to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPolicy {
    /// Its name, with the account of its target: `acme/readers`.
    name: String,
    /// What it is attached to.
    target: TargetBody,
    /// Its statements, in Cedar.
    text: String,
}

/// The statements of a policy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyText {
    /// In Cedar.
    pub(super) text: String,
}

/// A policy that is ready to be used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TemplateBody {
    /// Its name.
    name: &'static str,
    /// What it allows.
    description: &'static str,
    /// Its statements, for a principal or a group.
    text: &'static str,
}

impl From<&PolicyTemplate> for TemplateBody {
    fn from(template: &PolicyTemplate) -> Self {
        Self {
            name: template.name,
            description: template.description,
            text: template.text,
        }
    }
}

/// Lists the policies of an account.
#[utoipa::path(get, path = "/policies", operation_id = "policy_list",
    tag = "policies", params(OfAccount),
    responses((status = 200, body = Listing<PolicyBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    call: Call,
    Parameters(of): Parameters<OfAccount>,
) -> Result<Json<Listing<PolicyBody>>, Problem> {
    let account = call.account_or_own(of.account)?;
    call.allow_account(Action::ReadPolicies, &account).await?;
    let limit = Paging::of(None, of.limit).limit();
    let identity = &call.server.identity;
    let last = of.last.as_deref();
    let page = identity.policy_list(&account, last, limit).await?;
    Ok(Json(Listing::of_identity(page, |policy: &Policy| {
        let name = policy.name.as_str();
        name.rsplit('/').next().unwrap_or(name).to_owned()
    })))
}

/// Makes a policy. It holds for the next request on this server, and within two
/// seconds on the others.
#[utoipa::path(post, path = "/policies", operation_id = "policy_create",
    tag = "policies", request_body = NewPolicy,
    responses((status = 201, body = PolicyBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    call: Call,
    content: Content,
) -> Result<(StatusCode, Json<PolicyBody>), Problem> {
    call.is_somebody()?;
    let new: NewPolicy = content.read().await?;
    let name: LocalName = new.name.parse()?;
    let target = new.target.parse()?;
    call.allow_change(Action::ManagePolicies, name.account())
        .await?;
    // The identity service takes a target of the same account only.
    let identity = &call.server.identity;
    let made = identity.policy_create(&name, &target, &new.text, &call.caller);
    Ok((StatusCode::CREATED, Json(made.await?.into())))
}

/// A policy with its text.
#[utoipa::path(get, path = "/policies/{policy}", operation_id = "policy_show",
    tag = "policies",
    params(("policy" = String, Path, description = "The name, percent-encoded")),
    responses((status = 200, body = PolicyBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    call: Call,
    Segments(policy): Segments<String>,
) -> Result<Json<PolicyBody>, Problem> {
    let name: LocalName = policy.parse()?;
    call.allow_account(Action::ReadPolicies, name.account())
        .await?;
    Ok(Json(call.server.identity.policy_show(&name).await?.into()))
}

/// Replaces the text of a policy.
#[utoipa::path(put, path = "/policies/{policy}", operation_id = "policy_update",
    tag = "policies", request_body = PolicyText,
    params(("policy" = String, Path, description = "The name, percent-encoded")),
    responses((status = 200, body = PolicyBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn update(
    call: Call,
    Segments(policy): Segments<String>,
    content: Content,
) -> Result<Json<PolicyBody>, Problem> {
    let name: LocalName = policy.parse()?;
    call.allow_change(Action::ManagePolicies, name.account())
        .await?;
    let new: PolicyText = content.read().await?;
    let identity = &call.server.identity;
    let updated = identity.policy_update(&name, &new.text, &call.caller);
    Ok(Json(updated.await?.into()))
}

/// Deletes a policy.
#[utoipa::path(delete, path = "/policies/{policy}", operation_id = "policy_delete",
    tag = "policies",
    params(("policy" = String, Path, description = "The name, percent-encoded")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    call: Call,
    Segments(policy): Segments<String>,
) -> Result<StatusCode, Problem> {
    let name: LocalName = policy.parse()?;
    call.allow_change(Action::ManagePolicies, name.account())
        .await?;
    let identity = &call.server.identity;
    identity.policy_delete(&name, &call.caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists policies that are ready to be used.
#[utoipa::path(get, path = "/policy-templates", operation_id = "policy_templates",
    tag = "policies",
    responses((status = 200, body = Listing<TemplateBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn templates(call: Call) -> Result<Json<Listing<TemplateBody>>, Problem> {
    call.is_somebody()?;
    let templates = call.server.identity.policy_templates().iter();
    Ok(Json(Listing::whole(templates.map(Into::into).collect())))
}

/// The schema that policies are checked against, as Cedar writes it.
#[utoipa::path(get, path = "/policy-schema", operation_id = "policy_schema",
    tag = "policies",
    responses((status = 200, content_type = "text/plain; charset=utf-8", body = String),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn schema(call: Call) -> Result<impl IntoResponse, Problem> {
    call.is_somebody()?;
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((plain, call.server.identity.policy_schema()))
}
