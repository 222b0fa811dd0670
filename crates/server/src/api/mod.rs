//! `/api/v1`: Landfall's own API.
//!
//! Resource-oriented JSON. A repository name is one percent-encoded segment.
//! Listings are cut into pages: `limit` and `last` go in, and `next` in the
//! answer is the `last` of the next page, or absent at the end. Errors are
//! problem details. Each file holds the endpoints of one resource; the OpenAPI
//! document is made from them.

mod accounts;
mod api_keys;
mod audit;
mod backup;
mod caller;
mod events;
mod fsck;
mod gc;
mod groups;
mod images;
mod layers;
mod oneself;
mod paging;
mod policies;
mod principals;
mod problem;
mod repositories;
mod runs;
mod signing_keys;
mod store;
mod tags;
mod tokens;
mod webhooks;
mod whole;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::Request,
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Server,
    auth::{Rejection, Rows},
};

pub(crate) use self::{fsck::FsckRunBody, gc::GarbageRunBody, runs::RunBody};
pub use crate::backup::{DESCRIPTION, Description, FORMAT, METADATA};

/// What the document says of the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Landfall",
        description = "From a build artifact to a running container. The distribution API \
                       under `/v2/` is described by the OCI distribution specification.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "repositories", description = "Repositories and what they hold"),
        (name = "tags", description = "Tags, their rules and histories"),
        (name = "images", description = "Images, their trees and histories"),
        (name = "identities", description = "Accounts, principals and groups"),
        (name = "credentials", description = "API keys, tokens, and the keys that sign them"),
        (name = "policies", description = "Who may do what"),
        (name = "audit", description = "Who did what, and who was refused"),
        (name = "events", description = "What happened, and who is told of it"),
        (name = "operation", description = "Garbage collection, checks and backups")
    ),
    modifiers(&Credentials)
)]
struct Document;

/// The two ways to say who calls.
struct Credentials;

impl utoipa::Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let components = document.components.get_or_insert_default();
        let schemes = [
            ("password", HttpAuthScheme::Basic),
            ("token", HttpAuthScheme::Bearer),
        ];
        for (name, scheme) in schemes {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
        }
    }
}

fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::with_openapi(Document::openapi()).nest(
        "/api/v1",
        OpenApiRouter::new()
            .routes(routes!(repositories::list, repositories::create))
            .routes(routes!(
                repositories::show,
                repositories::update,
                repositories::delete
            ))
            .routes(routes!(repositories::restore))
            .routes(routes!(tags::list))
            .routes(routes!(tags::list_deleted))
            .routes(routes!(tags::show, tags::create, tags::delete))
            .routes(routes!(tags::history))
            .routes(routes!(tags::undo))
            .routes(routes!(images::list))
            .routes(routes!(images::show, images::delete))
            .routes(routes!(images::history))
            .routes(routes!(images::restore))
            .routes(routes!(layers::check))
            .routes(routes!(accounts::list, accounts::create))
            .routes(routes!(accounts::show, accounts::update, accounts::delete))
            .routes(routes!(principals::list, principals::create))
            .routes(routes!(
                principals::show,
                principals::update,
                principals::delete
            ))
            .routes(routes!(principals::set_password))
            .routes(routes!(principals::revoke_tokens))
            .routes(routes!(api_keys::list, api_keys::create))
            .routes(routes!(api_keys::delete))
            .routes(routes!(api_keys::rotate))
            .routes(routes!(groups::list, groups::create))
            .routes(routes!(groups::show, groups::delete))
            .routes(routes!(groups::add, groups::remove))
            .routes(routes!(tokens::create))
            .routes(routes!(tokens::revoke))
            .routes(routes!(signing_keys::list))
            .routes(routes!(signing_keys::rotate))
            .routes(routes!(signing_keys::revoke))
            .routes(routes!(policies::list, policies::create))
            .routes(routes!(policies::show, policies::update, policies::delete))
            .routes(routes!(policies::templates))
            .routes(routes!(policies::schema))
            .routes(routes!(policies::questions::validate))
            .routes(routes!(policies::questions::explain))
            .routes(routes!(policies::questions::simulate))
            .routes(routes!(audit::list))
            .routes(routes!(audit::export))
            .routes(routes!(events::list))
            .routes(routes!(webhooks::list, webhooks::create))
            .routes(routes!(webhooks::show, webhooks::update, webhooks::delete))
            .routes(routes!(webhooks::rotate))
            .routes(routes!(webhooks::deliveries::test))
            .routes(routes!(webhooks::deliveries::list))
            .routes(routes!(webhooks::deliveries::redeliver))
            .routes(routes!(gc::list, gc::start))
            .routes(routes!(gc::show))
            .routes(routes!(fsck::list, fsck::start))
            .routes(routes!(fsck::show))
            .routes(routes!(store::show))
            .routes(routes!(backup::create)),
    )
}

/// The OpenAPI document of the API.
pub fn document() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// Every route of the API, with its document.
pub(crate) fn router(server: Arc<Server>) -> Router {
    let (router, document) = routes().split_for_parts();
    let bodies = whole::Bodies::new(Arc::clone(&server));
    let unknown = || async {
        let detail = "this path is no part of the API; see /api/v1/openapi.json".to_owned();
        problem::Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    };
    let other_method = || async {
        let detail = "this resource doesn't know the method; `Allow` tells which it knows";
        problem::Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            detail.to_owned(),
        )
    };
    router
        .layer(axum::middleware::from_fn_with_state(bodies, whole::whole))
        .layer(axum::middleware::from_fn(written_down))
        .method_not_allowed_fallback(other_method)
        .route("/api/v1/openapi.json", get(|| async { Json(document) }))
        .with_state(server)
        .route("/api/v1/{*rest}", axum::routing::any(unknown))
}

/// Answers a request that writes when what was decided about it is in the audit
/// log.
async fn written_down(mut request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let rows = Rows::default();
    request.extensions_mut().insert(rows.clone());
    let answer = next.run(request).await;
    match rows.settle().await {
        Ok(()) => answer,
        Err(error) => problem::Problem::from(Rejection::from(error).told()).into_response(),
    }
}
