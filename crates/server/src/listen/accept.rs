//! The accept loop, the limit of connections, and the drain at the end.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response};
use tokio::{
    net::TcpStream,
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;
use tracing::{info, warn};

use super::{
    Drained, Listener,
    connection::{self, Shared},
    files::connections_within_limit,
};

/// How long to wait when the kernel has no descriptor or memory for us.
const BACK_OFF: Duration = Duration::from_millis(100);

/// How long to wait for room before another idle connection is closed.
const SHED_EVERY: Duration = Duration::from_millis(250);

pub(super) async fn serve<S, B>(
    listener: Listener,
    service: S,
    shutdown: impl Future<Output = ()>,
) -> Drained
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + Unpin + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
    B::Error: Into<axum::BoxError>,
{
    let Listener {
        socket,
        address,
        tls,
        limits,
    } = listener;
    let tracker = TaskTracker::new();
    let shared = Arc::new(Shared {
        service,
        http: connection::http_builder(tracker.clone()),
        tls,
        limits,
        drain: CancellationToken::new(),
        stop: CancellationToken::new(),
        shed: Arc::new(Notify::new()),
    });
    let cut_off = Arc::new(AtomicUsize::new(0));
    let most = connections_within_limit(limits.max_connections);
    if most < limits.max_connections {
        warn!(
            max_connections = most,
            wanted = limits.max_connections,
            "the limit of open files has room for fewer connections"
        );
    }
    let room = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let open = metrics::gauge!("landfall_connections");
    let mut shutdown = pin!(shutdown);
    let mut shortage = Shortage::default();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((tcp, peer)) => {
                shortage.over();
                let permit = tokio::select! {
                    permit = make_room(&room, &shared.shed) => permit,
                    () = &mut shutdown => break,
                };
                let connection = OpenConnection {
                    _permit: permit,
                    gauge: open.clone(),
                };
                connection.gauge.increment(1);
                spawn(&tracker, &shared, &cut_off, connection, tcp, peer);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                shortage.met(&error);
                shared.shed.notify_one();
                tokio::select! {
                    () = sleep(BACK_OFF) => {}
                    () = &mut shutdown => break,
                }
            }
        }
    }
    drop(socket);
    info!(%address, connections = tracker.len(), "draining");
    shared.drain.cancel();
    tracker.close();
    if timeout(limits.drain_timeout, tracker.wait()).await.is_err() {
        shared.stop.cancel();
        // The connections end at once; a handler of HTTP/2 may be in the
        // middle of something that can't be interrupted.
        let _ = timeout(Duration::from_secs(1), tracker.wait()).await;
    }
    Drained {
        cut_off: cut_off.load(Relaxed),
    }
}

/// What an open connection holds.
struct OpenConnection {
    _permit: Option<OwnedSemaphorePermit>,
    gauge: metrics::Gauge,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.gauge.decrement(1);
    }
}

fn spawn<S, B>(
    tracker: &TaskTracker,
    shared: &Arc<Shared<S>>,
    cut_off: &Arc<AtomicUsize>,
    open: OpenConnection,
    tcp: TcpStream,
    peer: SocketAddr,
) where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + Unpin + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
    B::Error: Into<axum::BoxError>,
{
    let shared = Arc::clone(shared);
    let cut_off = Arc::clone(cut_off);
    tracker.spawn(async move {
        if !connection::serve(&shared, tcp, peer).await {
            cut_off.fetch_add(1, Relaxed);
        }
        drop(open);
    });
}

/// Waits for room for one more connection, and has idle ones closed until
/// there is. `None` only if the semaphore were closed, which it never is.
async fn make_room(room: &Arc<Semaphore>, shed: &Notify) -> Option<OwnedSemaphorePermit> {
    loop {
        if let Ok(permit) = Arc::clone(room).try_acquire_owned() {
            return Some(permit);
        }
        shed.notify_one();
        if let Ok(permit) = timeout(SHED_EVERY, Arc::clone(room).acquire_owned()).await {
            return permit.ok();
        }
    }
}

/// Whether accept reports what became of a connection rather than of us
/// (accept(2), "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Says once when accept begins to fail, and once when it works again.
#[derive(Default)]
struct Shortage(bool);

impl Shortage {
    fn met(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.0, true) {
            warn!(%error, "can't accept connections for now");
        }
    }

    fn over(&mut self) {
        if std::mem::take(&mut self.0) {
            info!("accepting connections again");
        }
    }
}
