//! From the bytes of a push to a [`Manifest`], or to one sentence that says
//! why not.

use super::{
    Manifest, ManifestError,
    json::{Object, invalid},
    limits::{Budget, check_depth},
};
use crate::{Descriptor, MediaType, Platform, shorten::shorten};

const DOCUMENT: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    // Of Docker schema 1, to tell it from the others.
    "fsLayers",
];

const DESCRIPTOR: &[&str] = &[
    "mediaType",
    "digest",
    "size",
    "urls",
    "annotations",
    "artifactType",
    "platform",
    "data",
];

const PLATFORM: &[&str] = &["architecture", "os", "os.version", "os.features", "variant"];

/// What the types of Docker schema 1 manifests start with: unsigned, signed.
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+";

impl Manifest {
    /// Reads the bytes of a manifest that was pushed with this `Content-Type`.
    ///
    /// The document must be of one of [`MediaType::MANIFESTS`], by its
    /// `mediaType` and the header, which must agree where both are given;
    /// where neither is, its fields decide. An image has a `config`, an index
    /// has `manifests`, and neither has what belongs to the other. A field
    /// that is known must be well formed and there once; others are ignored.
    ///
    /// Memory and time are bounded by the length of `bytes`, and a document
    /// can't exhaust the stack.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        let text = str::from_utf8(bytes).map_err(|error| ManifestError::Json {
            reason: error.to_string(),
        })?;
        check_depth(text)?;
        let budget = Budget::new();
        let document = Object::document(text, DOCUMENT, &budget)?;
        let descriptor = |object: &Object<'_>| descriptor(object, &budget);
        let one = |name| {
            document
                .object(name, DESCRIPTOR)?
                .as_ref()
                .map(descriptor)
                .transpose()
        };

        let media_type = document_type(&document, content_type)?;
        check_version(&document)?;
        check_fields(&document, &media_type)?;
        Ok(Self {
            artifact_type: document.parsed("artifactType")?,
            config: one("config")?,
            layers: document.objects("layers", DESCRIPTOR, descriptor)?,
            manifests: document.objects("manifests", DESCRIPTOR, descriptor)?,
            subject: one("subject")?,
            annotations: document.string_map("annotations")?,
            media_type,
        })
    }
}

/// The type of the document, from its header, itself, or its fields.
fn document_type(
    document: &Object<'_>,
    content_type: Option<&str>,
) -> Result<MediaType, ManifestError> {
    let header = content_type
        .map(|value| {
            value
                .split(';')
                .next()
                .unwrap_or(value)
                .trim()
                .to_ascii_lowercase()
        })
        .filter(|essence| !essence.is_empty());
    let body = document
        .string("mediaType")?
        .filter(|text| !text.is_empty());
    if let (Some(header), Some(body)) = (&header, &body)
        && header != body
    {
        return Err(ManifestError::MediaTypeMismatch {
            header: shorten(header),
            body: shorten(body),
        });
    }
    let Some(given) = header.or(body) else {
        return if document.has("fsLayers") {
            Err(ManifestError::Schema1)
        } else if document.has("manifests") {
            Ok(MediaType::OCI_INDEX)
        } else if document.has("config") || document.has("layers") {
            Ok(MediaType::OCI_MANIFEST)
        } else {
            Err(ManifestError::UnknownType)
        };
    };
    if given.starts_with(SCHEMA_1) {
        return Err(ManifestError::Schema1);
    }
    MediaType::MANIFESTS
        .into_iter()
        .find(|known| known.as_str() == given)
        .ok_or_else(|| ManifestError::UnsupportedMediaType {
            given: shorten(&given),
        })
}

fn check_version(document: &Object<'_>) -> Result<(), ManifestError> {
    let version = document.number("schemaVersion")?;
    if version == Some(1) || document.has("fsLayers") {
        return Err(ManifestError::Schema1);
    }
    match document.require("schemaVersion", version)? {
        2 => Ok(()),
        other => Err(invalid(
            document.path("schemaVersion"),
            format!("2 is expected, not {other}"),
        )),
    }
}

/// Refuses a document that lacks what its type requires, or has what belongs
/// to the other. Even as `null` a field doesn't belong there; but an index
/// without entries may write its list so, as some clients do.
fn check_fields(document: &Object<'_>, media_type: &MediaType) -> Result<(), ManifestError> {
    let is_index = media_type.is_index();
    let foreign: &[_] = if is_index {
        &["config", "layers"]
    } else {
        &["manifests"]
    };
    for &field in foreign {
        if document.has(field) {
            return Err(ManifestError::Ambiguous {
                media_type: media_type.clone(),
                field,
            });
        }
    }
    let is_complete = if is_index {
        document.has("manifests")
    } else {
        document.has_value("config")
    };
    let required = if is_index { "manifests" } else { "config" };
    document.require(required, is_complete.then_some(()))
}

fn descriptor(object: &Object<'_>, budget: &Budget) -> Result<Descriptor, ManifestError> {
    budget.take_descriptor()?;
    Ok(Descriptor {
        media_type: object.require("mediaType", object.parsed("mediaType")?)?,
        digest: object.require("digest", object.parsed("digest")?)?,
        size: object.require("size", object.number("size")?)?,
        urls: object.strings("urls")?,
        annotations: object.string_map("annotations")?,
        artifact_type: object.parsed("artifactType")?,
        platform: object
            .object("platform", PLATFORM)?
            .as_ref()
            .map(platform)
            .transpose()?,
        data: object.string("data")?,
    })
}

fn platform(object: &Object<'_>) -> Result<Platform, ManifestError> {
    Ok(Platform {
        architecture: object.string("architecture")?.unwrap_or_default(),
        os: object.string("os")?.unwrap_or_default(),
        os_version: object.string("os.version")?,
        os_features: object.strings("os.features")?,
        variant: object.string("variant")?,
    })
}
