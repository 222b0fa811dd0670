//! Large downloads over TLS, by HTTP/1.1 or HTTP/2, one after the other on one
//! connection. The client is hyper on rustls, the same for every server.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Instant};

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::{Body, Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Error, Result,
    content::Hash,
    fetch::{Report, cpu_seconds},
};

/// How far an HTTP/2 server may be ahead of us, in bytes.
const WINDOW: u32 = 16 << 20;
/// The name in the servers' certificates.
const NAME: &str = "localhost";

/// What is downloaded.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub server: SocketAddr,
    /// The path of the object.
    pub path: String,
    /// HTTP/2 instead of HTTP/1.1.
    pub http2: bool,
    /// Downloads that count.
    pub downloads: u64,
    /// The digest that the object must have.
    pub digest: String,
    /// The server's process.
    pub process: Option<u32>,
}

enum Sender {
    One(http1::SendRequest<Empty<Bytes>>),
    Two(http2::SendRequest<Empty<Bytes>>),
}

/// Downloads the object, many times. `certificate` is the PEM file of the
/// certificate that the server has.
pub fn run(options: &Options, certificate: &Path) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("starting"))?;
    runtime.block_on(async {
        let mut sender = connect(options, certificate).await?;
        let mut hash = Hash::default();
        fetch(options, &mut sender, |bytes| hash.update(bytes)).await?;
        let digest = hash.finish();
        if digest != options.digest {
            return Err(wrong(options, &format!("its bytes are `{digest}`")));
        }
        let cpu_before = cpu_seconds(options.process)?;
        let started = Instant::now();
        let mut moved = 0;
        for _ in 0..options.downloads {
            moved += fetch(options, &mut sender, |_| {}).await?;
        }
        let seconds = started.elapsed().as_secs_f64();
        let cpu = cpu_seconds(options.process)? - cpu_before;
        Ok(Report::of(moved, seconds, cpu))
    })
}

async fn connect(options: &Options, certificate: &Path) -> Result<Sender> {
    let connection = handshake(options, certificate).await?;
    let version = connection.get_ref().1.protocol_version();
    if version != Some(rustls::ProtocolVersion::TLSv1_3) {
        return Err(wrong(options, "the server doesn't speak TLS 1.3"));
    }
    let io = TokioIo::new(connection);
    let refused = |error: hyper::Error| wrong(options, &error.to_string());
    if options.http2 {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(io)
            .await
            .map_err(refused)?;
        tokio::spawn(connection);
        Ok(Sender::Two(sender))
    } else {
        let (sender, connection) = http1::handshake(io).await.map_err(refused)?;
        tokio::spawn(connection);
        Ok(Sender::One(sender))
    }
}

/// Connects, and trusts that one certificate.
async fn handshake(options: &Options, certificate: &Path) -> Result<TlsStream<TcpStream>> {
    let unusable = |why: &dyn std::fmt::Display| {
        Error::Usage(format!("`{}` can't be used: {why}", certificate.display()))
    };
    let mut roots = RootCertStore::empty();
    for each in CertificateDer::pem_file_iter(certificate).map_err(|error| unusable(&error))? {
        let each = each.map_err(|error| unusable(&error))?;
        roots.add(each).map_err(|error| unusable(&error))?;
    }
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let protocol: &[u8] = if options.http2 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![protocol.to_vec()];
    let connecting = Error::io("connecting");
    let stream = TcpStream::connect(options.server)
        .await
        .map_err(&connecting)?;
    stream.set_nodelay(true).map_err(&connecting)?;
    let name = ServerName::try_from(NAME).map_err(|error| unusable(&error))?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(Error::io("the TLS handshake"))
}

async fn fetch(
    options: &Options,
    sender: &mut Sender,
    mut visit: impl FnMut(&[u8]),
) -> Result<u64> {
    let refused = |error: hyper::Error| wrong(options, &error.to_string());
    let uri = if options.http2 {
        format!("https://{NAME}{}", options.path)
    } else {
        options.path.clone()
    };
    let mut request = Request::get(uri);
    if !options.http2 {
        request = request.header("host", NAME);
    }
    let request = request
        .body(Empty::new())
        .map_err(|error| Error::Usage(error.to_string()))?;
    let answer = match sender {
        Sender::One(sender) => {
            sender.ready().await.map_err(refused)?;
            sender.send_request(request).await
        }
        Sender::Two(sender) => sender.send_request(request).await,
    }
    .map_err(refused)?;
    let status = answer.status();
    let mut body: Incoming = answer.into_body();
    if status != StatusCode::OK {
        return Err(wrong(options, &format!("its status is {status}")));
    }
    let mut moved = 0;
    let expected = body.size_hint().exact();
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.map_err(refused)?.into_data() {
            visit(&bytes);
            moved += bytes.len() as u64;
        }
    }
    if expected.is_some_and(|expected| expected != moved) {
        return Err(wrong(options, "the body ended early"));
    }
    Ok(moved)
}

fn wrong(options: &Options, why: &str) -> Error {
    crate::wire::wrong("GET", &options.path, why)
}
