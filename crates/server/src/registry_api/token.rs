//! `/token`: the token service that registry clients know. A password goes in,
//! a bearer token for the asked scopes comes out, reduced to what the caller
//! may do. A caller without a password gets what anybody may do.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderValue, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use landfall_identity::Scope;
use landfall_oci::ErrorCode;
use serde::Serialize;

use super::{OciError, query::Query};
use crate::{Server, auth};

/// Scopes in one request, at the most.
const MOST_SCOPES: usize = 64;

#[derive(Serialize)]
struct Granted {
    token: String,
    /// The same, under the name that OAuth 2.0 gives it.
    access_token: String,
    /// Seconds.
    expires_in: u64,
    issued_at: String,
}

pub(crate) async fn handle(State(server): State<Arc<Server>>, request: Request<Body>) -> Response {
    issue(&server, request)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

async fn issue(server: &Server, request: Request<Body>) -> Result<Response, OciError> {
    let (parts, _) = request.into_parts();
    let caller = auth::caller(&server.identity, &parts.headers)
        .await
        .map_err(|rejection| OciError::rejected(server, &parts, None, &rejection))?;
    let query = Query::of(&parts.uri)?;
    let asked: Result<Vec<Scope>, _> = query
        .all("scope")
        .flat_map(|scopes| scopes.split(' '))
        .filter(|scope| !scope.is_empty())
        .take(MOST_SCOPES)
        .map(str::parse)
        .collect();
    let asked = asked.map_err(|error: landfall_identity::InvalidScope| {
        OciError::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::Unsupported,
            error.to_string(),
        )
    })?;
    let issued = server
        .identity
        .token_issue(&caller, asked)
        .map_err(|error| {
            OciError::rejected(server, &parts, None, &auth::Rejection::Failed(error))
        })?;
    let body = Granted {
        token: issued.token.reveal().to_owned(),
        access_token: issued.token.reveal().to_owned(),
        expires_in: issued.lifetime.as_secs(),
        issued_at: issued.issued.to_string(),
    };
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((no_store, Json(body)).into_response())
}
