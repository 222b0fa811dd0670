//! What the server says about itself: request ids, one event per request,
//! metrics.
//!
//! [`Observe`] goes around the whole router. For each request it takes or makes
//! a [`RequestId`], opens a span that carries it, and when the answer has left
//! (or was given up) counts it and writes one event, target `landfall::request`:
//!
//! | field | meaning |
//! |---|---|
//! | `request_id` | the answer's `X-Request-Id` |
//! | `method`, `path` | of the request, without its query |
//! | `route` | the route's template |
//! | `status` | of the answer; 499 if the client left before there was one |
//! | `bytes` | of the answer's body that were handed to the connection |
//! | `duration_ms` | from the request's head to the answer's last byte |
//! | `complete` | whether the whole answer was handed over |
//! | `peer` | the address that sent the request |
//!
//! Headers and queries are never logged: they carry credentials. Metrics have
//! the route, never the path: the number of label values is fixed.

mod layer;
mod metrics;
mod process;
mod request_id;
mod route;

pub use self::{
    layer::{Observe, ObserveFuture, ObserveLayer},
    metrics::{CONTENT_TYPE, Metrics, MetricsError},
    request_id::RequestId,
    route::Route,
};
