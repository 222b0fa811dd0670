//! The socket of a connection, watched.
//!
//! A [`Guard`] tells the connection's [`Activity`] when bytes move and when
//! they do not. At the end it lingers if it must: a client that is still
//! sending when it gets its answer (401, 413) would lose the answer to a reset,
//! so we go on reading, for a moment, until it hangs up.
//!
//! Parts of files that an answer has lent ([`lane`](super::lane)) are sent here
//! by the kernel.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::net::SendFlags;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};
use tokio_rustls::server::TlsStream;

use super::{
    activity::Activity,
    lane::{self, FileLane, Next},
};

/// How long we read on after the answer.
const LINGER: Duration = Duration::from_secs(1);

/// How many bytes of files one connection sends before the others of its thread
/// get their turn. With a fast reader the socket is never full; this is two
/// milliseconds of sending at most.
const BURST: usize = 8 << 20;

/// What an HTTP/2 client says first (RFC 9113 section 3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A TCP connection, with or without TLS.
pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

pub(super) struct Guard {
    transport: Transport,
    activity: Arc<Activity>,
    lane: FileLane,
    /// Sent of files since this connection last waited or yielded.
    burst: usize,
    /// How much of the preface has been seen; `None` when it is decided.
    preface: Option<usize>,
    linger: Linger,
}

enum Linger {
    NotYet,
    Reading(Pin<Box<Sleep>>),
    Done,
}

impl Guard {
    pub(super) fn new(transport: Transport, activity: Arc<Activity>) -> Self {
        Self {
            transport,
            activity,
            lane: FileLane::new(),
            burst: 0,
            preface: Some(0),
            linger: Linger::NotYet,
        }
    }

    /// Where answers on this connection can lend files; none with TLS.
    pub(super) fn lane(&self) -> Option<FileLane> {
        match self.transport {
            Transport::Plain(_) => Some(self.lane.clone()),
            Transport::Tls(_) => None,
        }
    }

    /// Writes memory, or has the kernel send what of a file is next.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tcp = match &mut self.transport {
            Transport::Plain(tcp) => tcp,
            Transport::Tls(tls) => return Pin::new(tls).poll_write_vectored(cx, slices),
        };
        match self.lane.next(slices)? {
            Next::Memory => Pin::new(tcp).poll_write_vectored(cx, slices),
            Next::Before => {
                // The head shall leave in one packet with the file behind it.
                let head = slices.first().map_or(&[][..], |slice| slice);
                poll_writing(tcp, cx, || {
                    Ok(rustix::net::send(&*tcp, head, SendFlags::MORE)?)
                })
            }
            Next::File {
                file,
                offset,
                length,
            } => {
                if self.burst >= BURST {
                    self.burst = 0;
                    self.activity.yields();
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let sent = poll_writing(tcp, cx, || lane::send(&*tcp, &file, offset, length));
                let Poll::Ready(sent) = sent else {
                    self.burst = 0;
                    return Poll::Pending;
                };
                let count = sent?;
                if count == 0 {
                    tracing::warn!(offset, "a file ended before the answer that sends it");
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                self.burst += count;
                self.lane.sent(count);
                Poll::Ready(Ok(count))
            }
        }
    }

    fn sniff(&mut self, bytes: &[u8]) {
        let Some(seen) = self.preface else { return };
        let expected = HTTP2_PREFACE.get(seen..).unwrap_or_default();
        let length = expected.len().min(bytes.len());
        if bytes.get(..length) != expected.get(..length) {
            self.preface = None;
        } else if length == expected.len() {
            self.preface = None;
            self.activity.is_http2();
        } else {
            self.preface = Some(seen + length);
        }
    }

    /// Reads and forgets until the client hangs up or [`LINGER`] is over.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.linger {
                Linger::Done => return Poll::Ready(()),
                Linger::NotYet => {
                    self.linger = if self.activity.should_linger() {
                        Linger::Reading(Box::pin(sleep(LINGER)))
                    } else {
                        Linger::Done
                    };
                }
                Linger::Reading(end) => {
                    let mut bytes = [std::mem::MaybeUninit::uninit(); 8192];
                    let mut buffer = ReadBuf::uninit(&mut bytes);
                    let read = match &mut self.transport {
                        Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, &mut buffer),
                        Transport::Tls(tls) => Pin::new(tls).poll_read(cx, &mut buffer),
                    };
                    match read {
                        Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                            if end.is_elapsed() {
                                self.linger = Linger::Done;
                            }
                        }
                        Poll::Ready(_) => self.linger = Linger::Done,
                        Poll::Pending => {
                            ready!(end.as_mut().poll(cx));
                            self.linger = Linger::Done;
                        }
                    }
                }
            }
        }
    }
}

/// Calls `write` when the socket takes bytes.
fn poll_writing(
    tcp: &TcpStream,
    cx: &mut Context<'_>,
    mut write: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(tcp.poll_write_ready(cx))?;
        match tcp.try_io(Interest::WRITABLE, &mut write) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
        }
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match &mut this.transport {
            Transport::Plain(tcp) => ready!(Pin::new(tcp).poll_read(cx, buffer))?,
            Transport::Tls(tls) => ready!(Pin::new(tls).poll_read(cx, buffer))?,
        }
        if let Some(read) = buffer.filled().get(before..)
            && !read.is_empty()
        {
            this.activity.bytes_read();
            this.sniff(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guard {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = this.poll_send(cx, slices);
        match &result {
            Poll::Pending => this.activity.write_blocked(),
            Poll::Ready(_) => this.activity.write_moved(),
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(tcp) => tcp.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = match &mut this.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(cx),
        };
        match &result {
            Poll::Pending => this.activity.write_blocked(),
            Poll::Ready(_) => this.activity.write_moved(),
        }
        result
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.linger, Linger::NotYet) {
            match &mut this.transport {
                Transport::Plain(tcp) => ready!(Pin::new(tcp).poll_shutdown(cx))?,
                Transport::Tls(tls) => ready!(Pin::new(tls).poll_shutdown(cx))?,
            }
        }
        ready!(this.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.activity.is_reset() {
            // Best effort: without it the kernel keeps the unread answer a
            // while longer.
            let _ = self.transport.tcp().set_zero_linger();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpListener};

    use super::*;
    use crate::listen::{Limits, activity::Verdict};

    async fn pair() -> (TcpStream, Guard, Arc<Activity>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let client = TcpStream::connect(address).await.expect("listening");
        let (server, _) = listener.accept().await.expect("connected");
        let activity = Arc::new(Activity::new());
        let guard = Guard::new(Transport::Plain(server), Arc::clone(&activity));
        (client, guard, activity)
    }

    fn is_in_a_head(activity: &Activity) -> bool {
        let later = tokio::time::Instant::now() + Duration::from_secs(20);
        matches!(activity.verdict(later, &Limits::default()), Verdict::Cut(_))
    }

    #[tokio::test]
    async fn a_preface_in_pieces_is_still_http_2() {
        let (mut client, mut guard, activity) = pair().await;
        let mut byte = [0];
        for (sent, part) in HTTP2_PREFACE.iter().enumerate() {
            client.write_all(&[*part]).await.expect("open");
            guard.read_exact(&mut byte).await.expect("open");
            assert_eq!(is_in_a_head(&activity), sent < 23, "after byte {sent}");
        }
    }

    #[tokio::test]
    async fn a_method_that_begins_like_the_preface_is_http_1() {
        let (mut client, mut guard, activity) = pair().await;
        client
            .write_all(b"PRIVATE / HTTP/1.1\r\n")
            .await
            .expect("open");
        let mut bytes = [0; 20];
        guard.read_exact(&mut bytes).await.expect("open");
        assert!(is_in_a_head(&activity));
        assert_eq!(guard.preface, None);
    }

    #[tokio::test]
    async fn shutdown_lingers_until_the_client_has_hung_up() {
        let (mut client, mut guard, activity) = pair().await;
        activity.set_unread_body(true);
        client.write_all(&[7; 4096]).await.expect("open");
        let server = tokio::spawn(async move { guard.shutdown().await });
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("no reset");
        assert!(!server.is_finished());
        drop(client);
        server.await.expect("no panic").expect("clean");
    }
}
