//! Errors as the distribution specification wants them: a status, and a JSON
//! body with a code. Here, and only here, an error of a domain gets them.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use landfall_identity::Refusal;
use landfall_oci::{ErrorBody, ErrorCode, ErrorEntry};
use landfall_registry::Error;
use serde_json::json;

use crate::{
    Server,
    auth::{self, Rejection},
};

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct OciError {
    status: StatusCode,
    errors: Vec<ErrorEntry>,
    headers: HeaderMap,
}

impl OciError {
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: String) -> Self {
        Self::with_entries(status, vec![ErrorEntry::new(code, message)])
    }

    fn with_entries(status: StatusCode, errors: Vec<ErrorEntry>) -> Self {
        Self {
            status,
            errors,
            headers: HeaderMap::new(),
        }
    }

    #[must_use]
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// A failure that only the log tells the reason of.
    pub(super) fn internal() -> Self {
        let message = "the registry failed; its log tells more".to_owned();
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Unsupported,
            message,
        )
    }

    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        let message = format!("this resource knows {allowed}");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::Unsupported,
            message,
        )
        .with_header(header::ALLOW, HeaderValue::from_static(allowed))
    }

    /// The answer to a caller that is not let through.
    pub(super) fn rejected(
        server: &Server,
        parts: &Parts,
        scope: Option<&str>,
        rejection: &Rejection,
    ) -> Self {
        match rejection {
            Rejection::Failed(error) => {
                tracing::error!(%error, "a caller can't be checked");
                Self::internal()
            }
            Rejection::Refused(refusal @ Refusal::Denied) => Self::new(
                StatusCode::FORBIDDEN,
                ErrorCode::Denied,
                refusal.to_string(),
            ),
            Rejection::Credentials => {
                let message = "the credentials are not right".to_owned();
                Self::unauthorized(server, parts, scope, rejection, message)
            }
            Rejection::Refused(refusal) => {
                Self::unauthorized(server, parts, scope, rejection, refusal.to_string())
            }
        }
    }

    fn unauthorized(
        server: &Server,
        parts: &Parts,
        scope: Option<&str>,
        rejection: &Rejection,
        message: String,
    ) -> Self {
        let error = Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message);
        let base_url = auth::base_url(server, parts);
        match auth::challenge(server, &base_url, scope, rejection) {
            Some(challenge) => error.with_header(header::WWW_AUTHENTICATE, challenge),
            None => error,
        }
    }
}

impl From<Error> for OciError {
    fn from(error: Error) -> Self {
        use ErrorCode as Code;
        use StatusCode as Status;
        let message = error.to_string();
        let (status, code) = match &error {
            Error::RepositoryUnknown(_) => (Status::NOT_FOUND, Code::NameUnknown),
            Error::ManifestUnknown(_) => (Status::NOT_FOUND, Code::ManifestUnknown),
            Error::BlobUnknown(_) => (Status::NOT_FOUND, Code::BlobUnknown),
            Error::UploadUnknown => (Status::NOT_FOUND, Code::BlobUploadUnknown),
            Error::ManifestInvalid(_) => (Status::BAD_REQUEST, Code::ManifestInvalid),
            Error::ManifestTooLarge { .. } => (Status::PAYLOAD_TOO_LARGE, Code::ManifestInvalid),
            Error::ManifestBlobsUnknown(digests) => {
                let entries = digests.iter().map(|digest| {
                    let message = format!("`{digest}` is not known to this repository");
                    ErrorEntry::new(Code::ManifestBlobUnknown, message)
                        .with_detail(json!({ "digest": digest.to_string() }))
                });
                return Self::with_entries(Status::BAD_REQUEST, entries.collect());
            }
            Error::DigestMismatch { .. } => (Status::BAD_REQUEST, Code::DigestInvalid),
            Error::SizeMismatch { .. } => (Status::BAD_REQUEST, Code::SizeInvalid),
            Error::BlobTooLarge { .. } => (Status::PAYLOAD_TOO_LARGE, Code::SizeInvalid),
            Error::ChunkOutOfOrder { .. } => {
                (Status::RANGE_NOT_SATISFIABLE, Code::BlobUploadInvalid)
            }
            Error::BlobInUse(_) => (Status::METHOD_NOT_ALLOWED, Code::Unsupported),
            Error::RepositoryExists(_) | Error::RunGoingOn => (Status::CONFLICT, Code::Denied),
            Error::BodyBroken(_) => (Status::BAD_REQUEST, Code::BlobUploadInvalid),
            Error::Blobs(landfall_blobs::Error::Full(_))
            | Error::Database(landfall_database::Error::Full) => {
                return out_of_space(&error);
            }
            Error::Blobs(landfall_blobs::Error::ReadOnly(_))
            | Error::Database(landfall_database::Error::ReadOnly) => {
                tracing::error!(error = %chain(&error), "the store can't be written");
                (Status::SERVICE_UNAVAILABLE, Code::Unsupported)
            }
            _ => {
                tracing::error!(error = %chain(&error), "a request failed");
                return Self::internal();
            }
        };
        Self::new(status, code, message)
    }
}

fn out_of_space(error: &Error) -> OciError {
    tracing::error!(error = %chain(error), "the disk is full");
    OciError::new(
        StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Unsupported,
        error.to_string(),
    )
}

/// An error with its causes, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

impl IntoResponse for OciError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            errors: self.errors,
        };
        (self.status, self.headers, axum::Json(body)).into_response()
    }
}
