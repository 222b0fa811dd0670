//! The paths of the distribution API, parsed by hand: repository names contain
//! slashes, which no router of segments can match in the middle of a path.

use axum::http::{Method, StatusCode};
use landfall_ids::UploadId;
use landfall_oci::{Digest, ErrorCode, Reference, RepositoryName};
use percent_encoding::percent_decode_str;

use super::error::OciError;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/manifests/<reference>`
    Manifest(RepositoryName, Reference),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload(RepositoryName, UploadId),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, Digest),
}

impl Route {
    /// Reads a path. The method matters for what a wrong reference means: to a
    /// reader, a manifest that is not there; to a writer, a bad request.
    pub(super) fn parse(method: &Method, path: &str) -> Result<Self, OciError> {
        let unknown = || {
            let message = "this path is no part of the distribution API".to_owned();
            OciError::new(StatusCode::NOT_FOUND, ErrorCode::Unsupported, message)
        };
        let decoded = percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| unknown())?;
        let rest = decoded.strip_prefix("/v2").ok_or_else(unknown)?;
        let rest = match rest.strip_prefix('/') {
            None | Some("") => return Ok(Self::Base),
            Some("_catalog") => return Ok(Self::Catalog),
            Some(rest) => rest,
        };
        if let Some(path) = rest.strip_suffix("/tags/list") {
            return Ok(Self::Tags(name(path)?));
        }
        if let Some(path) = rest
            .strip_suffix("/blobs/uploads/")
            .or_else(|| rest.strip_suffix("/blobs/uploads"))
        {
            return Ok(Self::Uploads(name(path)?));
        }
        let (before, last) = rest.rsplit_once('/').ok_or_else(unknown)?;
        if let Some(path) = before.strip_suffix("/blobs/uploads") {
            let name = name(path)?;
            let id = last
                .parse()
                .map_err(|_| OciError::from(landfall_registry::Error::UploadUnknown))?;
            return Ok(Self::Upload(name, id));
        }
        if let Some(path) = before.strip_suffix("/manifests") {
            return Ok(Self::Manifest(name(path)?, reference(method, last)?));
        }
        if let Some(path) = before.strip_suffix("/blobs") {
            return Ok(Self::Blob(name(path)?, digest(last)?));
        }
        if let Some(path) = before.strip_suffix("/referrers") {
            return Ok(Self::Referrers(name(path)?, digest(last)?));
        }
        Err(unknown())
    }

    /// The methods that the resource knows, for the header `Allow`.
    pub(super) fn methods(&self) -> &'static str {
        match self {
            Self::Base => "GET, HEAD",
            Self::Catalog | Self::Tags(_) | Self::Referrers(..) => "GET",
            Self::Manifest(..) => "GET, HEAD, PUT, DELETE",
            Self::Blob(..) => "GET, HEAD, DELETE",
            Self::Uploads(_) => "POST",
            Self::Upload(..) => "GET, PATCH, PUT, DELETE",
        }
    }
}

fn name(text: &str) -> Result<RepositoryName, OciError> {
    text.parse().map_err(|error: landfall_oci::InvalidName| {
        OciError::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::NameInvalid,
            error.to_string(),
        )
    })
}

pub(super) fn digest(text: &str) -> Result<Digest, OciError> {
    text.parse().map_err(|error: landfall_oci::InvalidDigest| {
        OciError::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::DigestInvalid,
            error.to_string(),
        )
    })
}

fn reference(method: &Method, text: &str) -> Result<Reference, OciError> {
    if text.contains(':') {
        return digest(text).map(Reference::Digest);
    }
    text.parse()
        .map(Reference::Tag)
        .map_err(|error: landfall_oci::InvalidTag| {
            let (status, code) = if method == Method::PUT {
                (StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid)
            } else {
                (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown)
            };
            OciError::new(status, code, error.to_string())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Result<Route, StatusCode> {
        Route::parse(&Method::GET, path).map_err(|error| error.status())
    }

    #[test]
    fn names_may_hold_the_words_of_the_api() {
        let name = || "acme/blobs/uploads/manifests".parse().expect("name");
        let route = parse("/v2/acme/blobs/uploads/manifests/tags/list");
        assert_eq!(route, Ok(Route::Tags(name())));
        let route = parse("/v2/acme/blobs/uploads/manifests/manifests/v1");
        let tag = "v1".parse().expect("tag");
        assert_eq!(route, Ok(Route::Manifest(name(), Reference::Tag(tag))));
        let route = parse("/v2/acme/blobs/uploads/manifests/blobs/uploads/");
        assert_eq!(route, Ok(Route::Uploads(name())));
    }

    #[test]
    fn a_digest_may_be_percent_encoded() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let plain = parse(&format!("/v2/acme/web/blobs/sha256:{hex}"));
        assert!(plain.is_ok());
        assert_eq!(parse(&format!("/v2/acme/web/blobs/sha256%3A{hex}")), plain);
    }

    #[test]
    fn what_is_no_path_of_the_api_is_not_found() {
        for path in [
            "/v2/acme",
            "/v2/acme/web",
            "/v2/acme/web/tags",
            "/v2/a/b/c/d",
        ] {
            assert_eq!(parse(path), Err(StatusCode::NOT_FOUND), "{path}");
        }
    }

    #[test]
    fn path_tricks_are_bad_names() {
        for path in [
            "/v2/acme/../etc/blobs/uploads/",
            "/v2/acme/%2e%2e/etc/tags/list",
            "/v2/acme//web/tags/list",
            "/v2/web/tags/list",
            "/v2/Acme/web/tags/list",
        ] {
            assert_eq!(parse(path), Err(StatusCode::BAD_REQUEST), "{path}");
        }
    }
}
