//! `/api/v1/groups`: principals that policies speak of together.

use axum::{Json, http::StatusCode};
use landfall_identity::{Action, Group, LocalName};
use landfall_ids::GroupId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    caller::{Call, Segments},
    paging::{Content, Listing, Paging, Parameters},
    principals::OfAccount,
    problem::Problem,
};

/// A group of principals of one account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupBody {
    /// Its identity.
    #[schema(value_type = String)]
    id: GroupId,
    /// Its name, with its account: `acme/developers`.
    name: String,
    /// The name of its account.
    account: String,
    /// When it was made, in RFC 3339.
    created: String,
    /// The names of its members; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<String>>,
}

impl From<Group> for GroupBody {
    fn from(group: Group) -> Self {
        Self {
            id: group.id,
            name: group.name.to_string(),
            account: group.name.account().to_owned(),
            created: group.created.to_string(),
            members: None,
        }
    }
}

/// A group to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGroup {
    /// Its name with its account: `acme/developers`.
    name: String,
}

/// Lists the groups of an account.
#[utoipa::path(get, path = "/groups", operation_id = "group_list",
    tag = "identities", params(OfAccount),
    responses((status = 200, body = Listing<GroupBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    call: Call,
    Parameters(of): Parameters<OfAccount>,
) -> Result<Json<Listing<GroupBody>>, Problem> {
    let account = call.account_or_own(of.account)?;
    call.allow_account(Action::ReadAccount, &account).await?;
    let limit = Paging::of(None, of.limit).limit();
    let identity = &call.server.identity;
    let page = identity
        .group_list(&account, of.last.as_deref(), limit)
        .await?;
    Ok(Json(Listing::of_identity(page, |group: &Group| {
        group.name.name().to_owned()
    })))
}

/// Makes a group.
#[utoipa::path(post, path = "/groups", operation_id = "group_create",
    tag = "identities", request_body = NewGroup,
    responses((status = 201, body = GroupBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    call: Call,
    content: Content,
) -> Result<(StatusCode, Json<GroupBody>), Problem> {
    call.is_somebody()?;
    let new: NewGroup = content.read().await?;
    let name: LocalName = new.name.parse()?;
    call.allow_change(Action::ManagePrincipals, name.account())
        .await?;
    let identity = &call.server.identity;
    let made = identity.group_create(&name, &call.caller).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// A group with its members.
#[utoipa::path(get, path = "/groups/{group}", operation_id = "group_show",
    tag = "identities",
    params(("group" = String, Path, description = "The name, percent-encoded")),
    responses((status = 200, body = GroupBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    call: Call,
    Segments(group): Segments<String>,
) -> Result<Json<GroupBody>, Problem> {
    let name: LocalName = group.parse()?;
    call.allow_account(Action::ReadAccount, name.account())
        .await?;
    let identity = &call.server.identity;
    let mut body = GroupBody::from(identity.group_show(&name).await?);
    let members = identity.group_members(&name).await?;
    body.members = Some(members.iter().map(LocalName::to_string).collect());
    Ok(Json(body))
}

/// Deletes a group with the policies that are attached to it. Its members stay.
#[utoipa::path(delete, path = "/groups/{group}", operation_id = "group_delete",
    tag = "identities",
    params(("group" = String, Path, description = "The name, percent-encoded")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    call: Call,
    Segments(group): Segments<String>,
) -> Result<StatusCode, Problem> {
    let name: LocalName = group.parse()?;
    call.allow_change(Action::ManagePrincipals, name.account())
        .await?;
    let identity = &call.server.identity;
    identity.group_delete(&name, &call.caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds a principal of the same account. One that is a member stays one.
#[utoipa::path(put, path = "/groups/{group}/members/{member}", operation_id = "group_add",
    tag = "identities",
    params(("group" = String, Path, description = "The name of the group, percent-encoded"),
           ("member" = String, Path, description = "The name of the principal, percent-encoded")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add(
    call: Call,
    Segments((group, member)): Segments<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (group, member): (LocalName, LocalName) = (group.parse()?, member.parse()?);
    call.allow_change(Action::ManagePrincipals, group.account())
        .await?;
    let identity = &call.server.identity;
    identity.group_add(&group, &member, &call.caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a principal out.
#[utoipa::path(delete, path = "/groups/{group}/members/{member}", operation_id = "group_remove",
    tag = "identities",
    params(("group" = String, Path, description = "The name of the group, percent-encoded"),
           ("member" = String, Path, description = "The name of the principal, percent-encoded")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove(
    call: Call,
    Segments((group, member)): Segments<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (group, member): (LocalName, LocalName) = (group.parse()?, member.parse()?);
    call.allow_change(Action::ManagePrincipals, group.account())
        .await?;
    let identity = &call.server.identity;
    identity.group_remove(&group, &member, &call.caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
