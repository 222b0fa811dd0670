//! Why a check did not pass.

/// The end of a check that did not pass.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The registry answered, and the answer breaks the rule.
    #[error("expected {expected}, but {exchange}")]
    Violation {
        /// What the rule asks for.
        expected: String,
        /// The request and what came back, shortened.
        exchange: String,
    },
    /// The registry gave no answer to a request.
    #[error("no answer to `{request}`")]
    NoAnswer {
        /// Method and path of the request.
        request: String,
        /// What the HTTP client says.
        #[source]
        source: reqwest::Error,
    },
    /// The body of an answer ended before its length.
    #[error("the answer to `{request}`, with status {status}, broke off")]
    BrokenOff {
        /// Method and path of the request.
        request: String,
        /// The status of the answer.
        status: u16,
        /// What the HTTP client says.
        #[source]
        source: reqwest::Error,
    },
    /// The suite could not make the request: a location or a token endpoint
    /// that is no URL, a header value that is none.
    #[error("`{given}` can't be used as {purpose}")]
    Unusable {
        /// What the registry or the caller gave.
        given: String,
        /// What it was meant for.
        purpose: &'static str,
    },
    /// The registry does not have what the rule is about; the check counts as
    /// skipped.
    #[error("registry does not offer {0}")]
    NotOffered(&'static str),
}

impl Failure {
    /// The failure and everything below it on one line.
    pub fn explain(&self) -> String {
        let mut text = self.to_string();
        let mut below = std::error::Error::source(self);
        while let Some(error) = below {
            text.push_str(": ");
            text.push_str(&error.to_string());
            below = error.source();
        }
        text
    }
}
