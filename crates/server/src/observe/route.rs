//! Routes, as metrics and logs name them.

/// A class of routes. Few on purpose: each is a label value of every metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `/v2/`
    Base,
    /// `/v2/<name>/manifests/<reference>`
    Manifest,
    /// `/v2/<name>/blobs/<digest>`
    Blob,
    /// `/v2/<name>/blobs/uploads/` and what is below it
    Upload,
    /// `/v2/<name>/tags/list`
    Tags,
    /// `/v2/<name>/referrers/<digest>`
    Referrers,
    /// `/token`
    Token,
    /// `/api/v1`
    Api,
    /// `/healthz` and `/readyz`
    Health,
    /// `/metrics`
    Metrics,
    /// Anything else, known or not
    Other,
}

impl Route {
    pub(super) const COUNT: usize = 11;

    /// The class of a request's path.
    pub fn of(path: &str) -> Self {
        match path {
            "/v2" | "/v2/" => return Self::Base,
            "/token" => return Self::Token,
            "/healthz" | "/readyz" => return Self::Health,
            "/metrics" => return Self::Metrics,
            "/api/v1" => return Self::Api,
            _ => {}
        }
        if path.starts_with("/api/v1/") {
            return Self::Api;
        }
        let Some(path) = path.strip_prefix("/v2/") else {
            return Self::Other;
        };
        let mut segments = path.rsplit('/');
        let mut next = || segments.next().unwrap_or_default();
        match (next(), next(), next()) {
            ("list", "tags", _) => Self::Tags,
            ("uploads", "blobs", _) | (_, "uploads", "blobs") => Self::Upload,
            (_, "manifests", _) => Self::Manifest,
            (_, "blobs", _) => Self::Blob,
            (_, "referrers", _) => Self::Referrers,
            _ => Self::Other,
        }
    }

    /// How the class is written in labels and logs.
    pub const fn template(self) -> &'static str {
        match self {
            Self::Base => "/v2/",
            Self::Manifest => "/v2/{name}/manifests/{reference}",
            Self::Blob => "/v2/{name}/blobs/{digest}",
            Self::Upload => "/v2/{name}/blobs/uploads/{upload}",
            Self::Tags => "/v2/{name}/tags/list",
            Self::Referrers => "/v2/{name}/referrers/{digest}",
            Self::Token => "/token",
            Self::Api => "/api/v1",
            Self::Health => "/healthz",
            Self::Metrics => "/metrics",
            Self::Other => "other",
        }
    }

    /// Whether machines ask for it all the time, so that its event is `debug`.
    pub(super) const fn is_routine(self) -> bool {
        matches!(self, Self::Health | Self::Metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_registry_have_their_class() {
        for (path, route) in [
            ("/v2/", Route::Base),
            ("/v2/a/b/manifests/latest", Route::Manifest),
            ("/v2/a/b/c/d/manifests/sha256:00", Route::Manifest),
            ("/v2/a/b/blobs/sha256:00", Route::Blob),
            ("/v2/a/b/blobs/uploads/", Route::Upload),
            ("/v2/a/b/blobs/uploads", Route::Upload),
            ("/v2/a/b/blobs/uploads/0190", Route::Upload),
            ("/v2/a/b/tags/list", Route::Tags),
            ("/v2/a/b/referrers/sha256:00", Route::Referrers),
            ("/api/v1/repositories/a%2Fb", Route::Api),
            ("/api/v10", Route::Other),
            ("/readyz", Route::Health),
            ("/", Route::Other),
            ("", Route::Other),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn a_repository_may_be_called_like_a_route() {
        assert_eq!(Route::of("/v2/a/manifests/tags/list"), Route::Tags);
        assert_eq!(Route::of("/v2/a/blobs/manifests/list"), Route::Manifest);
    }
}
