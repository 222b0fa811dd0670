//! Errors as the distribution specification wants them: a status, and a JSON
//! body with a code. Here, and only here, an error of a domain gets them.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use landfall_oci::{ErrorBody, ErrorCode, ErrorEntry, RepositoryName};
use landfall_registry::Error;
use serde_json::json;

use crate::{
    Server,
    auth::{self, Rejection, refusal::Told},
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

    /// The account that the repository would belong to was deleted.
    pub(super) fn account_gone(name: &RepositoryName) -> Self {
        let message = account_gone(name);
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, message)
    }

    /// What the request needs can't be reached now.
    fn away() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, ErrorCode::Unsupported, AWAY.to_owned())
            .with_header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER))
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
        let told = rejection.told();
        let is_challenge = told.is_challenge;
        let error = Self::from(told);
        if !is_challenge {
            return error;
        }
        let base_url = auth::base_url(server, parts);
        match auth::challenge(server, &base_url, scope, rejection) {
            Some(challenge) => error.with_header(header::WWW_AUTHENTICATE, challenge),
            None => error,
        }
    }
}

/// A refusal in the form of the specification, still without its challenge.
impl From<Told> for OciError {
    fn from(told: Told) -> Self {
        let code = match told.status {
            StatusCode::UNAUTHORIZED => ErrorCode::Unauthorized,
            StatusCode::FORBIDDEN => ErrorCode::Denied,
            StatusCode::TOO_MANY_REQUESTS => ErrorCode::TooManyRequests,
            _ => ErrorCode::Unsupported,
        };
        let error = Self::new(told.status, code, told.message);
        match told.retry_after {
            Some(seconds) => error.with_header(header::RETRY_AFTER, HeaderValue::from(seconds)),
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
            // Clients that try again after other errors take this code for
            // final, and show the message.
            Error::TagImmutable { .. } => (Status::CONFLICT, Code::Denied),
            Error::RepositoryExists(_) | Error::RunGoingOn | Error::TagChanged(_) => {
                (Status::CONFLICT, Code::Denied)
            }
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
            Error::Database(landfall_database::Error::Text) => {
                (Status::BAD_REQUEST, Code::Unsupported)
            }
            error if is_away(error) => {
                tracing::warn!(error = %chain(error), "a request has to wait");
                return Self::away();
            }
            _ => {
                tracing::error!(error = %chain(&error), "a request failed");
                return Self::internal();
            }
        };
        Self::new(status, code, message)
    }
}

/// After how many seconds a client asks again.
pub(crate) const RETRY_AFTER: u64 = 2;
/// What a client is told. The log tells what can't be reached, and why.
pub(crate) const AWAY: &str = "a part of the registry can't be reached now; try again";

/// What a client is told that pushes below the name of a deleted account.
pub(crate) fn account_gone(name: &RepositoryName) -> String {
    format!(
        "the account `{}` was deleted, and its name is not used again; push to another account",
        name.account()
    )
}

/// Whether the database or the blob store can't be reached now. Asked again,
/// they may answer.
pub(crate) fn is_away(error: &Error) -> bool {
    match error {
        Error::Blobs(error) => matches!(error, landfall_blobs::Error::Away(_)),
        Error::Database(error) => is_away_now(error),
        _ => false,
    }
}

/// The same of the database alone.
pub(crate) fn is_away_now(error: &landfall_database::Error) -> bool {
    use landfall_database::Error;
    matches!(error, Error::Unavailable(_) | Error::Unknown | Error::Busy)
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
