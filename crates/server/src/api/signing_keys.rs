//! `/api/v1/signing-keys`: the keys that sign tokens.

use axum::{Json, http::StatusCode};
use landfall_identity::SigningKey;
use landfall_ids::SigningKeyId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    caller::{Call, Segments},
    paging::Listing,
    problem::Problem,
};

/// A key that signs tokens, or has signed some that are still good.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SigningKeyBody {
    /// Its identity: the `kid` of the tokens that it has signed.
    #[schema(value_type = String)]
    id: SigningKeyId,
    /// `signs`, `waits` for every server to know it, `verifies` what it has
    /// signed, or `revoked`.
    state: &'static str,
    /// When it was made, in RFC 3339.
    created: String,
    /// From when on it signs, in RFC 3339.
    signs_from: String,
    /// Until when it verifies what it has signed, in RFC 3339; absent while it
    /// signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    verifies_until: Option<String>,
    /// When it was revoked, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

impl From<SigningKey> for SigningKeyBody {
    fn from(key: SigningKey) -> Self {
        let state = match (key.revoked, key.signs, key.verifies_until) {
            (Some(_), ..) => "revoked",
            (None, true, _) => "signs",
            (None, false, None) => "waits",
            (None, false, Some(_)) => "verifies",
        };
        Self {
            id: key.id,
            state,
            created: key.created.to_string(),
            signs_from: key.signs_from.to_string(),
            verifies_until: key.verifies_until.map(|time| time.to_string()),
            revoked: key.revoked.map(|time| time.to_string()),
        }
    }
}

/// Lists the keys that sign tokens. Only an operator may.
#[utoipa::path(get, path = "/signing-keys", operation_id = "signing_key_list",
    tag = "credentials",
    responses((status = 200, body = Listing<SigningKeyBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(call: Call) -> Result<Json<Listing<SigningKeyBody>>, Problem> {
    call.allow_operation().await?;
    let keys = call.server.identity.signing_keys().await?;
    Ok(Json(Listing::whole(
        keys.into_iter().map(Into::into).collect(),
    )))
}

/// Makes a new key, which signs from now on. Tokens of the old one stay good
/// until they end. Only an operator may.
#[utoipa::path(post, path = "/signing-keys:rotate", operation_id = "signing_key_rotate",
    tag = "credentials",
    responses((status = 201, body = SigningKeyBody),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rotate(call: Call) -> Result<(StatusCode, Json<SigningKeyBody>), Problem> {
    call.allow_operation().await?;
    let identity = &call.server.identity;
    let made = identity.signing_key_rotate(&call.caller).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// Revokes a key: every token that it has signed is refused from now on. The
/// answer to a key that is lost. Only an operator may.
#[utoipa::path(delete, path = "/signing-keys/{key}", operation_id = "signing_key_revoke",
    tag = "credentials",
    params(("key" = String, Path, description = "The key, by its id")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revoke(
    call: Call,
    Segments(key): Segments<SigningKeyId>,
) -> Result<StatusCode, Problem> {
    call.allow_operation().await?;
    let identity = &call.server.identity;
    identity.signing_key_revoke(key, &call.caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
