//! Listeners over real sockets: what slow, silent and many clients meet.

mod client;
mod drain;
mod lane;
mod limits;
mod progress;
mod tls;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Extension, Router, body::Body, extract::State, routing};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use landfall_server::{
    listen::{BodyError, Drained, Limits, Listener, Peer},
    tls::Tls,
};
use tokio::{
    sync::{Notify, Semaphore, oneshot},
    task::JoinHandle,
};

use client::Client;

/// Far more than any of these tests takes: waiting this long is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server, and what its handlers do with the tests.
struct World {
    address: SocketAddr,
    /// `GET /held` says here that it runs.
    held: Arc<Semaphore>,
    /// `GET /held` answers when it is told here.
    release: Arc<Notify>,
    /// Answers of `GET /endless` that were dropped.
    dropped: Arc<Semaphore>,
    shutdown: Option<oneshot::Sender<()>>,
    server: JoinHandle<Drained>,
}

#[derive(Clone)]
struct Shared {
    held: Arc<Semaphore>,
    release: Arc<Notify>,
    dropped: Arc<Semaphore>,
}

/// Limits that no test meets unless it lowers them.
fn generous() -> Limits {
    Limits {
        max_connections: 1000,
        header_timeout: PATIENCE,
        idle_timeout: PATIENCE,
        progress_timeout: PATIENCE,
        drain_timeout: PATIENCE,
    }
}

impl World {
    async fn start(limits: Limits) -> Self {
        Self::start_with(limits, None).await
    }

    async fn start_with(limits: Limits, tls: Option<Tls>) -> Self {
        let listener = Listener::bind("127.0.0.1:0", tls, limits)
            .await
            .expect("a free port");
        let address = listener.local_addr();
        let shared = Shared {
            held: Arc::new(Semaphore::new(0)),
            release: Arc::new(Notify::new()),
            dropped: Arc::new(Semaphore::new(0)),
        };
        let router = router(shared.clone());
        let (shutdown, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(listener.serve(router, async {
            // A dropped sender stops the server as well.
            let _ = stopped.await;
        }));
        Self {
            address,
            held: shared.held,
            release: shared.release,
            dropped: shared.dropped,
            shutdown: Some(shutdown),
            server,
        }
    }

    async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Gives the shutdown signal.
    fn shut_down(&mut self) {
        self.shutdown.take();
    }

    async fn ended(self) -> Drained {
        within(self.server).await.expect("the server did not panic")
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", routing::get(|| async { "hello" }))
        .route(
            "/peer",
            routing::get(|Extension(peer): Extension<Peer>| async move {
                format!("{} {}", peer.address, peer.secure)
            }),
        )
        .route("/held", routing::get(held))
        .route("/upload", routing::put(upload))
        .route("/refuse", routing::put(|| async { StatusCode::FORBIDDEN }))
        .route("/endless", routing::get(endless))
        .with_state(shared)
}

async fn held(State(shared): State<Shared>) -> &'static str {
    shared.held.add_permits(1);
    shared.release.notified().await;
    "released"
}

/// Answers how many bytes it read; 408 for a client that stops.
async fn upload(body: Body) -> (StatusCode, String) {
    match body.collect().await {
        Ok(body) => (StatusCode::OK, body.to_bytes().len().to_string()),
        Err(error) if BodyError::is_stalled(&error) => {
            (StatusCode::REQUEST_TIMEOUT, error.to_string())
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    }
}

/// Zeros without an end.
async fn endless(State(shared): State<Shared>) -> Body {
    Body::new(Endless(shared.dropped))
}

struct Endless(Arc<Semaphore>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];
        let data = Bytes::from_static(&ZEROS);
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(data))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// Waits for something that must happen.
async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it did not happen in time")
}

/// Waits until a semaphore has been given one more permit.
async fn signalled(semaphore: &Semaphore) {
    within(semaphore.acquire()).await.expect("open").forget();
}
