//! Problem details (RFC 9457): how `/api/v1` tells of an error.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use landfall_identity::PolicyError;
use landfall_registry::Error;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::{
        Rejection,
        refusal::{Told, whole_seconds},
    },
    registry_api::{AWAY, RETRY_AFTER, chain, is_away, is_away_now},
};

/// An answer that is an error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The kind of problem: `/problems/<kind>`.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// The status code.
    status: u16,
    /// What happened, and the way out, in one sentence.
    detail: String,
    /// What is wrong with a policy, and where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<PolicyErrorBody>,
    /// The challenge of a 401.
    #[serde(skip)]
    challenge: Option<HeaderValue>,
    /// When to ask again, in seconds.
    #[serde(skip)]
    retry_after: Option<u64>,
}

/// What is wrong at one place of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PolicyErrorBody {
    /// The line, from 1.
    line: usize,
    /// The column, from 1, in characters.
    column: usize,
    /// What is wrong.
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl From<PolicyError> for PolicyErrorBody {
    fn from(error: PolicyError) -> Self {
        Self {
            line: error.line,
            column: error.column,
            message: error.message,
            hint: error.hint,
        }
    }
}

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &str, detail: String) -> Self {
        Self {
            kind: format!("/problems/{kind}"),
            title: kind.replace('-', " "),
            status: status.as_u16(),
            detail,
            errors: Vec::new(),
            challenge: None,
            retry_after: None,
        }
    }

    pub(super) fn rejected(rejection: &Rejection, challenge: Option<HeaderValue>) -> Self {
        let told = rejection.told();
        Self {
            challenge: challenge.filter(|_| told.is_challenge),
            ..Self::from(told)
        }
    }

    /// A parameter of the path or the query that can't be read.
    pub(super) fn invalid(detail: &dyn std::fmt::Display) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-request",
            detail.to_string(),
        )
    }

    pub(super) fn not_found(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// What something else still needs.
    pub(super) fn in_use(detail: String) -> Self {
        Self::new(StatusCode::CONFLICT, "in-use", detail)
    }

    /// What the caller may not do, whoever it is.
    pub(super) fn denied(detail: &dyn std::fmt::Display) -> Self {
        Self::new(StatusCode::FORBIDDEN, "denied", detail.to_string())
    }

    /// A policy that can't be one, with each place.
    fn invalid_policy(errors: Vec<PolicyError>) -> Self {
        let more = match errors.len() {
            0 | 1 => String::new(),
            2 => "; and one error more".to_owned(),
            all => format!("; and {} errors more", all - 1),
        };
        let detail = match errors.first() {
            Some(first) => format!(
                "the policy is wrong at line {}, column {}: {}{more}",
                first.line, first.column, first.message
            ),
            None => "the policy is wrong".to_owned(),
        };
        Self {
            errors: errors.into_iter().map(Into::into).collect(),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "policy-invalid", detail)
        }
    }

    fn of_identity(error: &landfall_identity::Error) -> Self {
        use landfall_identity::Error;
        let (status, kind) = match error {
            Error::NotFound { .. } => (StatusCode::NOT_FOUND, "not-found"),
            Error::Exists { .. } => (StatusCode::CONFLICT, "name-taken"),
            Error::InUse { .. } => (StatusCode::CONFLICT, "in-use"),
            Error::Invalid { .. } | Error::Database(landfall_database::Error::Text) => {
                (StatusCode::BAD_REQUEST, "invalid-request")
            }
            Error::Policy(errors) => return Self::invalid_policy(errors.0.clone()),
            Error::OperatorOnly => (StatusCode::FORBIDDEN, "denied"),
            Error::Unauthenticated { .. } => {
                let detail = "the credentials are not right".to_owned();
                return Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail);
            }
            Error::TooManyFailures { retry_after } => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                return Self {
                    retry_after: Some(whole_seconds(*retry_after)),
                    ..Self::new(status, "too-many-failures", error.to_string())
                };
            }
            Error::Database(
                error @ (landfall_database::Error::Full | landfall_database::Error::ReadOnly),
            ) => {
                let (status, kind) = if matches!(error, landfall_database::Error::Full) {
                    (StatusCode::INSUFFICIENT_STORAGE, "out-of-space")
                } else {
                    (StatusCode::SERVICE_UNAVAILABLE, "read-only")
                };
                return Self::new(status, kind, error.to_string());
            }
            Error::Database(error) if is_away_now(error) => {
                tracing::warn!(%error, "a request has to wait");
                return away();
            }
            Error::Unavailable => {
                tracing::warn!(%error, "a request has to wait");
                return away();
            }
            _ => {
                tracing::error!(error = %chain(error), "a request failed");
                return internal();
            }
        };
        Self::new(status, kind, error.to_string())
    }
}

impl From<landfall_identity::Error> for Problem {
    fn from(error: landfall_identity::Error) -> Self {
        Self::of_identity(&error)
    }
}

/// A refusal, still without its challenge.
impl From<Told> for Problem {
    fn from(told: Told) -> Self {
        let kind = match told.status {
            StatusCode::UNAUTHORIZED => "unauthenticated",
            StatusCode::FORBIDDEN => "denied",
            StatusCode::TOO_MANY_REQUESTS => "too-many-failures",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            StatusCode::BAD_REQUEST => "invalid-request",
            StatusCode::INSUFFICIENT_STORAGE => "out-of-space",
            _ => "internal",
        };
        Self {
            retry_after: told.retry_after,
            ..Self::new(told.status, kind, told.message)
        }
    }
}

/// What the request needs can't be reached now.
fn away() -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem {
        retry_after: Some(RETRY_AFTER),
        ..Problem::new(status, "unavailable", AWAY.to_owned())
    }
}

fn internal() -> Problem {
    let detail = "the server failed; its log tells more".to_owned();
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, kind) = match &error {
            Error::RepositoryUnknown(_) => (StatusCode::NOT_FOUND, "repository-unknown"),
            Error::ManifestUnknown(_) => (StatusCode::NOT_FOUND, "image-unknown"),
            Error::BlobUnknown(_) => (StatusCode::NOT_FOUND, "blob-unknown"),
            Error::RepositoryExists(_) => (StatusCode::CONFLICT, "repository-exists"),
            Error::TagUnknown(_) => (StatusCode::NOT_FOUND, "tag-unknown"),
            Error::TagImmutable { .. } => (StatusCode::CONFLICT, "tag-immutable"),
            Error::TagChanged(_) => (StatusCode::CONFLICT, "tag-changed"),
            Error::NothingToUndo(_)
            | Error::ImageDeleted(_)
            | Error::NotDeleted(_)
            | Error::UndoEnded(_)
            | Error::Purged(_) => (StatusCode::CONFLICT, "undo-impossible"),
            Error::RunGoingOn => (StatusCode::CONFLICT, "run-going-on"),
            Error::ManifestInvalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "image-invalid"),
            Error::Blobs(landfall_blobs::Error::Full(_))
            | Error::Database(landfall_database::Error::Full) => {
                (StatusCode::INSUFFICIENT_STORAGE, "out-of-space")
            }
            Error::Blobs(landfall_blobs::Error::ReadOnly(_))
            | Error::Database(landfall_database::Error::ReadOnly) => {
                (StatusCode::SERVICE_UNAVAILABLE, "read-only")
            }
            Error::Database(landfall_database::Error::Text) => {
                (StatusCode::BAD_REQUEST, "invalid-request")
            }
            error if is_away(error) => {
                tracing::warn!(error = %chain(error), "a request has to wait");
                return away();
            }
            _ => {
                tracing::error!(error = %chain(&error), "a request failed");
                return internal();
            }
        };
        Self::new(status, kind, error.to_string())
    }
}

impl From<landfall_notify::Error> for Problem {
    fn from(error: landfall_notify::Error) -> Self {
        use landfall_notify::Error;
        let (status, kind) = match &error {
            Error::WebhookUnknown(_) => (StatusCode::NOT_FOUND, "webhook-unknown"),
            Error::DeliveryUnknown(_) => (StatusCode::NOT_FOUND, "delivery-unknown"),
            Error::EventsGone { .. } | Error::EventsAhead { .. } | Error::EventGone => {
                (StatusCode::GONE, "events-gone")
            }
            Error::WebhookDisabled(_) => (StatusCode::CONFLICT, "webhook-disabled"),
            Error::TooManyWebhooks(_) => (StatusCode::CONFLICT, "too-many-webhooks"),
            Error::TooManyPatterns(_) => (StatusCode::BAD_REQUEST, "invalid-request"),
            Error::Egress(_) => (StatusCode::UNPROCESSABLE_ENTITY, "url-refused"),
            Error::Database(_) => {
                let Error::Database(error) = error else {
                    return internal();
                };
                return landfall_registry::Error::Database(error).into();
            }
            _ => {
                tracing::error!(error = %chain(&error), "a request failed");
                return internal();
            }
        };
        Self::new(status, kind, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let challenge = self.challenge.clone();
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(seconds) = retry_after {
            let seconds = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if let Some(challenge) = challenge {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
