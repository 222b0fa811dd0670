//! `/v2/`: the OCI distribution API 1.1, whole.
//!
//! A request is parsed into a [`Route`] first; then its method chooses an
//! endpoint, the caller is asked for the right, and one act of the registry is
//! done. The files are named for the resources of the specification.

mod blobs;
mod catalog;
mod counted;
mod error;
mod manifests;
mod outlasting;
mod query;
mod referrers;
mod route;
mod tags;
pub(crate) mod token;
mod uploads;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, Method, Request, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use landfall_identity::{Action, Ask, Caller, Resource};
use landfall_ids::AccountId;
use landfall_oci::{Reference, RepositoryName};
use landfall_registry::Registry;

pub(crate) use self::error::{AWAY, RETRY_AFTER, account_gone, chain, is_away, is_away_now};
pub(crate) use self::query::holds_nul;
use self::{error::OciError, outlasting::Outlasting, query::Query, route::Route};
use crate::{
    Server,
    auth::{self, Rejection, Rows},
};

/// A request on its way to an endpoint.
struct Call {
    server: Arc<Server>,
    caller: Caller,
    parts: Parts,
    /// Where decisions are written down, if the request writes.
    rows: Option<Rows>,
}

impl Call {
    /// Asks whether the caller may do this to the repository.
    async fn allow(&self, action: Action, name: &RepositoryName) -> Result<(), OciError> {
        self.allow_on(action, Resource::Repository(name), None)
            .await
    }

    /// Asks whether the caller may do this to the tag or manifest of the
    /// repository.
    async fn allow_reference(
        &self,
        action: Action,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<(), OciError> {
        let tag = match reference {
            Reference::Tag(tag) => Some(tag.as_str()),
            Reference::Digest(_) => None,
        };
        self.allow_on(action, Resource::Repository(name), tag).await
    }

    async fn allow_on(
        &self,
        action: Action,
        resource: Resource<'_>,
        tag: Option<&str>,
    ) -> Result<(), OciError> {
        let ask = Ask {
            caller: &self.caller,
            action,
            resource,
            tag,
        };
        let asked = auth::authorize(&self.server, &ask, self.rows.as_ref()).await;
        asked.map_err(|rejection| {
            let scope = auth::scope_for(action, resource);
            OciError::rejected(&self.server, &self.parts, Some(&scope), &rejection)
        })
    }

    /// The registry, acting for the caller: what is done has its name.
    fn registry(&self) -> Registry {
        match &self.caller.principal {
            Some(principal) => self.server.registry.acting_as(&principal.login_name()),
            None => Registry::clone(&self.server.registry),
        }
    }

    /// The account that owns the repository, made if it is not there. The
    /// caller may push, or it would not come here.
    async fn account(&self, name: &RepositoryName) -> Result<AccountId, OciError> {
        let account = self.server.identity.account_ensure(name, &self.caller);
        account.await.map_err(|error| match error {
            landfall_identity::Error::NotFound { .. } => OciError::account_gone(name),
            landfall_identity::Error::Database(error) => {
                landfall_registry::Error::Database(error).into()
            }
            error => Rejection::from(error).told().into(),
        })
    }

    /// Whether the caller may read the repository. A refusal is an answer, and
    /// not the end of the request.
    async fn may_pull(&self, name: &RepositoryName) -> Result<bool, OciError> {
        let ask = Ask {
            caller: &self.caller,
            action: Action::Pull,
            resource: Resource::Repository(name),
            tag: None,
        };
        match auth::authorize(&self.server, &ask, None).await {
            Ok(()) => Ok(true),
            Err(Rejection::Refused(_)) => Ok(false),
            Err(rejection) => Err(rejection.told().into()),
        }
    }

    fn query(&self) -> Result<Query, OciError> {
        Query::of(&self.parts.uri)
    }

    fn header(&self, name: impl axum::http::header::AsHeaderName) -> Option<&str> {
        self.parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    }
}

/// Every request below `/v2/`.
///
/// A request that writes outlasts its client ([`Outlasting`]): a write shall
/// come to its own end. It sees the body break off, keeps what an upload may keep, and
/// discards the rest. It is answered when what was decided about it is in the
/// audit log.
pub(crate) async fn handle(State(server): State<Arc<Server>>, request: Request<Body>) -> Response {
    let answered = if matches!(*request.method(), Method::GET | Method::HEAD) {
        answer(server, request, None).await
    } else {
        let writing = Outlasting::new(async move {
            let rows = Rows::default();
            let answered = answer(server, request, Some(rows.clone())).await;
            let settled = rows.settle().await;
            settled.map_err(|error| OciError::from(Rejection::from(error).told()))?;
            answered
        });
        let written = writing.await;
        written.unwrap_or_else(|| Err(OciError::internal()))
    };
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    // Old clients look for it before they speak.
    response.headers_mut().insert(
        "docker-distribution-api-version",
        HeaderValue::from_static("registry/2.0"),
    );
    response
}

async fn answer(
    server: Arc<Server>,
    request: Request<Body>,
    rows: Option<Rows>,
) -> Result<Response, OciError> {
    let (parts, body) = request.into_parts();
    let caller = match auth::caller(&server, &parts).await {
        Ok(caller) => caller,
        Err(rejection) => {
            let scope = scope_of(&parts);
            return Err(OciError::rejected(
                &server,
                &parts,
                scope.as_deref(),
                &rejection,
            ));
        }
    };
    let route = Route::parse(&parts.method, parts.uri.path())?;
    let method = parts.method.clone();
    let call = Call {
        server,
        caller,
        parts,
        rows,
    };
    match (route, method) {
        (Route::Base, Method::GET | Method::HEAD) => base(&call),
        (Route::Catalog, Method::GET) => catalog::list(call).await,
        (Route::Tags(name), Method::GET) => tags::list(call, name).await,
        (Route::Referrers(name, digest), Method::GET) => referrers::list(call, name, digest).await,
        (Route::Manifest(name, reference), Method::GET | Method::HEAD) => {
            manifests::get(call, name, reference).await
        }
        (Route::Manifest(name, reference), Method::PUT) => {
            manifests::put(call, name, reference, body).await
        }
        (Route::Manifest(name, reference), Method::DELETE) => {
            manifests::delete(call, name, reference).await
        }
        (Route::Blob(name, digest), Method::GET) => blobs::get(call, name, digest).await,
        (Route::Blob(name, digest), Method::HEAD) => blobs::head(call, name, digest).await,
        (Route::Blob(name, digest), Method::DELETE) => blobs::delete(call, name, digest).await,
        (Route::Uploads(name), Method::POST) => uploads::start(call, name, body).await,
        (Route::Upload(name, id), Method::GET) => uploads::status(call, name, id).await,
        (Route::Upload(name, id), Method::PATCH) => uploads::append(call, name, id, body).await,
        (Route::Upload(name, id), Method::PUT) => uploads::finish(call, name, id, body).await,
        (Route::Upload(name, id), Method::DELETE) => uploads::cancel(call, name, id).await,
        (route, _) => Err(OciError::method_not_allowed(route.methods())),
    }
}

/// The scope that would be enough for a request, if its path is one of the API.
/// A client whose token has ended asks for the next one with it.
fn scope_of(parts: &Parts) -> Option<String> {
    let route = Route::parse(&parts.method, parts.uri.path()).ok()?;
    let action = match parts.method {
        Method::GET | Method::HEAD if !matches!(route, Route::Upload(..)) => Action::Pull,
        Method::DELETE if !matches!(route, Route::Upload(..)) => Action::Delete,
        _ => Action::Push,
    };
    match &route {
        Route::Base => None,
        Route::Catalog => Some(auth::scope_for(Action::ListCatalog, Resource::Registry)),
        Route::Tags(name)
        | Route::Manifest(name, _)
        | Route::Blob(name, _)
        | Route::Uploads(name)
        | Route::Upload(name, _)
        | Route::Referrers(name, _) => Some(auth::scope_for(action, Resource::Repository(name))),
    }
}

/// `GET /v2/`: whether the API is spoken here, and the credentials are right.
/// A client that sent none is told where to get a token, even where anybody
/// may pull: clients learn the way to the token service here and only here.
fn base(call: &Call) -> Result<Response, OciError> {
    let sent = call
        .parts
        .headers
        .contains_key(axum::http::header::AUTHORIZATION);
    if !sent {
        let rejection = Rejection::Refused(landfall_identity::Refusal::Unauthenticated);
        return Err(OciError::rejected(
            &call.server,
            &call.parts,
            None,
            &rejection,
        ));
    }
    let json = HeaderValue::from_static("application/json");
    Ok((
        StatusCode::OK,
        [(axum::http::header::CONTENT_TYPE, json)],
        "{}",
    )
        .into_response())
}
