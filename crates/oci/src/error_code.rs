//! The errors of the distribution API, and the body that carries them.
//!
//! Source: "Error Codes" of the OCI distribution specification 1.1, which
//! closes the list: a registry that answers in JSON uses one of these codes.
//! Which status code goes with an error is not known here.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $description:literal;)+) => {
        /// An error that the specification has a code for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $code)] $name,)+
        }

        impl ErrorCode {
            /// Every code of the specification, in its order.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code as it stands in the body: `BLOB_UNKNOWN`.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// What the code says by itself, for want of a better message.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$name => $description,)+
                }
            }
        }
    };
}

codes! {
    /// The repository has no such blob.
    BlobUnknown = "BLOB_UNKNOWN", "the repository has no such blob";
    /// The upload can't go on: wrong offset, wrong length, damaged.
    BlobUploadInvalid = "BLOB_UPLOAD_INVALID", "the upload is invalid";
    /// There is no such upload, or no longer.
    BlobUploadUnknown = "BLOB_UPLOAD_UNKNOWN", "there is no such upload";
    /// A digest is malformed, or the content has another one.
    DigestInvalid = "DIGEST_INVALID", "the digest does not match the content";
    /// A manifest refers to a blob or manifest that the repository lacks.
    ManifestBlobUnknown =
        "MANIFEST_BLOB_UNKNOWN", "the manifest refers to content that the repository does not have";
    /// A manifest is malformed.
    ManifestInvalid = "MANIFEST_INVALID", "the manifest is invalid";
    /// The repository has no such manifest.
    ManifestUnknown = "MANIFEST_UNKNOWN", "the repository has no such manifest";
    /// The name of a repository is malformed.
    NameInvalid = "NAME_INVALID", "the repository name is invalid";
    /// There is no such repository.
    NameUnknown = "NAME_UNKNOWN", "there is no such repository";
    /// The content has another length than was announced.
    SizeInvalid = "SIZE_INVALID", "the length does not match the content";
    /// The caller has to say who it is.
    Unauthorized = "UNAUTHORIZED", "authentication is required";
    /// The caller may not do this.
    Denied = "DENIED", "access is denied";
    /// The registry doesn't do this.
    Unsupported = "UNSUPPORTED", "the operation is not supported";
    /// The caller has to slow down.
    TooManyRequests = "TOOMANYREQUESTS", "too many requests";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// One error of an [`ErrorBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// What kind of error it is, for programs.
    pub code: ErrorCode,
    /// One sentence for people; may be empty.
    #[serde(default)]
    pub message: String,
    /// What the error is about, for programs that know the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

impl ErrorEntry {
    /// An error with a message and no detail.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            detail: None,
        }
    }

    /// The same error with a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// An error that says no more than its code.
impl From<ErrorCode> for ErrorEntry {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.description())
    }
}

/// The JSON body of an answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// At least one error.
    pub errors: Vec<ErrorEntry>,
}

impl From<ErrorEntry> for ErrorBody {
    fn from(entry: ErrorEntry) -> Self {
        Self {
            errors: vec![entry],
        }
    }
}
