//! `/api/v1/principals`: users, robots, hosts and workers.

use axum::{Json, http::StatusCode};
use landfall_identity::{Action, LocalName, PrincipalEntry, PrincipalKind, Secret};
use landfall_ids::PrincipalId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    accounts::Switch,
    caller::{Call, Segments},
    paging::{Content, Listing, Paging, Parameters},
    problem::Problem,
};

/// A principal: somebody or something that calls.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PrincipalBody {
    /// Its identity.
    #[schema(value_type = String)]
    id: PrincipalId,
    /// The name that it logs in by: `acme/alice`; in the account `admin`, the
    /// name alone.
    name: String,
    /// The name of its account.
    account: String,
    /// `user`, `robot`, `host` or `worker`.
    kind: &'static str,
    /// Whether its credentials are taken.
    enabled: bool,
    /// Whether it operates the registry.
    administrator: bool,
    /// When it was made, in RFC 3339.
    created: String,
    /// The groups that it is in; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<String>>,
}

impl From<PrincipalEntry> for PrincipalBody {
    fn from(entry: PrincipalEntry) -> Self {
        Self {
            id: entry.principal.id,
            name: entry.principal.login_name(),
            account: entry.principal.account_name.clone(),
            kind: entry.principal.kind.as_str(),
            enabled: entry.enabled,
            administrator: entry.principal.administrator,
            created: entry.created.to_string(),
            groups: None,
        }
    }
}

/// A principal to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPrincipal {
    /// Its name with its account: `acme/alice`.
    name: String,
    /// `user`, `robot`, `host` or `worker`; a user if it is not said.
    #[serde(default = "user")]
    kind: String,
    /// The password of a user; without one it has none.
    #[serde(default)]
    password: Option<String>,
}

fn user() -> String {
    PrincipalKind::User.as_str().to_owned()
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// The password.
    password: String,
}

/// Of which account.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfAccount {
    /// The name of the account; the caller's own if it is not said.
    pub(super) account: Option<String>,
    /// The `next` of the page before.
    pub(super) last: Option<String>,
    /// Entries of the page, 1 to 1000; 100 if it is not said.
    pub(super) limit: Option<usize>,
}

/// Lists the principals of an account.
#[utoipa::path(get, path = "/principals", operation_id = "principal_list",
    tag = "identities", params(OfAccount),
    responses((status = 200, body = Listing<PrincipalBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    call: Call,
    Parameters(of): Parameters<OfAccount>,
) -> Result<Json<Listing<PrincipalBody>>, Problem> {
    let account = call.account_or_own(of.account)?;
    call.allow_account(Action::ReadAccount, &account).await?;
    let limit = Paging::of(None, of.limit).limit();
    let identity = &call.server.identity;
    let last = of.last.as_deref();
    let page = identity.principal_list(&account, last, limit).await?;
    Ok(Json(Listing::of_identity(
        page,
        |entry: &PrincipalEntry| entry.principal.name.clone(),
    )))
}

/// Makes a principal. It may do nothing until a policy says so.
#[utoipa::path(post, path = "/principals", operation_id = "principal_create",
    tag = "identities", request_body = NewPrincipal,
    responses((status = 201, body = PrincipalBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    call: Call,
    content: Content,
) -> Result<(StatusCode, Json<PrincipalBody>), Problem> {
    call.is_somebody()?;
    let new: NewPrincipal = content.read().await?;
    let name: LocalName = new.name.parse()?;
    call.allow_change(Action::ManagePrincipals, name.account())
        .await?;
    let Some(kind) = PrincipalKind::of(&new.kind) else {
        let detail = format!(
            "`{}` is no kind of principal; there are `user`, `robot`, `host` and `worker`",
            new.kind
        );
        return Err(Problem::invalid(&detail));
    };
    let password = new.password.map(Secret::new);
    let identity = &call.server.identity;
    let made = identity.principal_create(&name, kind, password, &call.caller);
    Ok((StatusCode::CREATED, Json(made.await?.into())))
}

/// A principal with its groups. Everybody may see itself: its name is `~` too.
#[utoipa::path(get, path = "/principals/{principal}", operation_id = "principal_show",
    tag = "identities",
    params(("principal" = String, Path, description = "The name, percent-encoded; or `~`")),
    responses((status = 200, body = PrincipalBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    call: Call,
    Segments(principal): Segments<String>,
) -> Result<Json<PrincipalBody>, Problem> {
    let name = call.principal(&principal)?;
    call.allow_oneself_or(Action::ReadAccount, &name).await?;
    let identity = &call.server.identity;
    let mut body = PrincipalBody::from(identity.principal_show(&name).await?);
    let groups = identity.principal_groups(&name).await?;
    body.groups = Some(groups.iter().map(LocalName::to_string).collect());
    Ok(Json(body))
}

/// Disables or enables a principal: while it is disabled, its credentials are
/// refused, and its tokens too.
#[utoipa::path(patch, path = "/principals/{principal}", operation_id = "principal_update",
    tag = "identities", request_body = Switch,
    params(("principal" = String, Path, description = "The name, percent-encoded; or `~`")),
    responses((status = 200, body = PrincipalBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn update(
    call: Call,
    Segments(principal): Segments<String>,
    content: Content,
) -> Result<Json<PrincipalBody>, Problem> {
    let name = call.principal(&principal)?;
    call.allow_change(Action::ManagePrincipals, name.account())
        .await?;
    let switch: Switch = content.read().await?;
    let identity = &call.server.identity;
    identity
        .principal_set_enabled(&name, switch.enabled, &call.caller)
        .await?;
    Ok(Json(identity.principal_show(&name).await?.into()))
}

/// Gives a user a new password, and ends its tokens. One's own is changed with
/// the present one.
#[utoipa::path(put, path = "/principals/{principal}/password",
    operation_id = "principal_set_password",
    tag = "identities", request_body = NewPassword,
    params(("principal" = String, Path, description = "The name, percent-encoded; or `~`")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_password(
    call: Call,
    Segments(principal): Segments<String>,
    content: Content,
) -> Result<StatusCode, Problem> {
    let name = call.principal(&principal)?;
    call.allow_oneself_or(Action::ManagePrincipals, &name)
        .await?;
    if call.is_same_principal(&name) {
        call.allow_own_password()?;
    }
    let new: NewPassword = content.read().await?;
    let identity = &call.server.identity;
    let password = Secret::new(new.password);
    identity
        .principal_set_password(&name, password, &call.caller)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a principal with its credentials. Nobody gets its name again.
#[utoipa::path(delete, path = "/principals/{principal}", operation_id = "principal_delete",
    tag = "identities",
    params(("principal" = String, Path, description = "The name, percent-encoded; or `~`")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    call: Call,
    Segments(principal): Segments<String>,
) -> Result<StatusCode, Problem> {
    let name = call.principal(&principal)?;
    call.allow_change(Action::ManagePrincipals, name.account())
        .await?;
    let identity = &call.server.identity;
    identity.principal_delete(&name, &call.caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends every token of a principal. Everybody may end its own.
#[utoipa::path(delete, path = "/principals/{principal}/tokens",
    operation_id = "principal_revoke_tokens", tag = "credentials",
    params(("principal" = String, Path, description = "The name, percent-encoded; or `~`")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revoke_tokens(
    call: Call,
    Segments(principal): Segments<String>,
) -> Result<StatusCode, Problem> {
    let name = call.principal(&principal)?;
    call.allow_oneself_or(Action::ManagePrincipals, &name)
        .await?;
    let identity = &call.server.identity;
    let entry = identity.principal_show(&name).await?;
    identity
        .principal_tokens_revoke(entry.principal.id, &call.caller)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
