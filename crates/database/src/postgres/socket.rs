//! The way to the server: TCP or a local socket, with or without TLS.
//!
//! A connection is always opened with blocking calls. The one that look-ups
//! share then becomes an asynchronous one ([`Socket::into_async`]).

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use rustix::net::sockopt;
use rustls::{ClientConnection, pki_types::ServerName};

use super::{
    fault::Fault,
    options::{Host, SslMode, Target},
    wire::Outgoing,
};

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;
/// A server whose machine has gone silent is given up after this time.
const SILENCE: Duration = Duration::from_secs(8);

enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Plain {
    fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(timeout)?;
                stream.set_write_timeout(timeout)
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(timeout)?;
                stream.set_write_timeout(timeout)
            }
        }
    }

    fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(on),
            Self::Unix(stream) => stream.set_nonblocking(on),
        }
    }
}

/// An open connection whose calls block.
pub(super) struct Socket {
    plain: Plain,
    tls: Option<Box<ClientConnection>>,
    chunk: Box<[u8]>,
}

impl Socket {
    pub(super) fn open(
        target: &Target,
        tls: Option<&Arc<rustls::ClientConfig>>,
    ) -> Result<Self, Fault> {
        let mut plain = match &target.host {
            Host::Tcp(host, port) => Plain::Tcp(dial(host, *port, target.timeout)?),
            Host::Socket(path) => Plain::Unix(UnixStream::connect(path)?),
        };
        plain.set_timeout(Some(target.timeout))?;
        let mut session = None;
        if let (Some(config), Host::Tcp(host, _)) = (tls, &target.host) {
            let mut ask = Outgoing::default();
            ask.ask_for_tls();
            plain.write_all(&ask.0)?;
            let mut answer = [0];
            plain.read_exact(&mut answer)?;
            if answer[0] == b'S' {
                let name = ServerName::try_from(host.clone())
                    .map_err(|error| Fault::Lost(error.to_string()))?;
                let made = ClientConnection::new(Arc::clone(config), name);
                let mut made = made.map_err(|error| Fault::Lost(error.to_string()))?;
                made.set_buffer_limit(None);
                made.complete_io(&mut plain)?;
                session = Some(Box::new(made));
            } else if target.ssl != SslMode::Prefer {
                return Err(Fault::Lost(
                    "the server does not speak TLS, which `sslmode` asks for".to_owned(),
                ));
            }
        }
        Ok(Self {
            plain,
            tls: session,
            chunk: vec![0; CHUNK].into_boxed_slice(),
        })
    }

    /// Whether nobody on the way can read along.
    pub(super) fn is_private(&self) -> bool {
        self.tls.is_some() || matches!(self.plain, Plain::Unix(_))
    }

    /// The handshake is over: from now on an answer may take its time.
    pub(super) fn wait_long(&self) -> io::Result<()> {
        self.plain.set_timeout(None)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.plain.write_all(bytes),
            Some(tls) => {
                let mut stream = rustls::Stream::new(tls.as_mut(), &mut self.plain);
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Waits for some bytes, and appends them.
    pub(super) fn receive(&mut self, into: &mut BytesMut) -> io::Result<()> {
        let count = match &mut self.tls {
            None => self.plain.read(&mut self.chunk)?,
            Some(tls) => {
                rustls::Stream::new(tls.as_mut(), &mut self.plain).read(&mut self.chunk)?
            }
        };
        if count == 0 {
            return Err(closed());
        }
        into.extend_from_slice(&self.chunk[..count]);
        Ok(())
    }

    /// Appends what has arrived without having been asked for, which is nothing
    /// on a connection that is well.
    pub(super) fn receive_stray(&mut self, into: &mut BytesMut) -> io::Result<()> {
        self.plain.set_nonblocking(true)?;
        // To the end: a server that dies may say a word before it hangs up.
        let stopped = loop {
            if let Err(error) = self.receive(into) {
                break error;
            }
        };
        self.plain.set_nonblocking(false)?;
        match stopped.kind() {
            io::ErrorKind::WouldBlock => Ok(()),
            _ => Err(stopped),
        }
    }

    pub(super) fn into_async(self) -> io::Result<AsyncSocket> {
        self.plain.set_nonblocking(true)?;
        let plain = match self.plain {
            Plain::Tcp(stream) => AsyncPlain::Tcp(tokio::net::TcpStream::from_std(stream)?),
            Plain::Unix(stream) => AsyncPlain::Unix(tokio::net::UnixStream::from_std(stream)?),
        };
        Ok(AsyncSocket {
            plain,
            tls: self.tls,
            chunk: self.chunk,
        })
    }
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the server closed the connection",
    )
}

fn dial(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                sockopt::set_socket_keepalive(&stream, true)?;
                sockopt::set_tcp_keepidle(&stream, SILENCE / 2)?;
                sockopt::set_tcp_keepintvl(&stream, SILENCE / 4)?;
                sockopt::set_tcp_keepcnt(&stream, 2)?;
                sockopt::set_tcp_user_timeout(&stream, SILENCE.as_millis() as u32)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

enum AsyncPlain {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

impl AsyncPlain {
    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable().await,
            Self::Unix(stream) => stream.writable().await,
        }
    }
}

impl Read for &AsyncPlain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            AsyncPlain::Tcp(stream) => stream.try_read(buffer),
            AsyncPlain::Unix(stream) => stream.try_read(buffer),
        }
    }
}

impl Write for &AsyncPlain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            AsyncPlain::Tcp(stream) => stream.try_write(bytes),
            AsyncPlain::Unix(stream) => stream.try_write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An open connection whose calls wait without a thread.
pub(super) struct AsyncSocket {
    plain: AsyncPlain,
    tls: Option<Box<ClientConnection>>,
    chunk: Box<[u8]>,
}

impl AsyncSocket {
    pub(super) async fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(bytes)?;
            bytes = &[];
        }
        loop {
            let more = match &self.tls {
                Some(tls) => tls.wants_write(),
                None => !bytes.is_empty(),
            };
            if !more {
                return Ok(());
            }
            let written = match &mut self.tls {
                Some(tls) => tls.write_tls(&mut &self.plain),
                None => (&self.plain).write(bytes),
            };
            match written {
                Ok(count) if self.tls.is_none() => bytes = &bytes[count..],
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.plain.writable().await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for some bytes, and appends them.
    pub(super) async fn receive(&mut self, into: &mut BytesMut) -> io::Result<()> {
        loop {
            let read = match &mut self.tls {
                Some(tls) => tls.reader().read(&mut self.chunk),
                None => (&self.plain).read(&mut self.chunk),
            };
            match read {
                Ok(0) => return Err(closed()),
                Ok(count) => {
                    into.extend_from_slice(&self.chunk[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if let Some(tls) = &mut self.tls {
                match tls.read_tls(&mut &self.plain) {
                    Ok(0) => return Err(closed()),
                    Ok(_) => {
                        tls.process_new_packets().map_err(io::Error::other)?;
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            self.plain.readable().await?;
        }
    }
}
