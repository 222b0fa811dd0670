//! `/api/v1/accounts`: the tenants.

use axum::{Json, http::StatusCode};
use landfall_identity::{Account, Action};
use landfall_ids::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    caller::{Call, Segments},
    paging::{Content, Listing, Paging, Parameters},
    problem::Problem,
};

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccountBody {
    /// Its identity.
    #[schema(value_type = String)]
    id: AccountId,
    /// Its name: the first part of the names of its repositories.
    name: String,
    /// Whether its principals get in.
    enabled: bool,
    /// When it was made, in RFC 3339.
    created: String,
}

impl From<Account> for AccountBody {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            name: account.name,
            enabled: account.enabled,
            created: account.created.to_string(),
        }
    }
}

/// An account to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAccount {
    /// Its name.
    name: String,
}

/// Whether something is in use.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    /// Whether its credentials are taken.
    pub(super) enabled: bool,
}

/// Lists the accounts. Only an operator may.
#[utoipa::path(get, path = "/accounts", operation_id = "account_list",
    tag = "identities", params(Paging),
    responses((status = 200, body = Listing<AccountBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    call: Call,
    Parameters(paging): Parameters<Paging>,
) -> Result<Json<Listing<AccountBody>>, Problem> {
    call.allow_operation().await?;
    let identity = &call.server.identity;
    let last = paging.last.as_deref();
    let page = identity.account_list(last, paging.limit()).await?;
    Ok(Json(Listing::of_identity(page, |account: &Account| {
        account.name.clone()
    })))
}

/// Makes an account. Only an operator may.
#[utoipa::path(post, path = "/accounts", operation_id = "account_create",
    tag = "identities", request_body = NewAccount,
    responses((status = 201, body = AccountBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    call: Call,
    content: Content,
) -> Result<(StatusCode, Json<AccountBody>), Problem> {
    call.allow_operation().await?;
    let new: NewAccount = content.read().await?;
    let identity = &call.server.identity;
    let made = identity.account_create(&new.name, &call.caller).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// An account.
#[utoipa::path(get, path = "/accounts/{account}", operation_id = "account_show",
    tag = "identities",
    params(("account" = String, Path, description = "The name of the account")),
    responses((status = 200, body = AccountBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(
    call: Call,
    Segments(account): Segments<String>,
) -> Result<Json<AccountBody>, Problem> {
    call.allow_account(Action::ReadAccount, &account).await?;
    Ok(Json(
        call.server.identity.account_show(&account).await?.into(),
    ))
}

/// Disables or enables an account: while it is disabled, nobody of it gets in.
/// Only an operator may.
#[utoipa::path(patch, path = "/accounts/{account}", operation_id = "account_update",
    tag = "identities", request_body = Switch,
    params(("account" = String, Path, description = "The name of the account")),
    responses((status = 200, body = AccountBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn update(
    call: Call,
    Segments(account): Segments<String>,
    content: Content,
) -> Result<Json<AccountBody>, Problem> {
    call.allow_operation().await?;
    let switch: Switch = content.read().await?;
    let identity = &call.server.identity;
    identity
        .account_set_enabled(&account, switch.enabled, &call.caller)
        .await?;
    Ok(Json(identity.account_show(&account).await?.into()))
}

/// Deletes an account that has no repositories, with its principals, groups and
/// policies. Nobody gets its name again. Only an operator may.
#[utoipa::path(delete, path = "/accounts/{account}", operation_id = "account_delete",
    tag = "identities",
    params(("account" = String, Path, description = "The name of the account")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    call: Call,
    Segments(account): Segments<String>,
) -> Result<StatusCode, Problem> {
    call.allow_operation().await?;
    let identity = &call.server.identity;
    if let Some(id) = identity.account_find(&account).await? {
        let registry = &call.server.registry;
        if let Some(name) = registry.repository_of_account(id).await? {
            return Err(Problem::in_use(format!(
                "the account `{account}` owns repositories, for example `{name}`; delete them \
                 first, or disable the account"
            )));
        }
    }
    identity.account_delete(&account, &call.caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
