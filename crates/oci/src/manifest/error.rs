//! Why a document is no manifest.

use crate::MediaType;

/// A document that is refused. The pusher has to change it; every message is
/// one sentence that says where and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is no JSON at all.
    #[error("the manifest is no valid JSON: {reason}")]
    Json {
        /// What the parser says, with line and column.
        reason: String,
    },
    /// Objects and arrays are nested too deeply.
    #[error("the manifest nests objects and arrays more than {limit} levels deep")]
    TooDeep {
        /// The most levels.
        limit: usize,
    },
    /// It lists too much.
    #[error("the manifest has more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be in the whole document.
        limit: usize,
    },
    /// It is a Docker manifest of version 1 or schema 1.
    #[error(
        "manifests of Docker schema 1 are not supported: push the image as an OCI image or as \
         Docker schema 2"
    )]
    Schema1,
    /// The type of the document is none that the registry takes.
    #[error(
        "`{given}` is no manifest type that this registry takes: use one of {}",
        accepted_types()
    )]
    UnsupportedMediaType {
        /// The type, shortened.
        given: String,
    },
    /// No type is given, and the fields don't tell either.
    #[error(
        "the manifest has no type: give it a `mediaType` and a `Content-Type`, one of {}",
        accepted_types()
    )]
    UnknownType,
    /// The header and the document name different types.
    #[error("the `Content-Type` is `{header}`, but the manifest says that it is `{body}`")]
    MediaTypeMismatch {
        /// The type in the header, shortened.
        header: String,
        /// The type in the document, shortened.
        body: String,
    },
    /// The document could be read as an image and as an index, so that two
    /// readers would see different content under one digest (CVE-2021-41190).
    #[error("a manifest of type `{media_type}` must not have the field `{field}`")]
    Ambiguous {
        /// The type of the document.
        media_type: MediaType,
        /// The field that belongs to another type.
        field: &'static str,
    },
    /// A field is there twice, so that two readers could see two values.
    #[error("the manifest gives `{path}` more than once")]
    Repeated {
        /// The field, from the top: `layers[2].digest`.
        path: String,
    },
    /// A field has a name that some readers take for that of a known field,
    /// and others don't.
    #[error("the manifest spells `{path}` as `{given}`, which some clients read and some do not")]
    Misspelled {
        /// The field, from the top: `layers[2].digest`.
        path: String,
        /// Its last part as it is spelled there, shortened.
        given: String,
    },
    /// A field that is required is missing.
    #[error("the manifest has no `{path}`")]
    Missing {
        /// The field, from the top: `layers[2].digest`.
        path: String,
    },
    /// A field has a wrong value.
    #[error("`{path}` of the manifest is wrong: {reason}")]
    Invalid {
        /// The field, from the top: `layers[2].digest`.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn accepted_types() -> String {
    MediaType::MANIFESTS
        .map(|media_type| format!("`{media_type}`"))
        .join(", ")
}
