//! The layer that watches requests.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use axum::{BoxError, body::Body};
use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body::{Body as _, Frame, SizeHint};
use tower::{Layer, Service};
use tracing::{Span, debug, error, error_span, info};

use super::{
    metrics::{CLIENT_LEFT, Metrics, is_our_fault},
    request_id::RequestId,
    route::Route,
};
use crate::listen::Peer;

/// An answer up to this size is taken as handed over at once, in bytes.
const SMALL: u64 = 64 * 1024;

/// Makes [`Observe`]s: `router.layer(ObserveLayer::new(metrics))`.
#[derive(Debug, Clone)]
pub struct ObserveLayer(Metrics);

impl ObserveLayer {
    /// A layer that counts into `metrics`.
    pub const fn new(metrics: Metrics) -> Self {
        Self(metrics)
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, service: S) -> Observe<S> {
        Observe::new(self.0.clone(), service)
    }
}

/// A service with request ids, one event per request and metrics. It belongs
/// around the whole router, not in its layers: there it costs least.
#[derive(Debug, Clone)]
pub struct Observe<S> {
    metrics: Metrics,
    service: S,
}

impl<S> Observe<S> {
    /// Watches `service`.
    pub const fn new(metrics: Metrics, service: S) -> Self {
        Self { metrics, service }
    }
}

impl<S> Service<Request<Body>> for Observe<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ObserveFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let id = request
            .headers()
            .get(RequestId::HEADER)
            .and_then(RequestId::accept)
            .unwrap_or_else(RequestId::generate);
        let span = error_span!("request", id = id.as_str());
        let record = Record {
            began: Instant::now(),
            metrics: self.metrics.clone(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: Route::of(request.uri().path()),
            peer: request.extensions().get::<Peer>().copied(),
            id: id.clone(),
            status: CLIENT_LEFT,
            bytes: 0,
            complete: false,
        };
        self.metrics.request_began();
        request.extensions_mut().insert(id);
        let future = span.in_scope(|| self.service.call(request));
        ObserveFuture {
            future,
            span,
            record: Some(record),
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct ObserveFuture<F> {
    future: F,
    span: Span,
    /// Moves into the answer's body.
    record: Option<Record>,
}

impl<F> Future for ObserveFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut response = {
            let _entered = this.span.enter();
            ready!(Pin::new(&mut this.future).poll(cx))?
        };
        let Some(mut record) = this.record.take() else {
            // A future is not polled after it was ready.
            return Poll::Pending;
        };
        response
            .headers_mut()
            .insert(RequestId::HEADER, record.id.header_value());
        record.status = response.status().as_u16();
        Poll::Ready(Ok(match response.body().size_hint().exact() {
            Some(size) if size <= SMALL => {
                if record.method != Method::HEAD {
                    record.bytes = size;
                }
                record.complete = true;
                response
            }
            _ if record.method == Method::HEAD => {
                record.complete = true;
                response
            }
            _ => response.map(|body| Body::new(ObservedBody { body, record })),
        }))
    }
}

/// An answer on its way: its record is written when it is dropped.
struct ObservedBody {
    body: Body,
    record: Record,
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                this.record.bytes += length as u64;
                this.record.complete = this.body.is_end_stream();
            }
            Some(Err(error)) => {
                this.record.complete = false;
                debug!(request_id = %this.record.id, %error, "answer failed");
            }
            None => this.record.complete = true,
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What is known of a request. Counted and logged when it is dropped, however
/// the request ended.
#[derive(Debug)]
struct Record {
    began: Instant,
    metrics: Metrics,
    method: Method,
    uri: Uri,
    route: Route,
    peer: Option<Peer>,
    id: RequestId,
    status: u16,
    bytes: u64,
    complete: bool,
}

impl Drop for Record {
    fn drop(&mut self) {
        let duration = self.began.elapsed();
        self.metrics
            .request_ended(self.route, &self.method, self.status, duration, self.bytes);
        // One event, at the level that its reader cares about.
        macro_rules! event {
            ($level:ident) => {
                $level!(
                    target: "landfall::request",
                    parent: None,
                    request_id = self.id.as_str(),
                    method = self.method.as_str(),
                    path = self.uri.path(),
                    route = self.route.template(),
                    status = self.status,
                    bytes = self.bytes,
                    duration_ms = (duration.as_secs_f64() * 1e6).round() / 1e3,
                    complete = self.complete,
                    peer = self.peer.map(|peer| tracing::field::display(peer.address)),
                    "request"
                )
            };
        }
        if is_our_fault(self.status) {
            event!(error);
        } else if self.route.is_routine() {
            event!(debug);
        } else {
            event!(info);
        }
    }
}
