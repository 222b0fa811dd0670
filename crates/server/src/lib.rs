#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod api;
mod auth;
mod backup;
mod health;
pub mod listen;
mod lists;
pub mod observe;
mod registry_api;
mod runs;
mod state;
pub mod tls;

pub use auth::{InvalidProxies, TrustedProxies};
pub use state::{Server, Settings};

use std::sync::Arc;

use axum::{Router, routing::get};

/// Every route of Landfall.
pub fn router(server: Arc<Server>) -> Router {
    let router = Router::new()
        .route(
            "/v2",
            get(registry_api::handle).fallback(registry_api::handle),
        )
        .route(
            "/v2/",
            get(registry_api::handle).fallback(registry_api::handle),
        )
        .route(
            "/v2/{*rest}",
            get(registry_api::handle).fallback(registry_api::handle),
        )
        .route("/", get(health::welcome))
        .route(
            "/token",
            get(registry_api::token::handle).fallback(registry_api::token::handle),
        )
        .route("/.well-known/jwks.json", get(registry_api::token::jwks))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(Arc::clone(&server));
    router.merge(api::router(server))
}
