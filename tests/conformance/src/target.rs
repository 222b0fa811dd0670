//! The registry under test, as a person names it.

use std::fmt;

/// Where the registry is, how to log in, and where the suite may push.
#[derive(Clone)]
pub struct Target {
    /// The base URL, without `/v2/`: `http://127.0.0.1:5000`.
    pub url: String,
    /// The user name for Basic authentication and for the token endpoint;
    /// empty for a registry that asks nobody who they are.
    pub user: String,
    /// The password that belongs to [`Target::user`].
    pub password: String,
    /// Whether user and password go out with every request, and not only to
    /// a registry that challenges for them.
    pub always_basic: bool,
    /// Prefix of the repositories the checks push to: `admin/conformance`.
    /// Each check makes repositories of its own below it.
    pub namespace: String,
    /// Prefix of the repositories that blobs are mounted from.
    pub other_namespace: String,
}

impl Target {
    /// A registry at `url` that needs no login.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            user: String::new(),
            password: String::new(),
            always_basic: false,
            namespace: "conformance/suite".to_owned(),
            other_namespace: "conformance/other".to_owned(),
        }
    }

    /// The same registry, used by `user`.
    #[must_use]
    pub fn with_login(mut self, user: &str, password: &str) -> Self {
        user.clone_into(&mut self.user);
        password.clone_into(&mut self.password);
        self
    }

    /// The same registry, sent user and password with every request.
    #[must_use]
    pub fn with_basic_always(mut self) -> Self {
        self.always_basic = true;
        self
    }

    /// The same registry, with the repositories below `namespace`, and the
    /// sources of mounts below `<namespace>-other`.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        namespace.trim_matches('/').clone_into(&mut self.namespace);
        self.other_namespace = format!("{}-other", self.namespace);
        self
    }
}

/// Without the password.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("url", &self.url)
            .field("user", &self.user)
            .field("namespace", &self.namespace)
            .field("other_namespace", &self.other_namespace)
            .finish_non_exhaustive()
    }
}
