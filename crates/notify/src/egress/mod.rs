//! The one way out: requests to hosts that somebody else has named.
//!
//! # What is kept
//!
//! - Only `http` and `https`, without credentials in the URL.
//! - Only to addresses of the public Internet, or to what the operator allows
//!   ([`AllowList`]). A host's addresses are looked at after they were resolved
//!   and **the connection goes to one of those**: a name that changes between
//!   the look and the connection gains nothing. Addresses that are written into
//!   a URL, in whatever form, are looked at in the same way.
//! - No redirects, no proxies of the environment, certificates are verified.
//! - An answer is taken up to a size, and everything ends after a time.
//!
//! # What is told
//!
//! A refusal names the host and not the address: which private address a name
//! has is nobody's business outside.

mod addresses;
mod allow;

use std::{error::Error as _, io, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{
    Certificate, Client, Method, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderMap, RETRY_AFTER},
    redirect::Policy,
};
use url::Host;

pub use addresses::{Cidr, is_public};
pub use allow::{AllowList, InvalidAllowList};

/// How long a host's name may take to resolve when a URL is checked.
const RESOLVING: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read. What comes after is not waited for.
const ANSWER: usize = 64 * 1024;
/// The longest URL, in bytes.
const LONGEST_URL: usize = 2048;
/// How long a connection waits for its next request.
const IDLE: Duration = Duration::from_secs(30);

/// What the operator decides about requests to the outside.
#[derive(Debug, Clone)]
pub struct EgressSettings {
    /// What is allowed besides the public Internet.
    pub allow: AllowList,
    /// Certificates, in PEM, that a host's may be signed by, besides those that
    /// this machine trusts.
    pub authorities: Option<Vec<u8>>,
    /// How long a request may take, from the look-up of the name to the end of
    /// the answer.
    pub timeout: Duration,
}

/// Why a request did not get an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The URL is no place for a request, ever.
    #[error("`{url}` can't be called: {reason}")]
    Url {
        /// The URL, shortened.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The host has no address that requests may go to.
    #[error(
        "`{host}` is at a private or reserved address, and requests may not go there; the \
         operator can allow it with the setting `egress.allow`"
    )]
    Denied {
        /// The host.
        host: String,
    },
    /// The host has no address at all.
    #[error("the host `{host}` has no address")]
    NoAddress {
        /// The host.
        host: String,
    },
    /// The answer did not come, or not to its end, in time.
    #[error("no answer came within {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// The connection failed, or what came is no HTTP.
    #[error("the request failed: {0}")]
    Failed(String),
    /// The certificates of the settings can't be used.
    #[error("the authorities' certificates can't be used: {0}")]
    Authorities(String),
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// How long to wait before the next request, as the host has asked.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// Whether the host took what it was sent.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The client. Cloning it is cheap, and clones share connections.
#[derive(Debug, Clone)]
pub struct Egress {
    http: Client,
    allow: Arc<AllowList>,
    timeout: Duration,
}

impl Egress {
    /// Makes the client.
    pub fn new(settings: EgressSettings) -> Result<Self, EgressError> {
        let unusable = |error: reqwest::Error| EgressError::Authorities(chain(&error));
        let allow = Arc::new(settings.allow);
        let mut authorities = Vec::new();
        if let Some(pem) = &settings.authorities {
            authorities = Certificate::from_pem_bundle(pem).map_err(unusable)?;
            if authorities.is_empty() {
                let reason = "the file holds none".to_owned();
                return Err(EgressError::Authorities(reason));
            }
        }
        let http = Client::builder()
            .user_agent(concat!("landfall/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .dns_resolver(AllowedAddresses(Arc::clone(&allow)))
            .tls_certs_merge(authorities)
            .connect_timeout(settings.timeout)
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(4)
            .build()
            .map_err(unusable)?;
        Ok(Self {
            http,
            allow,
            timeout: settings.timeout,
        })
    }

    /// Reads a URL, and refuses one that could never be called.
    pub fn parse(text: &str) -> Result<Url, EgressError> {
        let refuse = |reason| EgressError::Url {
            url: text.chars().take(80).collect(),
            reason,
        };
        if text.len() > LONGEST_URL {
            return Err(refuse("it is too long"));
        }
        let url = Url::parse(text).map_err(|_| refuse("it is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("only `http` and `https` are"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it holds a name or a password"));
        }
        if url.fragment().is_some() {
            return Err(refuse("it has a fragment, which is never sent"));
        }
        Ok(url)
    }

    /// Whether a request to the URL would be let out now.
    pub async fn check(&self, url: &Url) -> Result<(), EgressError> {
        self.check_literal(url)?;
        if let Some(Host::Domain(host)) = url.host() {
            let resolving = resolve(&self.allow, host);
            match tokio::time::timeout(RESOLVING, resolving).await {
                Ok(resolved) => drop(resolved?),
                Err(_) => return Err(EgressError::Timeout(RESOLVING)),
            }
        }
        Ok(())
    }

    /// An address that is written into the URL never meets the resolver.
    fn check_literal(&self, url: &Url) -> Result<(), EgressError> {
        let (host, address) = match url.host() {
            Some(Host::Ipv4(address)) => (address.to_string(), address.into()),
            Some(Host::Ipv6(address)) => (format!("[{address}]"), address.into()),
            _ => return Ok(()),
        };
        if self.allow.allows(&host, address) {
            Ok(())
        } else {
            Err(EgressError::Denied { host })
        }
    }

    /// Sends a request with a body, and takes the answer.
    pub async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, EgressError> {
        self.check_literal(url)?;
        let request = self.http.request(Method::POST, url.clone());
        let sent = request.headers(headers).body(body).send().await;
        let mut response = sent.map_err(|error| self.told(&error))?;
        let retry_after = match response.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                seconds(response.headers())
            }
            _ => None,
        };
        let mut read = 0;
        // Read, so that the connection can be used again; a host that sends
        // more than this is not listened to.
        while let Some(piece) = response.chunk().await.map_err(|error| self.told(&error))? {
            read += piece.len();
            if read > ANSWER {
                break;
            }
        }
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after,
        })
    }

    fn told(&self, error: &reqwest::Error) -> EgressError {
        let mut cause = error.source();
        while let Some(inner) = cause {
            if let Some(ours) = inner.downcast_ref::<EgressError>() {
                return ours.clone();
            }
            cause = inner.source();
        }
        if error.is_timeout() {
            return EgressError::Timeout(self.timeout);
        }
        EgressError::Failed(chain(error))
    }
}

/// Seconds of a `Retry-After` header. Its other form, a date, is not read: it
/// asks for clocks that agree.
fn seconds(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// The innermost cause, which is the one that tells something.
fn chain(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}

/// The resolver of the client: it gives addresses that are allowed, or none.
struct AllowedAddresses(Arc<AllowList>);

impl Resolve for AllowedAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses = resolve(&allow, name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The addresses of the host that requests may go to.
async fn resolve(allow: &AllowList, host: &str) -> Result<Vec<SocketAddr>, EgressError> {
    let host = host.to_owned();
    let found: io::Result<Vec<_>> = tokio::net::lookup_host((host.as_str(), 0))
        .await
        .map(Iterator::collect);
    let mut addresses = found.unwrap_or_default();
    if addresses.is_empty() {
        return Err(EgressError::NoAddress { host });
    }
    addresses.retain(|address| allow.allows(&host, address.ip()));
    if addresses.is_empty() {
        return Err(EgressError::Denied { host });
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_that_can_be_called_are_read() {
        for good in ["http://host/path?query", "https://[2606:4700::1]:8443/"] {
            assert!(Egress::parse(good).is_ok(), "{good} was refused");
        }
        for wrong in [
            "host/path",
            "ftp://host/",
            "file:///etc/passwd",
            "http://name@host/",
            "http://name:password@host/",
            "https://host/#part",
        ] {
            assert!(Egress::parse(wrong).is_err(), "{wrong} was read");
        }
    }

    #[tokio::test]
    async fn an_address_is_known_in_whatever_form_it_is_written() {
        let egress = Egress::new(EgressSettings {
            allow: AllowList::default(),
            authorities: None,
            timeout: Duration::from_secs(1),
        })
        .expect("a client");
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://localhost/",
        ] {
            let url = Egress::parse(url).expect("a URL");
            let refused = egress.check(&url).await.expect_err("a private address");
            assert!(
                matches!(refused, EgressError::Denied { .. }),
                "{url}: {refused}"
            );
            let sent = egress.post(&url, HeaderMap::new(), Vec::new()).await;
            assert_eq!(sent, Err(refused), "{url}");
        }
    }
}
