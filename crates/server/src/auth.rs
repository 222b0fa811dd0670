//! From the `Authorization` header to a caller, and from a refusal to a
//! challenge.

use axum::http::{HeaderMap, HeaderValue, Uri, header, request::Parts, uri::Authority};
use base64::Engine;
use landfall_identity::{Action, Caller, Error, Identity, Refusal, Resource, Secret};

use crate::{Server, listen::Peer};

/// Why a request is not let through.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// What the caller sent proves nothing.
    Credentials,
    /// The caller may not.
    Refused(Refusal),
    /// It can't be decided now.
    Failed(Error),
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        match error {
            Error::Unauthenticated { reason } => {
                tracing::info!(reason, "credentials were refused");
                Self::Credentials
            }
            error => Self::Failed(error),
        }
    }
}

/// The caller of a request with these headers.
pub(crate) async fn caller(identity: &Identity, headers: &HeaderMap) -> Result<Caller, Rejection> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else {
        if headers.contains_key(header::AUTHORIZATION) {
            // Two credentials in one request: a proxy may have looked at one,
            // and we at the other.
            return Err(Rejection::Credentials);
        }
        return Ok(Caller::ANONYMOUS);
    };
    let text = value.to_str().map_err(|_| Rejection::Credentials)?;
    let (scheme, rest) = text.split_once(' ').ok_or(Rejection::Credentials)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(identity.caller_by_token(rest).await?);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Rejection::Credentials);
    }
    let (name, password) = basic(rest).ok_or(Rejection::Credentials)?;
    if name.is_empty() && password.reveal().is_empty() {
        // How some clients say that they have nothing to say.
        return Ok(Caller::ANONYMOUS);
    }
    Ok(identity.caller_by_password(&name, &password).await?)
}

/// Name and password of the Basic scheme (RFC 7617).
fn basic(encoded: &str) -> Option<(String, Secret)> {
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), Secret::new(password)))
}

/// Asks whether the caller may.
pub(crate) fn authorize(
    server: &Server,
    caller: &Caller,
    action: Action,
    resource: Resource<'_>,
) -> Result<(), Rejection> {
    server
        .identity
        .authorize(caller, action, resource)
        .map_err(Rejection::Refused)
}

/// The URL of this server as the client of the request knows it.
pub(crate) fn base_url(server: &Server, parts: &Parts) -> String {
    if let Some(url) = &server.settings.external_url {
        return url.clone();
    }
    let secure = parts
        .extensions
        .get::<Peer>()
        .is_some_and(|peer| peer.secure);
    let scheme = if secure { "https" } else { "http" };
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .and_then(|host| host.parse::<Authority>().ok())
        .or_else(|| Uri::authority(&parts.uri).cloned());
    match host {
        Some(host) => format!("{scheme}://{host}"),
        None => String::new(),
    }
}

/// The challenge that tells a client where to get a token for what it wants
/// (RFC 6750, and the token specification of registries).
pub(crate) fn challenge(
    server: &Server,
    base_url: &str,
    scope: Option<&str>,
    rejection: &Rejection,
) -> Option<HeaderValue> {
    let service = server.identity.service();
    let scope = scope
        .map(|scope| format!(",scope=\"{scope}\""))
        .unwrap_or_default();
    let error = match rejection {
        Rejection::Credentials => ",error=\"invalid_token\"",
        Rejection::Refused(Refusal::OutOfScope) => ",error=\"insufficient_scope\"",
        _ => "",
    };
    let challenge =
        format!("Bearer realm=\"{base_url}/token\",service=\"{service}\"{scope}{error}");
    HeaderValue::from_str(&challenge).ok()
}

/// The scope that would be enough for an action, as clients ask for it.
pub(crate) fn scope_for(action: Action, resource: Resource<'_>) -> String {
    match (resource, action) {
        // Clients that push look first; one token serves for both.
        (Resource::Repository(name), Action::Push) => format!("repository:{name}:pull,push"),
        (Resource::Repository(name), action) => format!("repository:{name}:{}", action.as_str()),
        (Resource::Registry, Action::Pull) => "registry:catalog:*".to_owned(),
        (Resource::Registry, _) => "registry:operation:*".to_owned(),
    }
}
