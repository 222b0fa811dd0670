//! What PostgreSQL refuses, and what a caller can do about it.

use std::{fmt, io};

use crate::Error;

/// An error as the server tells it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerError {
    pub(super) severity: String,
    /// Five letters (SQLSTATE), which say what happened.
    pub(super) code: String,
    pub(super) message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl std::error::Error for ServerError {}

impl ServerError {
    /// Whether the server ends the connection with it.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    /// Whether the server takes no changes, because another one does now.
    fn is_of_a_standby(&self) -> bool {
        self.code == "25006" || self.code == "0A000" && self.message.contains("recovery")
    }
}

/// Why a statement has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server refused it.
    Server(ServerError),
    /// The connection broke.
    Lost(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

/// Why the same work may succeed when it runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rerun {
    /// Another transaction was in the way.
    Conflict,
    /// What was referred to went away meanwhile; the closure looks again.
    ForeignKey,
    /// The connection broke before the commit.
    Lost,
    /// The schema has changed under a prepared statement.
    Plan,
}

impl Fault {
    pub(super) fn rerun(&self) -> Option<Rerun> {
        let error = match self {
            Self::Lost(_) => return Some(Rerun::Lost),
            Self::Server(error) => error,
        };
        match error.code.as_str() {
            // Serialisation failure, deadlock, lock not available.
            "40001" | "40P01" | "55P03" => Some(Rerun::Conflict),
            "23503" => Some(Rerun::ForeignKey),
            _ if error.is_of_a_standby() => Some(Rerun::Lost),
            // The statement is not known any more. The feature that is not
            // supported is a plan whose columns change.
            "26000" | "0A000" => Some(Rerun::Plan),
            _ if error.is_fatal() => Some(Rerun::Lost),
            _ => None,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let error = match fault {
            Fault::Lost(reason) => return Self::Unavailable(reason),
            Fault::Server(error) => error,
        };
        match error.code.as_str() {
            "23503" => Self::ForeignKey,
            "23505" => Self::Unique,
            "40001" | "40P01" | "55P03" => Self::Busy,
            "53100" => Self::Full,
            // A text with a character that PostgreSQL does not store: NUL.
            "22021" | "22P05" => Self::Text,
            // Too many connections; starting, stopping, crashed.
            "53300" | "57P01" | "57P02" | "57P03" => Self::Unavailable(error.message),
            _ if error.is_of_a_standby() || error.is_fatal() => Self::Unavailable(error.message),
            _ => Self::Failed(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: &str, message: &str) -> Fault {
        Fault::Server(ServerError {
            severity: "ERROR".to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
        })
    }

    #[test]
    fn a_standby_is_away_and_asked_again_on_another_connection() {
        for (code, message) in [
            ("25006", "cannot execute INSERT in a read-only transaction"),
            (
                "0A000",
                "cannot set transaction read-write mode during recovery",
            ),
        ] {
            assert_eq!(fault(code, message).rerun(), Some(Rerun::Lost));
            let error = Error::from(fault(code, message));
            assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        }
    }

    #[test]
    fn a_lost_statement_is_prepared_again() {
        for (code, message) in [
            ("26000", "prepared statement \"s1\" does not exist"),
            ("0A000", "cached plan must not change result type"),
        ] {
            assert_eq!(fault(code, message).rerun(), Some(Rerun::Plan));
            let error = Error::from(fault(code, message));
            assert!(matches!(error, Error::Failed(_)), "{error:?}");
        }
    }
}
