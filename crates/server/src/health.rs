//! `/`, `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::Server;

/// Tells a person with a browser what is here.
pub(crate) async fn welcome() -> &'static str {
    "Landfall\n\nThe registry is at /v2/, the API is described at /api/v1/openapi.json.\n"
}

/// The process runs.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// Requests can be served: the metadata can be read, the blobs be written.
pub(crate) async fn ready(State(server): State<Arc<Server>>) -> Response {
    match server.registry.probe().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {error}\n"),
        )
            .into_response(),
    }
}

/// Everything that is counted, in Prometheus' text format.
pub(crate) async fn metrics(State(server): State<Arc<Server>>) -> Response {
    let format = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (format, server.metrics.render()).into_response()
}
