//! The way from a socket to a handler: accept, TLS, HTTP/1.1 and HTTP/2.
//!
//! A [`Listener`] is bound first and served later, so that its address is
//! known before the first request. Each connection is one task that polls
//! hyper's connection and, beside it, one timer (`connection`). What the timer
//! looks at is a handful of atomics (`activity`) that the socket (`guard`), the
//! request bodies and the response bodies (`body`) keep up to date.
//!
//! # What is enforced
//!
//! | what | by which setting | what happens |
//! |---|---|---|
//! | TLS handshake, request head | `header_timeout` | closed |
//! | no request for a while | `idle_timeout` | closed (HTTP/2: GOAWAY first) |
//! | the body does not move | `progress_timeout` | the handler reads a [`BodyError::Stalled`] |
//! | the answer is not read | `progress_timeout` | the stream, or the connection, is reset |
//! | too many connections, no descriptors left | `max_connections` | the one that is idle longest is closed; new ones wait in the backlog |
//! | a head of more than 64 KiB (HTTP/2: 32 KiB) | fixed | 431 |
//! | more than 128 streams on a connection | fixed | HTTP/2 refuses the stream |
//!
//! # Shutdown
//!
//! When the future given to [`Listener::serve`] resolves, the socket closes,
//! idle connections end at once, running requests have `drain_timeout` to
//! finish, and what is left then is cut off.
//!
//! # Fast paths
//!
//! What is small is answered on the thread that read the request, without a
//! hop: look-ups run inline on a connection of the thread (`database`), and a
//! cached chunk of a blob is read where the body is polled (`blobs`). What is
//! large is not copied more often than it must be:
//!
//! | answer | way of its bytes | copies by us |
//! |---|---|---|
//! | blob, plain HTTP/1 | file, lent to the kernel below hyper (`lane`) | 0 |
//! | blob, TLS or HTTP/2 | page cache to a pooled buffer of 256 KiB, then to rustls or h2 | 1 |
//! | not in the page cache | the blocking pool reads 256 KiB, the kernel reads ahead | 1 |
//! | manifest | memory, under its identity in the database | 0 |
//!
//! Measured with 2 processors for server and client, over loopback, with a
//! blob of 256 MiB. `cpu` is seconds of the server's processors for 10⁹ bytes,
//! as the operating system counts them; it stays when the machine is busy,
//! which throughput does not.
//!
//! | 8 connections, plain | cpu |
//! |---|---|
//! | docker-registry 2.8 | 0.37 |
//! | nginx 1.22, sendfile | 0.23 |
//! | pooled buffers | 0.18 |
//! | **lent to the kernel** | **0.14** |
//!
//! | 1 connection, TLS 1.3 | HTTP/1.1 | HTTP/2 |
//! |---|---|---|
//! | nginx 1.22 | 0.50 | 0.49 |
//! | **pooled buffers into rustls** | **0.19** | **0.30** |
//!
//! What made a difference, and what did not:
//!
//! - A lent part is as long as the kernel may take at once (1 MiB), and a
//!   connection yields after 8 MiB. Yielding after 2 MiB costs a tenth more
//!   with one connection, because another processor takes the task over.
//!   Parts of 256 KiB cost no less than parts of 1 MiB.
//! - Looking into the page cache before a part is lent costs 2 % with one look
//!   for each 256 KiB.
//! - With sendfile the client copies what is no longer in the processor's
//!   cache. So on one machine the throughput of one connection stays what it
//!   was, and only the processors have less to do.
//! - A manifest costs 16 µs of the server's processors, of which a quarter is
//!   the kernel's write to the socket and a seventh is SQLite's lock of its
//!   log. It was 28 µs until statements stopped being compiled again for each
//!   value (`database`, the planner's stability guarantee). Logging it as a
//!   line of its own costs 2 µs more; checking its token costs 0.2.
//!
//! - A frame of an upload wakes its handler. In a task of its own, as handlers
//!   that write were, each wake brought another thread in: 3,400 system calls
//!   for 256 MiB, a tenth of what an upload costs. Now the handler runs in the
//!   connection's task, outlasts it only when the client goes away
//!   (`registry_api::outlasting`), and a wake of a task by itself stays inside
//!   (`own_wakes`): 290 are left.
//!
//! `bench/registry` repeats the comparison with the peers.
//!
//! **Invariant**: nothing here knows what a route means.

mod accept;
mod activity;
mod body;
mod connection;
mod files;
mod guard;
mod lane;
mod own_wakes;
mod service;

use std::{io, net::SocketAddr, time::Duration};

use axum::body::Body;
use http::{Request, Response};
use tokio::net::{TcpListener, TcpSocket};
use tower::Service;

pub use body::{BodyError, RequestBody};
pub use files::{OpenFiles, raise_open_files};
pub use lane::FileLane;

use crate::tls::Tls;

/// How many connections the kernel holds for us before we accept them.
const BACKLOG: u32 = 4096;

/// The limits of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections open at the same time. Lowered to what the limit of open
    /// files leaves room for.
    pub max_connections: usize,
    /// From the first byte of a request to the end of its head; also for the
    /// whole TLS handshake.
    pub header_timeout: Duration,
    /// How long a connection may live without a request.
    pub idle_timeout: Duration,
    /// How long a client may neither send its body nor read the answer.
    pub progress_timeout: Duration,
    /// How long running requests may take after the shutdown signal.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            header_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_mins(3),
            progress_timeout: Duration::from_mins(1),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Who sent a request. Every request carries one as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the TCP connection: the client or the last proxy.
    pub address: SocketAddr,
    /// Whether the connection is TLS, so that our own URL begins with `https`.
    pub secure: bool,
}

/// Why a listener could not start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is not `HOST:PORT`, or the host has no address.
    #[error("can't listen on `{address}`: not a `HOST:PORT` this machine can resolve")]
    Address {
        /// What was asked for.
        address: String,
        /// What the resolver said, if it was asked.
        #[source]
        source: Option<io::Error>,
    },
    /// The socket could not be bound: in use, or not allowed.
    #[error("can't listen on `{address}`")]
    Bind {
        /// What was asked for, resolved.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// What became of the connections at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still busy after `drain_timeout`.
    pub cut_off: usize,
}

/// A bound socket that is not served yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    limits: Limits,
}

impl Listener {
    /// Binds `address` (`HOST:PORT`; port 0 takes a free one). With `tls`,
    /// every connection begins with a TLS handshake.
    pub async fn bind(
        address: &str,
        tls: Option<Tls>,
        limits: Limits,
    ) -> Result<Self, ListenError> {
        let unresolved = |source| ListenError::Address {
            address: address.to_owned(),
            source,
        };
        let resolved = tokio::net::lookup_host(address)
            .await
            .map_err(|error| unresolved(Some(error)))?
            .next()
            .ok_or_else(|| unresolved(None))?;
        let open = || -> io::Result<TcpListener> {
            let socket = if resolved.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            socket.set_reuseaddr(true)?;
            socket.bind(resolved)?;
            socket.listen(BACKLOG)
        };
        let bound = open().and_then(|socket| Ok((socket.local_addr()?, socket)));
        let (address, socket) = bound.map_err(|source| ListenError::Bind {
            address: resolved,
            source,
        })?;
        Ok(Self {
            socket,
            address,
            tls,
            limits,
        })
    }

    /// The address it is bound to, with the port that was really taken.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Whether connections are TLS.
    pub const fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves until `shutdown` resolves, then drains.
    ///
    /// `service` is an [`axum::Router`] or a layer around one: it must always
    /// be ready, and is cloned per request.
    pub async fn serve<S, B>(self, service: S, shutdown: impl Future<Output = ()>) -> Drained
    where
        S: Service<Request<Body>, Response = Response<B>, Error = std::convert::Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + Unpin + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        accept::serve(self, service, shutdown).await
    }
}
