//! `/api/v1/principals/{principal}/api-keys`: credentials of programs.

use std::time::Duration;

use axum::{Json, http::StatusCode};
use landfall_clock::Timestamp;
use landfall_identity::{Action, ApiKey, CredentialKind, LocalName, Secret};
use landfall_ids::ApiKeyId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    caller::{Call, Segments},
    paging::{Content, Listing},
    problem::Problem,
    webhooks::{UNSTORED, Unstored},
};

/// The longest time for which the key before is good too.
const LONGEST_OVERLAP: Duration = Duration::from_hours(7 * 24);
/// By how much a key ends before the one that it is made with: more than making
/// it takes.
const MAKING: Duration = Duration::from_secs(5);
/// What is done here, in the audit log.
const CREATE: &str = "api-key.create";
const ROTATE: &str = "api-key.rotate";

/// An API key, without what is secret of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApiKeyBody {
    /// Its identity.
    #[schema(value_type = String)]
    id: ApiKeyId,
    /// The name of its principal.
    principal: String,
    /// What it is for.
    description: String,
    /// When it was made, in RFC 3339.
    created: String,
    /// When it ends, in RFC 3339; absent if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// When it was used last, about to the minute, in RFC 3339; absent if it
    /// never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<String>,
}

impl ApiKeyBody {
    fn of(key: ApiKey, principal: &LocalName) -> Self {
        Self {
            id: key.id,
            principal: principal.to_string(),
            description: key.description,
            created: key.created.to_string(),
            expires: key.expires.map(|time| time.to_string()),
            last_used: key.last_used.map(|time| time.to_string()),
        }
    }
}

/// An API key with its secret, which is not shown again.
#[derive(Serialize, ToSchema)]
pub(super) struct ApiKeyWithSecret {
    #[serde(flatten)]
    about: ApiKeyBody,
    /// The key as a client sends it: `lfk_...`.
    key: String,
}

impl ApiKeyWithSecret {
    fn of((key, secret): (ApiKey, Secret), principal: &LocalName) -> Self {
        Self {
            about: ApiKeyBody::of(key, principal),
            key: secret.reveal().to_owned(),
        }
    }
}

/// An API key to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NewApiKey {
    /// What it is for.
    description: String,
    /// For how long it is good, in seconds; until it is deleted if it is not
    /// said.
    lifetime_seconds: Option<u64>,
}

/// How to replace a key.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KeyRotation {
    /// For how long the old key is good too, in seconds: at most a week, and
    /// not at all if it is not said.
    overlap_seconds: u64,
}

impl Call {
    /// Asks whether the caller may make keys for this principal.
    async fn allow_new_key(&self, name: &LocalName, action: &'static str) -> Result<(), Problem> {
        self.allow_oneself_or(Action::ManagePrincipals, name)
            .await?;
        if self.is_same_principal(name) {
            self.allow_own_credential(action)?;
        }
        Ok(())
    }

    /// When the key ends that the caller sent, where it acts for itself: what
    /// is made with a key ends no later.
    async fn end_of_key(&self, name: &LocalName) -> Result<Option<Timestamp>, Problem> {
        let with = &self.caller.credential;
        if !self.is_same_principal(name) || with.kind != CredentialKind::ApiKey {
            return Ok(None);
        }
        let keys = self.server.identity.api_key_list(name).await?;
        let used = keys
            .into_iter()
            .find(|key| with.id.as_deref() == Some(&key.id.to_string()));
        Ok(used.and_then(|key| key.expires))
    }

    /// For how long a new key is good, where this long is wanted.
    async fn longest(
        &self,
        name: &LocalName,
        wanted: Option<Duration>,
    ) -> Result<Option<Duration>, Problem> {
        let Some(end) = self.end_of_key(name).await? else {
            return Ok(wanted);
        };
        let left = end.since(self.server.clock.now()).saturating_sub(MAKING);
        Ok(Some(wanted.map_or(left, |wanted| wanted.min(left))))
    }

    /// Asks whether the caller may have this key's next secret.
    async fn allow_rotation(&self, name: &LocalName, key: ApiKeyId) -> Result<(), Problem> {
        let Some(end) = self.end_of_key(name).await? else {
            return Ok(());
        };
        let keys = self.server.identity.api_key_list(name).await?;
        let wanted = keys.into_iter().find(|each| each.id == key);
        if wanted.is_some_and(|wanted| wanted.expires.is_none_or(|its| its > end)) {
            return Err(self.refused_oneself(
                ROTATE,
                "that key ends later than the one that was sent; send the password, or that key",
            ));
        }
        Ok(())
    }
}

/// Lists the API keys of a principal.
#[utoipa::path(get, path = "/principals/{principal}/api-keys", operation_id = "api_key_list",
    tag = "credentials",
    params(("principal" = String, Path, description = "The name, percent-encoded; or `~`")),
    responses((status = 200, body = Listing<ApiKeyBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    call: Call,
    Segments(principal): Segments<String>,
) -> Result<Json<Listing<ApiKeyBody>>, Problem> {
    let name = call.principal(&principal)?;
    if !call.is_oneself(&name) {
        call.allow_account(Action::ManagePrincipals, name.account())
            .await?;
    }
    let keys = call.server.identity.api_key_list(&name).await?;
    let keys = keys.into_iter().map(|key| ApiKeyBody::of(key, &name));
    Ok(Json(Listing::whole(keys.collect())))
}

/// Makes an API key. The answer has its secret, which is not shown again.
/// Everybody may make keys of its own, with the password or with a key: one
/// that is made with a key ends no later.
#[utoipa::path(post, path = "/principals/{principal}/api-keys", operation_id = "api_key_create",
    tag = "credentials", request_body = NewApiKey,
    params(("principal" = String, Path, description = "The name, percent-encoded; or `~`")),
    responses((status = 201, body = ApiKeyWithSecret),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    call: Call,
    Segments(principal): Segments<String>,
    content: Content,
) -> Result<(StatusCode, Unstored, Json<ApiKeyWithSecret>), Problem> {
    let name = call.principal(&principal)?;
    call.allow_new_key(&name, CREATE).await?;
    let new: NewApiKey = content.read().await?;
    let wanted = new.lifetime_seconds.map(Duration::from_secs);
    let lifetime = call.longest(&name, wanted).await?;
    let identity = &call.server.identity;
    let made = identity
        .api_key_create(&name, &new.description, lifetime, &call.caller)
        .await?;
    let body = ApiKeyWithSecret::of(made, &name);
    Ok((StatusCode::CREATED, UNSTORED, Json(body)))
}

/// Replaces an API key by a new one with the same end. The answer has the
/// secret of the new one, which is not shown again.
#[utoipa::path(post, path = "/principals/{principal}/api-keys/{key}/rotate",
    operation_id = "api_key_rotate",
    tag = "credentials", request_body = KeyRotation,
    params(("principal" = String, Path, description = "The name, percent-encoded; or `~`"),
           ("key" = String, Path, description = "The API key, by its id")),
    responses((status = 201, body = ApiKeyWithSecret),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rotate(
    call: Call,
    Segments((principal, key)): Segments<(String, ApiKeyId)>,
    content: Content,
) -> Result<(StatusCode, Unstored, Json<ApiKeyWithSecret>), Problem> {
    let name = call.principal(&principal)?;
    call.allow_new_key(&name, ROTATE).await?;
    call.allow_rotation(&name, key).await?;
    let rotation: KeyRotation = content.read().await?;
    let overlap = Duration::from_secs(rotation.overlap_seconds).min(LONGEST_OVERLAP);
    let identity = &call.server.identity;
    let made = identity
        .api_key_rotate(&name, key, overlap, &call.caller)
        .await?;
    let body = ApiKeyWithSecret::of(made, &name);
    Ok((StatusCode::CREATED, UNSTORED, Json(body)))
}

/// Deletes an API key. Everybody may delete its own.
#[utoipa::path(delete, path = "/principals/{principal}/api-keys/{key}",
    operation_id = "api_key_delete", tag = "credentials",
    params(("principal" = String, Path, description = "The name, percent-encoded; or `~`"),
           ("key" = String, Path, description = "The API key, by its id")),
    responses((status = 204),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    call: Call,
    Segments((principal, key)): Segments<(String, ApiKeyId)>,
) -> Result<StatusCode, Problem> {
    let name = call.principal(&principal)?;
    call.allow_oneself_or(Action::ManagePrincipals, &name)
        .await?;
    let identity = &call.server.identity;
    identity.api_key_delete(&name, key, &call.caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
