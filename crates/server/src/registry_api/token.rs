//! `/token`: the token service that registry clients know. Credentials go in, a
//! bearer token for the asked scopes comes out, reduced to what the caller may
//! do. A caller without credentials gets what anybody may do.
//!
//! Clients ask in two forms: GET with credentials in the header, and the POST
//! form of OAuth 2.0 (RFC 6749) with credentials in the body. The second one
//! also takes a *refresh token*, which is an authorization token or an API key,
//! and gives one to who logs in for later (`access_type=offline`). GET gives none:
//! a client that logged in with a password would keep the token of 12 hours
//! in its place.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderValue, Method, Request, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, Limited};
use landfall_identity::{Caller, CredentialKind, Scope, Secret};
use landfall_oci::ErrorCode;
use serde::Serialize;

use super::{OciError, query::Query};
use crate::{
    Server,
    auth::{self, Rejection, Sent},
};

/// Scopes in one request, at the most.
const MOST_SCOPES: usize = 64;
/// The longest form that is read, in bytes.
const LONGEST_FORM: usize = 64 * 1024;

#[derive(Serialize)]
struct Granted {
    token: String,
    /// The same, under the name that OAuth 2.0 gives it.
    access_token: String,
    /// Seconds.
    expires_in: u64,
    issued_at: String,
    /// What the token is good for, in the answer to a form.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// `GET /token` and `POST /token`.
pub(crate) async fn handle(State(server): State<Arc<Server>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let answered = match parts.method {
        Method::GET | Method::HEAD => by_header(&server, &parts).await,
        Method::POST => by_form(&server, &parts, body).await,
        _ => Err(OciError::method_not_allowed("GET, POST")),
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// `GET /.well-known/jwks.json`: the keys that verify this registry's tokens.
pub(crate) async fn jwks(State(server): State<Arc<Server>>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    match server.identity.jwks().await {
        Ok(keys) => {
            // A new key is here five seconds before it signs.
            let fresh = HeaderValue::from_static("no-cache");
            ([(header::CACHE_CONTROL, fresh)], Json(keys)).into_response()
        }
        Err(error) => {
            OciError::rejected(&server, &parts, None, &Rejection::from(error)).into_response()
        }
    }
}

async fn by_header(server: &Server, parts: &Parts) -> Result<Response, OciError> {
    let query = Query::of(&parts.uri)?;
    let caller = auth::caller(server, parts).await;
    let caller = caller.map_err(|rejection| rejected(server, parts, &rejection))?;
    let granted = grant(server, parts, &caller, scopes(&query)?).await?;
    Ok(answer(granted))
}

async fn by_form(server: &Server, parts: &Parts, body: Body) -> Result<Response, OciError> {
    let form = read(parts, body).await?;
    let asked = scopes(&form)?;
    let sent = sent(&form)?;
    let proven = match &sent {
        Some(sent) => auth::caller_by_form(server, parts, sent).await,
        None => auth::caller(server, parts).await,
    };
    let caller = proven.map_err(|rejection| rejected(server, parts, &rejection))?;
    if matches!(sent, Some(Sent::Token(_))) && caller.credential.kind == CredentialKind::BearerToken
    {
        let rejection = Rejection::credentials("a bearer token was sent as a refresh token");
        return Err(rejected(server, parts, &rejection));
    }
    let words: Vec<String> = asked.iter().map(ToString::to_string).collect();
    let mut granted = grant(server, parts, &caller, asked).await?;
    granted.scope = Some(words.join(" "));
    let by_login = matches!(
        caller.credential.kind,
        CredentialKind::Password | CredentialKind::ApiKey
    );
    let for_later = form.get("access_type") == Some("offline")
        && form.get("grant_type") == Some("password")
        && by_login;
    if for_later {
        let issued = server.identity.authorization_token_issue(&caller, None);
        let issued = issued
            .await
            .map_err(|error| rejected(server, parts, &Rejection::from(error)))?;
        granted.refresh_token = Some(issued.token.reveal().to_owned());
    }
    Ok(answer(granted))
}

/// The credentials in a form; `None` where it says nobody.
fn sent(form: &Query) -> Result<Option<Sent>, OciError> {
    let required = |name: &str| {
        let value = form.get(name);
        value.ok_or_else(|| bad(format!("`{name}` is missing in the form")))
    };
    match required("grant_type")? {
        "password" => {
            let (name, password) = (required("username")?, required("password")?);
            if name.is_empty() && password.is_empty() {
                return Ok(None);
            }
            Ok(Some(Sent::Password(name.to_owned(), Secret::new(password))))
        }
        "refresh_token" => {
            let token = required("refresh_token")?;
            Ok(Some(Sent::Token(Secret::new(token))))
        }
        _ => Err(bad(
            "this `grant_type` is not known: it is `password` or `refresh_token`".to_owned(),
        )),
    }
}

async fn read(parts: &Parts, body: Body) -> Result<Query, OciError> {
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(bad(
            "a form is expected: `Content-Type: application/x-www-form-urlencoded`".to_owned(),
        ));
    }
    if parts.headers.contains_key(header::AUTHORIZATION) {
        return Err(bad(
            "credentials are in the header and in the form; leave one out".to_owned(),
        ));
    }
    let read = Limited::new(body, LONGEST_FORM).collect().await;
    let read = read.map_err(|_| {
        bad(format!(
            "the form can't be read; it has {LONGEST_FORM} bytes at the most"
        ))
    })?;
    let bytes = read.to_bytes();
    let text = std::str::from_utf8(&bytes).map_err(|_| bad("the form is not UTF-8".to_owned()))?;
    let form = Query::parse(text)?;
    for name in [
        "grant_type",
        "username",
        "password",
        "refresh_token",
        "access_type",
    ] {
        if form.all(name).nth(1).is_some() {
            // A proxy may have looked at one, and we at the other.
            return Err(bad(format!("`{name}` comes twice in the form")));
        }
    }
    Ok(form)
}

/// The scopes that are asked for. They come in several parameters, and several
/// in one.
fn scopes(query: &Query) -> Result<Vec<Scope>, OciError> {
    let mut asked = Vec::new();
    for scope in query.all("scope").flat_map(|scopes| scopes.split(' ')) {
        if scope.is_empty() {
            continue;
        }
        if asked.len() == MOST_SCOPES {
            return Err(bad(format!(
                "more than {MOST_SCOPES} scopes are asked for; ask for fewer at once"
            )));
        }
        let scope: Result<Scope, landfall_identity::InvalidScope> = scope.parse();
        asked.push(scope.map_err(|error| bad(error.to_string()))?);
    }
    Ok(asked)
}

async fn grant(
    server: &Server,
    parts: &Parts,
    caller: &Caller,
    asked: Vec<Scope>,
) -> Result<Granted, OciError> {
    let issued = server.identity.token_issue(caller, asked).await;
    let issued = issued.map_err(|error| match error {
        landfall_identity::Error::Invalid { message } => bad(message),
        error => rejected(server, parts, &Rejection::from(error)),
    })?;
    Ok(Granted {
        token: issued.token.reveal().to_owned(),
        access_token: issued.token.reveal().to_owned(),
        expires_in: issued.lifetime().as_secs(),
        issued_at: issued.issued.to_string(),
        scope: None,
        refresh_token: None,
    })
}

fn answer(granted: Granted) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    ([(header::CACHE_CONTROL, no_store)], Json(granted)).into_response()
}

fn rejected(server: &Server, parts: &Parts, rejection: &Rejection) -> OciError {
    OciError::rejected(server, parts, None, rejection)
}

fn bad(message: String) -> OciError {
    OciError::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message)
}
