//! Problem details (RFC 9457): how `/api/v1` tells of an error.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use landfall_identity::Refusal;
use landfall_registry::Error;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::Rejection,
    registry_api::{AWAY, RETRY_AFTER, chain, is_away, is_away_now},
};

/// The kind of a problem that ends by itself.
const UNAVAILABLE: &str = "unavailable";

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
    /// The challenge of a 401.
    #[serde(skip)]
    challenge: Option<HeaderValue>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &str, detail: String) -> Self {
        Self {
            kind: format!("/problems/{kind}"),
            title: kind.replace('-', " "),
            status: status.as_u16(),
            detail,
            challenge: None,
        }
    }

    pub(super) fn rejected(rejection: &Rejection, challenge: Option<HeaderValue>) -> Self {
        let (status, kind, detail) = match rejection {
            Rejection::Failed(landfall_identity::Error::Database(error)) if is_away_now(error) => {
                tracing::warn!(%error, "a request has to wait");
                return away();
            }
            Rejection::Failed(landfall_identity::Error::Database(
                error @ landfall_database::Error::Text,
            )) => return Self::invalid(error),
            Rejection::Failed(error) => {
                tracing::error!(%error, "a caller can't be checked");
                return internal();
            }
            Rejection::Refused(refusal @ Refusal::Denied) => {
                (StatusCode::FORBIDDEN, "denied", refusal.to_string())
            }
            Rejection::Credentials => {
                let detail = "the credentials are not right".to_owned();
                (StatusCode::UNAUTHORIZED, "unauthenticated", detail)
            }
            Rejection::Refused(refusal) => (
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                refusal.to_string(),
            ),
        };
        Self {
            challenge,
            ..Self::new(status, kind, detail)
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
}

/// What the request needs can't be reached now.
fn away() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        UNAVAILABLE,
        AWAY.to_owned(),
    )
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
        let again = self.title == UNAVAILABLE;
        let mut response = (status, Json(self)).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if again {
            let seconds = HeaderValue::from_static(RETRY_AFTER);
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
