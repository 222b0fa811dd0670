//! What a caller hears that is not let through.
//!
//! One rule, for both APIs:
//!
//! | answer | when |
//! |---|---|
//! | 401 | it is not known who calls, or the credential is not good, or its scope is not enough: another credential may do. With a challenge |
//! | 403 | it is known who calls, and policy says no |
//! | 404 | the caller may, and it is not there |
//! | 429 | too many wrong passwords, or too many at once: nothing was looked at. With `Retry-After` |
//! | 503 | it can't be decided now. With `Retry-After` |
//!
//! Scope and policy are asked before anything is looked up, so 401 and 403 are
//! the same whether something is there or not. Only who may read a repository
//! hears 404.

use std::time::Duration;

use axum::http::StatusCode;
use landfall_identity::{Error, Refusal};

use crate::registry_api::{AWAY, RETRY_AFTER, chain, is_away_now};

/// Why a request is not let through.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// What the caller sent proves nothing.
    Credentials,
    /// Too many wrong passwords came from there under this name.
    TooManyFailures(Duration),
    /// The caller may not.
    Refused(Refusal),
    /// It can't be decided now.
    Failed(Error),
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        match error {
            Error::Unauthenticated { reason } => Self::credentials(reason),
            Error::TooManyFailures { retry_after } => Self::TooManyFailures(retry_after),
            error => Self::Failed(error),
        }
    }
}

/// What is told, whatever the form of the answer.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// In seconds.
    pub(crate) retry_after: Option<u64>,
    /// Whether another credential may do.
    pub(crate) is_challenge: bool,
}

impl Rejection {
    /// Credentials that are refused. The reason is for the log alone.
    pub(crate) fn credentials(reason: &'static str) -> Self {
        tracing::info!(reason, "credentials were refused");
        Self::Credentials
    }

    /// The one place where a refusal gets its answer.
    pub(crate) fn told(&self) -> Told {
        let told = |status, message: String| Told {
            status,
            message,
            retry_after: None,
            is_challenge: status == StatusCode::UNAUTHORIZED,
        };
        match self {
            Self::Credentials => told(
                StatusCode::UNAUTHORIZED,
                "the credentials are not right".to_owned(),
            ),
            Self::Refused(refusal @ (Refusal::Unauthenticated | Refusal::OutOfScope)) => {
                told(StatusCode::UNAUTHORIZED, refusal.to_string())
            }
            Self::Refused(refusal @ Refusal::Denied) => {
                told(StatusCode::FORBIDDEN, refusal.to_string())
            }
            Self::TooManyFailures(retry_after) => {
                let seconds = whole_seconds(*retry_after);
                Told {
                    retry_after: Some(seconds),
                    ..told(
                        StatusCode::TOO_MANY_REQUESTS,
                        format!(
                            "too many wrong passwords from this address, or too many at once; \
                             try again in {seconds} s"
                        ),
                    )
                }
            }
            Self::Failed(error) if is_away(error) => {
                tracing::warn!(error = %chain(error), "a request has to wait");
                Told {
                    retry_after: Some(RETRY_AFTER),
                    ..told(StatusCode::SERVICE_UNAVAILABLE, AWAY.to_owned())
                }
            }
            // Nothing is written without its row in the audit log.
            Self::Failed(Error::Database(error @ landfall_database::Error::Full)) => {
                tracing::error!(error = %chain(error), "the disk is full");
                told(StatusCode::INSUFFICIENT_STORAGE, error.to_string())
            }
            Self::Failed(Error::Database(error @ landfall_database::Error::ReadOnly)) => {
                tracing::error!(error = %chain(error), "the database can't be written");
                told(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            Self::Failed(Error::Database(error @ landfall_database::Error::Text)) => {
                told(StatusCode::BAD_REQUEST, error.to_string())
            }
            Self::Failed(error) => {
                tracing::error!(error = %chain(error), "a caller can't be checked");
                let message = "the registry failed; its log tells more".to_owned();
                told(StatusCode::INTERNAL_SERVER_ERROR, message)
            }
        }
    }
}

/// A time to wait in whole seconds: a part of one is rounded up, as asking too
/// early is refused again.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    whole.max(1)
}

/// Whether what access depends on can't be read now.
fn is_away(error: &Error) -> bool {
    match error {
        Error::Unavailable => true,
        Error::Database(error) => is_away_now(error),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_one_answer() {
        let away = landfall_database::Error::Unavailable("db.internal:5432".to_owned());
        for (rejection, status, retry, challenge) in [
            (Rejection::Credentials, 401, None, true),
            (
                Rejection::Refused(Refusal::Unauthenticated),
                401,
                None,
                true,
            ),
            (Rejection::Refused(Refusal::OutOfScope), 401, None, true),
            (Rejection::Refused(Refusal::Denied), 403, None, false),
            (
                Rejection::TooManyFailures(Duration::from_millis(1500)),
                429,
                Some(2),
                false,
            ),
            (
                Rejection::TooManyFailures(Duration::ZERO),
                429,
                Some(1),
                false,
            ),
            (
                Rejection::Failed(Error::Unavailable),
                503,
                Some(RETRY_AFTER),
                false,
            ),
            (
                Rejection::Failed(away.into()),
                503,
                Some(RETRY_AFTER),
                false,
            ),
            (
                Rejection::Failed(Error::Key("a secret".to_owned())),
                500,
                None,
                false,
            ),
        ] {
            let told = rejection.told();
            assert_eq!(told.status.as_u16(), status, "{rejection:?}");
            assert_eq!(told.retry_after, retry, "{rejection:?}");
            assert_eq!(told.is_challenge, challenge, "{rejection:?}");
            assert!(
                !told.message.contains("secret") && !told.message.contains("internal"),
                "{}",
                told.message
            );
        }
    }
}
