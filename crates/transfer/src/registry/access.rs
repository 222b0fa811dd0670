//! From a host's name to the registry's URL, and who logs in there.

use reqwest::Certificate;
use url::{Host, Url};

use super::{Keychain, Login};
use crate::{Error, Limits, Patience};

/// How one side of a copy is reached, where it is a registry.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The registry of names without a host.
    pub home: Option<Home>,
    /// Who logs in; otherwise the home's login, or one that is saved.
    pub login: Option<Login>,
    /// Plain HTTP, without TLS, wherever the registry is.
    pub plain_http: bool,
    /// Certificates in PEM that a registry's may be signed by, besides those
    /// that the machine trusts.
    pub certificates: Vec<Vec<u8>>,
    /// Saved logins.
    pub keychain: Keychain,
    /// What to take at the most.
    pub limits: Limits,
    /// How long to wait.
    pub patience: Patience,
}

/// The registry of names without a host.
#[derive(Debug, Clone)]
pub struct Home {
    /// Its URL. Plain HTTP is right if the URL says so.
    pub url: Url,
    /// Who logs in there.
    pub login: Option<Login>,
    /// What to do when a login is missing: the end of a sentence.
    pub hint: String,
}

/// A registry to be reached.
#[derive(Debug)]
pub(super) struct Address {
    /// What messages call it.
    pub(super) name: String,
    /// The URLs to try, best first.
    pub(super) candidates: Vec<Url>,
    pub(super) login: Option<Login>,
    /// What to do when a login is missing.
    pub(super) hint: String,
    /// Whether names are looked up on this machine, without a proxy.
    pub(super) is_local: bool,
}

/// What to do when a login is missing, where nobody says otherwise.
const HINT: &str = "give it with `--src-creds` or `--dst-creds`";

/// Docker's registry is called otherwise than it is reached.
const HUB: &str = "docker.io";
const HUB_HOST: &str = "registry-1.docker.io";

impl Access {
    /// The registry at `host`, or the one at home.
    pub(super) async fn address(&self, host: Option<&str>) -> Result<Address, Error> {
        let (candidates, name, home_login, hint) = match (host, &self.home) {
            (Some(host), _) => {
                let reached = if host == HUB { HUB_HOST } else { host };
                let url = |scheme: &str| {
                    Url::parse(&format!("{scheme}://{reached}/"))
                        .map_err(|error| Error::Refused(format!("`{host}` is no host: {error}")))
                };
                let secure = url("https")?;
                let candidates = if self.plain_http {
                    vec![url("http")?]
                } else if is_loopback(&secure) {
                    // Nothing secret is sent before it is known what is spoken.
                    vec![url("http")?, secure]
                } else {
                    vec![secure]
                };
                (candidates, host.to_owned(), None, HINT)
            }
            (None, Some(home)) => {
                let name = host_and_port(&home.url);
                let candidates = vec![home.url.clone()];
                (candidates, name, home.login.clone(), home.hint.as_str())
            }
            (None, None) => {
                return Err(Error::Refused(
                    "a name without a host needs a server to look in".to_owned(),
                ));
            }
        };
        let mut login = self.login.clone().or(home_login);
        if login.is_none() {
            let (keychain, name) = (self.keychain.clone(), name.clone());
            let found = tokio::task::spawn_blocking(move || keychain.find(&name)).await;
            login = found.unwrap_or_default();
        }
        Ok(Address {
            is_local: candidates.iter().all(is_loopback),
            candidates,
            name,
            login,
            hint: hint.to_owned(),
        })
    }

    /// The authorities that are trusted besides the machine's.
    pub(super) fn authorities(&self) -> Result<Vec<Certificate>, Error> {
        let mut all = Vec::new();
        for pem in &self.certificates {
            let parsed = Certificate::from_pem_bundle(pem);
            all.extend(parsed.map_err(|error| {
                Error::Refused(format!("the certificates can't be read: {error}"))
            })?);
        }
        Ok(all)
    }
}

/// `host:port`, or the host alone where the port is the usual one.
pub(super) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether the URL leads to this machine, and nobody listens on the way.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
