//! Logins that last: who this user is at which server, kept in a file that only
//! they can read ([`Logins`]), and how a password is typed ([`prompt`]).
//!
//! What is kept is a token that ends after hours, or an API key; never a
//! password. The commands use a kept login where no password is given, and so
//! do docker and podman by way of the credential helper.

mod file;
pub(crate) mod prompt;

use std::path::PathBuf;

use jiff::Timestamp;
use landfall_clock::{Clock, SystemClock};
use landfall_identity::Secret;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use url::Host;

use crate::output;

pub(crate) use file::{Logins, LoginsFile};

/// How API keys begin.
const API_KEY: &str = "lfk_";
/// What stands for a user where the secret says who it is.
pub(crate) const TOKEN: &str = "token";

/// What kind of secret a login is kept by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A token for all that its principal may do; it ends after hours.
    AuthorizationToken,
    /// A key of a robot, a host or a user; it ends when somebody says so.
    ApiKey,
}

/// A login at one server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SavedLogin {
    /// The server's URL.
    pub(crate) url: Url,
    /// Who logged in, as they were called then.
    pub(crate) user: String,
    /// What the secret is.
    pub(crate) kind: Kind,
    /// The secret itself.
    #[serde(with = "revealed")]
    pub(crate) secret: Secret,
    /// The identity of a token, by which it can be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// When a token ends, if that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    /// A file with certificates that vouch for the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_certificate: Option<PathBuf>,
}

impl SavedLogin {
    /// When it ended, if that has come.
    pub(crate) fn ended(&self) -> Option<Timestamp> {
        let now = SystemClock.now().unix_micros();
        self.expires
            .filter(|expires| expires.as_microsecond() <= now)
    }

    /// How to get another one.
    pub(crate) fn again(&self) -> String {
        format!("run `landfall login {}`", shown(&self.url))
    }
}

/// What a secret that somebody gave is, by its looks; a password if it is none
/// of ours.
pub(crate) fn kind_of(secret: &Secret) -> Option<Kind> {
    let text = secret.reveal();
    if text.starts_with(API_KEY) {
        return Some(Kind::ApiKey);
    }
    // A JWT: three parts, and the first is a JSON object in Base64.
    let is_token = text.starts_with("eyJ") && text.split('.').count() == 3;
    is_token.then_some(Kind::AuthorizationToken)
}

/// The URL of a server as people write it. Without a scheme it is HTTPS, but
/// for this machine itself, as with docker.
pub(crate) fn server_url(text: &str) -> Result<Url, String> {
    let wrong = || format!("`{text}` is no URL of a server; `https://registry.example` is one");
    let parsed = |complete: &str| Url::parse(complete).map_err(|_| wrong());
    let url = if text.contains("://") {
        parsed(text)?
    } else {
        match parsed(&format!("https://{text}"))? {
            url if is_loopback(&url) => parsed(&format!("http://{text}"))?,
            url => url,
        }
    };
    let is_server = matches!(url.scheme(), "http" | "https") && url.has_host();
    if is_server && url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        Err(wrong())
    }
}

/// Whether a URL is of this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Whether a secret would cross a network without TLS.
pub(crate) fn is_exposed(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback(url)
}

/// Warns whoever is about to send a secret across a network without TLS.
pub(crate) fn warn_if_exposed(url: &Url) {
    if is_exposed(url) {
        output::warn(&format!(
            "warning: {} is not HTTPS; others on the way can read what is sent",
            shown(url)
        ));
    }
}

/// The host of a URL, with the port if it is not the usual one: how image
/// names begin.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// A URL without the slash at its end.
pub(crate) fn shown(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// A secret in the file.
mod revealed {
    use landfall_identity::Secret;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.reveal())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        Ok(Secret::new(String::deserialize(from)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_scheme_is_reached_by_https_unless_it_is_this_machine() {
        for (text, url) in [
            ("registry.example", "https://registry.example/"),
            ("registry.example:5000", "https://registry.example:5000/"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000/"),
            ("localhost:5000", "http://localhost:5000/"),
            ("[::1]:5000", "http://[::1]:5000/"),
            ("127.0.0.1:443", "http://127.0.0.1:443/"),
            ("localhost.example", "https://localhost.example/"),
            ("127.registry.example", "https://127.registry.example/"),
            ("http://10.0.0.1", "http://10.0.0.1/"),
        ] {
            assert_eq!(server_url(text).map(String::from).as_deref(), Ok(url));
        }
        for text in ["", "http://", "ftp://registry.example", "https://a:b@c"] {
            assert!(server_url(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn secrets_are_known_by_their_looks() {
        let kind = |text: &str| kind_of(&Secret::new(text));
        assert_eq!(kind("lfk_1_2"), Some(Kind::ApiKey));
        assert_eq!(
            kind("eyJhbGciOi.eyJzdWIi.c2ln"),
            Some(Kind::AuthorizationToken)
        );
        assert_eq!(kind("change-me"), None);
        assert_eq!(kind("eyJust a password"), None);
    }

    #[test]
    fn a_secret_is_not_printed_with_its_login() {
        let login = SavedLogin {
            url: server_url("registry.example").expect("a URL"),
            user: "acme/alice".to_owned(),
            kind: Kind::ApiKey,
            secret: Secret::new("lfk_1_2"),
            id: None,
            expires: None,
            ca_certificate: None,
        };
        assert!(!format!("{login:?}").contains("lfk_1_2"));
        assert!(
            serde_json::to_string(&login)
                .expect("JSON")
                .contains("lfk_1_2")
        );
    }
}
