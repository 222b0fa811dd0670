//! Between hyper and the router: bodies are watched, the peer is told.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tower::Service;

use super::{
    Peer,
    activity::Activity,
    body::{RequestBody, ResponseBody, Running},
    lane::FileLane,
};

/// The service of one connection.
pub(super) struct Watched<S> {
    pub(super) service: S,
    pub(super) activity: Arc<Activity>,
    pub(super) peer: Peer,
    pub(super) lane: Option<FileLane>,
    pub(super) progress_timeout: Duration,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Watched<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    S::Future: Unpin,
    B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Infallible;
    type Future = WatchedFuture<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let pieces = request.version() == Version::HTTP_2;
        let running = Running::new(Arc::clone(&self.activity));
        let mut request = request.map(|incoming| {
            if incoming.is_end_stream() {
                self.activity.set_unread_body(false);
                return Body::empty();
            }
            let activity = Arc::clone(&self.activity);
            Body::new(RequestBody::new(incoming, activity, self.progress_timeout))
        });
        request.extensions_mut().insert(self.peer);
        if !pieces && let Some(lane) = &self.lane {
            request.extensions_mut().insert(lane.clone());
        }
        WatchedFuture {
            future: self.service.clone().call(request),
            running: Some(running),
            pieces,
        }
    }
}

/// A running request.
pub(super) struct WatchedFuture<F> {
    future: F,
    /// Moves into the response's body.
    running: Option<Running>,
    pieces: bool,
}

impl<F, B> Future for WatchedFuture<F>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
    B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Output = Result<Response<ResponseBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut response = ready!(Pin::new(&mut this.future).poll(cx))?;
        let Some(running) = this.running.take() else {
            // A future is not polled after it was ready.
            return Poll::Pending;
        };
        if !this.pieces && running.0.has_unread_body() {
            // Nobody reads the rest: the connection ends, and the client has to
            // know it before it sends the next request (RFC 9112 section 9.6).
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Poll::Ready(Ok(response.map(|body| {
            // A body that is already at its end makes nobody wait.
            if this.pieces && !body.is_end_stream() {
                ResponseBody::pieces(body, running)
            } else {
                ResponseBody::whole(body, running)
            }
        })))
    }
}
