//! `/api/v1/authorization-tokens`: one's own rights for some hours.

use std::time::Duration;

use axum::{Json, http::StatusCode};
use landfall_identity::{Action, OPERATOR_ACCOUNT, Resource};
use landfall_ids::TokenId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    caller::{Call, Segments},
    paging::Content,
    problem::Problem,
    webhooks::{UNSTORED, Unstored},
};

/// A token to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NewToken {
    /// For how long it is good, in seconds: at most 12 hours, and that if it is
    /// not said.
    lifetime_seconds: Option<u64>,
}

/// A token, which is not shown again.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenBody {
    /// Its identity, by which it is revoked.
    #[schema(value_type = String)]
    id: TokenId,
    /// The name of the principal whose rights it stands for.
    principal: String,
    /// The token: a password for `docker login`, and a bearer token for this
    /// API.
    token: String,
    /// When it was made, in RFC 3339.
    created: String,
    /// When it ends, in RFC 3339.
    expires: String,
}

/// Makes an authorization token: it stands for all that the caller may do. It
/// is made with a password or an API key, not with another token.
#[utoipa::path(post, path = "/authorization-tokens", operation_id = "token_create",
    tag = "credentials", request_body = NewToken,
    responses((status = 201, body = TokenBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    call: Call,
    content: Content,
) -> Result<(StatusCode, Unstored, Json<TokenBody>), Problem> {
    call.is_somebody()?;
    call.allow_own_credential("authorization-token.issue")?;
    let new: NewToken = content.read().await?;
    let lifetime = new.lifetime_seconds.map(Duration::from_secs);
    let identity = &call.server.identity;
    let made = identity
        .authorization_token_issue(&call.caller, lifetime)
        .await?;
    let body = TokenBody {
        id: made.id,
        principal: call.caller.name(),
        token: made.token.reveal().to_owned(),
        created: made.issued.to_string(),
        expires: made.expires.to_string(),
    };
    Ok((StatusCode::CREATED, UNSTORED, Json(body)))
}

/// Ends an authorization token, and what was made with it. Everybody may end
/// its own.
#[utoipa::path(delete, path = "/authorization-tokens/{token}", operation_id = "token_revoke",
    tag = "credentials",
    params(("token" = String, Path, description = "The token, by its id")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revoke(
    call: Call,
    Segments(token): Segments<TokenId>,
) -> Result<StatusCode, Problem> {
    call.is_somebody()?;
    let identity = &call.server.identity;
    let found = identity.authorization_token_show(token).await?;
    let owner = match &found {
        Some(found) => identity.principal_name(found.principal).await?,
        None => None,
    };
    // A token of somebody else is not told from one that is not there: neither
    // by the answer, nor by the row of the refusal.
    let action = Action::ManagePrincipals;
    match &owner {
        Some(owner) if call.is_oneself(owner) => {}
        Some(owner)
            if owner.account() != OPERATOR_ACCOUNT
                && call.may(action, Resource::Account(owner.account())).await? =>
        {
            call.allow_account(action, owner.account()).await?;
        }
        _ => call.allow_operation().await?,
    }
    identity.token_revoke(token, &call.caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
