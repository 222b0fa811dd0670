//! One connection, from the handshake to its end.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use http::{Request, Response};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::TcpStream,
    sync::{Notify, futures::OwnedNotified},
    task::coop,
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;
use tracing::debug;

use super::{
    Limits, Peer,
    activity::{Activity, Verdict},
    guard::{Guard, Transport},
    own_wakes::OwnWakes,
    service::Watched,
};
use crate::tls::Tls;

/// The largest HTTP/1 head, and how much of a body is buffered, in bytes.
const HTTP1_BUFFER: usize = 64 * 1024;
/// The largest HTTP/2 head, decoded, in bytes.
const HTTP2_HEAD: u32 = 32 * 1024;
const HTTP2_STREAMS: u32 = 128;
/// How much of an answer a stream holds before its client takes it, in bytes.
const HTTP2_SEND_BUFFER: usize = 256 * 1024;
/// How much of its bodies a client may send before a handler reads it; the
/// same for a stream and for the whole connection, in bytes.
const HTTP2_WINDOW: u32 = 1024 * 1024;

/// Runs the tasks of HTTP/2 streams where the drain can wait for them.
#[derive(Clone)]
pub(super) struct Tracked(pub(super) TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// What all connections of a listener share.
pub(super) struct Shared<S> {
    pub(super) service: S,
    pub(super) http: auto::Builder<Tracked>,
    pub(super) tls: Option<Tls>,
    pub(super) limits: Limits,
    /// Cancelled at the shutdown signal.
    pub(super) drain: CancellationToken,
    /// Cancelled when the time to drain is over.
    pub(super) stop: CancellationToken,
    /// Wakes the connection that has been idle longest: it makes room.
    pub(super) shed: Arc<Notify>,
}

/// The HTTP settings of all connections.
pub(super) fn http_builder(tracker: TaskTracker) -> auto::Builder<Tracked> {
    let mut builder = auto::Builder::new(Tracked(tracker));
    builder
        .http1()
        .timer(TokioTimer::new())
        // Ours tells a slow head from an idle connection.
        .header_read_timeout(None)
        // Bodies reach the socket as they are: `lane` relies on it.
        .writev(true)
        .max_buf_size(HTTP1_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HTTP2_HEAD)
        .max_concurrent_streams(HTTP2_STREAMS)
        .max_send_buf_size(HTTP2_SEND_BUFFER)
        .initial_stream_window_size(HTTP2_WINDOW)
        .initial_connection_window_size(HTTP2_WINDOW);
    builder
}

/// Serves one accepted connection. True if it ended by itself, false if the
/// end of the drain cut it off.
pub(super) async fn serve<S, B>(
    shared: &Shared<S>,
    tcp: TcpStream,
    peer: std::net::SocketAddr,
) -> bool
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + Unpin + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
    B::Error: Into<axum::BoxError>,
{
    // Answers are written whole; waiting for more would only delay them.
    let _ = tcp.set_nodelay(true);
    let activity = Arc::new(Activity::new());
    let transport = match &shared.tls {
        None => Transport::Plain(tcp),
        Some(tls) => {
            let handshake = timeout(shared.limits.header_timeout, tls.accept(tcp));
            let handshake = tokio::select! {
                handshake = handshake => handshake,
                () = shared.drain.cancelled() => return true,
            };
            match handshake {
                Ok(Ok(stream)) => {
                    if stream.get_ref().1.alpn_protocol() == Some(crate::tls::ALPN_H2) {
                        activity.is_http2();
                    }
                    Transport::Tls(Box::new(stream))
                }
                Ok(Err(error)) => {
                    debug!(%peer, %error, "TLS handshake failed");
                    return true;
                }
                Err(_) => {
                    debug!(%peer, "TLS handshake took too long");
                    return true;
                }
            }
        }
    };
    let guard = Guard::new(transport, Arc::clone(&activity));
    let service = Watched {
        service: shared.service.clone(),
        activity: Arc::clone(&activity),
        lane: guard.lane(),
        peer: Peer {
            address: peer,
            secure: shared.tls.is_some(),
        },
        progress_timeout: shared.limits.progress_timeout,
    };
    let io = TokioIo::new(guard);
    let connection = pin!(shared.http.serve_connection(io, service));
    let mut drain = pin!(shared.drain.cancelled());
    let mut stop = pin!(shared.stop.cancelled());
    let timer = pin!(sleep_until(Instant::now() + shared.limits.idle_timeout));
    let mut watch = Watch {
        connection,
        timer,
        shed: None,
        activity: &activity,
        limits: &shared.limits,
        notify: &shared.shed,
    };
    let own_wakes = OwnWakes::new();
    let mut poll = |cx: &mut Context<'_>| {
        if stop.as_mut().poll(cx).is_ready() {
            activity.reset();
            return Poll::Ready(false);
        }
        if !activity.is_closing() && drain.as_mut().poll(cx).is_ready() {
            watch.close();
        }
        watch.poll(cx, peer).map(|()| true)
    };
    let may_go_on = || !activity.take_yield() && coop::has_budget_remaining();
    std::future::poll_fn(|cx| own_wakes.poll(cx, &mut poll, may_go_on)).await
}

/// hyper's connection beside the timer that watches over it.
struct Watch<'a, C> {
    connection: Pin<&'a mut C>,
    timer: Pin<&'a mut Sleep>,
    /// There while the connection is spare: its place in the queue of those
    /// that make room.
    shed: Option<Pin<Box<OwnedNotified>>>,
    activity: &'a Activity,
    limits: &'a Limits,
    notify: &'a Arc<Notify>,
}

impl<C: Connection> Watch<'_, C> {
    fn close(&mut self) {
        self.activity.closing();
        self.connection.as_mut().graceful_shutdown();
    }

    fn poll(&mut self, cx: &mut Context<'_>, peer: std::net::SocketAddr) -> Poll<()> {
        loop {
            if let Poll::Ready(result) = self.connection.as_mut().poll(cx) {
                if let Err(error) = result {
                    debug!(%peer, %error, "connection ended early");
                }
                return Poll::Ready(());
            }
            let until = match self.activity.verdict(Instant::now(), self.limits) {
                Verdict::Wait(until) => {
                    self.shed = None;
                    until
                }
                Verdict::Spare(until) => {
                    let shed = self
                        .shed
                        .get_or_insert_with(|| Box::pin(Arc::clone(self.notify).notified_owned()));
                    if shed.as_mut().poll(cx).is_ready() {
                        self.shed = None;
                        debug!(%peer, "idle connection closed to make room");
                        self.close();
                        continue;
                    }
                    until
                }
                Verdict::Close => {
                    self.close();
                    continue;
                }
                Verdict::Cut(reason) => {
                    debug!(%peer, reason, "connection cut off");
                    self.activity.reset();
                    return Poll::Ready(());
                }
            };
            // The timer may ring early (the deadline moved on since): that
            // costs one more look, while moving it at each request would cost
            // a lock each time.
            if until < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(until);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// What [`Watch`] needs of hyper's connection, whose type has many parameters.
trait Connection: Future<Output = Result<(), axum::BoxError>> {
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<I, S, E, B> Connection for auto::Connection<'_, I, S, E>
where
    S: hyper::service::Service<Request<hyper::body::Incoming>, Response = Response<B>>,
    S::Future: 'static,
    S::Error: Into<axum::BoxError>,
    B: http_body::Body + 'static,
    B::Error: Into<axum::BoxError>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    E: auto::HttpServerConnExec<S::Future, B>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        auto::Connection::graceful_shutdown(self);
    }
}
