//! `/api/v1`: Landfall's own API.
//!
//! Resource-oriented JSON. A repository name is one percent-encoded segment.
//! Listings are cut into pages: `limit` and `last` go in, and `next` in the
//! answer is the `last` of the next page, or absent at the end. Errors are
//! problem details. Each file holds the endpoints of one resource; the OpenAPI
//! document is made from them.

mod backup;
mod caller;
mod events;
mod fsck;
mod gc;
mod images;
mod layers;
mod paging;
mod problem;
mod repositories;
mod runs;
mod store;
mod tags;
mod webhooks;

use std::sync::Arc;

use axum::{Json, Router, http::StatusCode, routing::get};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Server;

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
        .method_not_allowed_fallback(other_method)
        .route("/api/v1/openapi.json", get(|| async { Json(document) }))
        .with_state(server)
        .route("/api/v1/{*rest}", axum::routing::any(unknown))
}
