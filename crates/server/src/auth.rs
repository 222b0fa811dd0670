//! From a request to its caller, and from a question to its answer.
//!
//! [`caller`] tells who calls, [`authorize`] whether they may; what they hear
//! if not is told in [`refusal`].

mod lasting;
pub(crate) mod refusal;
mod rows;
mod source;

use axum::http::{HeaderValue, Uri, header, request::Parts, uri::Authority};
use base64::Engine;
use landfall_identity::{Action, Ask, AuditEvent, Caller, Refusal, Resource, Secret};

pub use self::source::{InvalidProxies, TrustedProxies};
pub(crate) use self::{lasting::Lasting, refusal::Rejection, rows::Rows};
use crate::{Server, listen::Peer, observe::RequestId};

/// The caller of a request.
pub(crate) async fn caller(server: &Server, parts: &Parts) -> Result<Caller, Rejection> {
    let mut caller = proven(server, parts).await?;
    if caller.principal.is_some() || !parts.method.is_safe() {
        let id = parts.extensions.get::<RequestId>();
        caller.request_id = id.map(ToString::to_string);
    }
    Ok(caller)
}

/// The caller that the header `Authorization` proves.
async fn proven(server: &Server, parts: &Parts) -> Result<Caller, Rejection> {
    let source = source::source(&server.settings.trusted_proxies, parts);
    let mut sent = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            // A proxy may have looked at one, and we at the other.
            return Err(Rejection::credentials("two credentials in one request"));
        }
        return Ok(Caller::anonymous(source));
    };
    let text = value
        .to_str()
        .map_err(|_| Rejection::credentials("credentials that are no text"))?;
    let unknown = || Rejection::credentials("a scheme of credentials that is not known");
    let (scheme, rest) = text.split_once(' ').ok_or_else(unknown)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(server.identity.caller_by_token(rest, source).await?);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unknown());
    }
    let (name, password) =
        basic(rest).ok_or_else(|| Rejection::credentials("no name and password in Basic"))?;
    if name.is_empty() && password.reveal().is_empty() {
        // How some clients say that they have nothing to say.
        return Ok(Caller::anonymous(source));
    }
    let proven = server.identity.caller_by_password(&name, &password, source);
    Ok(proven.await?)
}

/// Credentials in the body of a request.
pub(crate) enum Sent {
    /// A name and its password, or what stands for one.
    Password(String, Secret),
    /// A token or an API key.
    Token(Secret),
}

/// The caller that credentials in a form prove.
pub(crate) async fn caller_by_form(
    server: &Server,
    parts: &Parts,
    sent: &Sent,
) -> Result<Caller, Rejection> {
    let source = source::source(&server.settings.trusted_proxies, parts);
    let identity = &server.identity;
    let mut caller = match sent {
        Sent::Password(name, password) => {
            identity.caller_by_password(name, password, source).await?
        }
        Sent::Token(token) => identity.caller_by_token(token.reveal(), source).await?,
    };
    let id = parts.extensions.get::<RequestId>();
    caller.request_id = id.map(ToString::to_string);
    Ok(caller)
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

/// Asks whether the caller may. With `rows`, the answer is written down.
pub(crate) async fn authorize(
    server: &Server,
    ask: &Ask<'_>,
    rows: Option<&Rows>,
) -> Result<(), Rejection> {
    let decision = server.identity.authorize(ask).await?;
    // Who has not said who they are is asked to do so; that decides nothing.
    let decided = decision.outcome != Err(Refusal::Unauthenticated);
    if let Some(rows) = rows.filter(|_| decided && is_write(ask.action)) {
        let kind = ask.resource.kind().as_str();
        let name = match ask.resource {
            Resource::Registry => kind,
            resource => resource.name(),
        };
        let action = ask.action.cedar_id();
        let mut event = AuditEvent::new(ask.caller, action, kind, name);
        if let Resource::Account(account) = ask.resource {
            event = event.account(account);
        }
        if let Some(tag) = ask.tag {
            event = event.detail(format!("tag `{tag}`"));
        }
        event = event.policies(decision.policies.iter());
        if let Err(refusal) = decision.outcome {
            event = event.refused(refusal.to_string());
        }
        rows.begin(&server.identity, event);
    }
    decision.outcome.map_err(Rejection::Refused)
}

/// Whether an action changes anything.
fn is_write(action: Action) -> bool {
    !matches!(
        action,
        Action::Pull
            | Action::ReadAccount
            | Action::ReadPolicies
            | Action::ReadAudit
            | Action::ListCatalog
    )
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
        (Resource::Account(name), action) => format!("account:{name}:{}", action.as_str()),
        (Resource::Registry, Action::ListCatalog) => "registry:catalog:*".to_owned(),
        (Resource::Registry, _) => "registry:operation:*".to_owned(),
    }
}
