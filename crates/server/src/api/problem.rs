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

use crate::auth::Rejection;

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
            _ => {
                tracing::error!(error = %crate::registry_api::chain(&error), "a request failed");
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
        let mut response = (status, Json(self)).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(challenge) = challenge {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
