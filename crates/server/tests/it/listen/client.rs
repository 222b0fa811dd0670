//! A client that can stop anywhere in a request.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::within;

pub(super) struct Client {
    tcp: TcpStream,
    received: Vec<u8>,
}

/// An answer of HTTP/1.1 with a `Content-Length`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.expect("it listens");
        Self {
            tcp,
            received: Vec::new(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.tcp.local_addr().expect("connected")
    }

    pub(super) async fn send(&mut self, bytes: &str) {
        self.try_send(bytes.as_bytes()).await.expect("still open");
    }

    pub(super) async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        within(self.tcp.write_all(bytes)).await
    }

    pub(super) async fn get(&mut self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n"))
            .await;
        self.answer().await
    }

    /// The next head, with its empty line, in lower case.
    pub(super) async fn head(&mut self) -> String {
        let head_end = loop {
            let end = self
                .received
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => assert!(self.receive().await > 0, "closed before the answer"),
            }
        };
        let head: Vec<u8> = self.received.drain(..head_end).collect();
        String::from_utf8(head).expect("ASCII").to_lowercase()
    }

    pub(super) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().expect("a number"));
        while self.received.len() < length {
            assert!(self.receive().await > 0, "closed within the answer");
        }
        let body = self.received.drain(..length).collect();
        Answer {
            status: head[9..12].parse().expect("a status"),
            body: String::from_utf8(body).expect("text"),
            head,
        }
    }

    async fn receive(&mut self) -> usize {
        within(self.tcp.read_buf(&mut self.received))
            .await
            .expect("no reset")
    }

    /// How many bytes come until the server closes or resets the connection.
    pub(super) async fn rest(mut self) -> usize {
        let mut bytes = vec![0; 64 * 1024];
        let mut count = self.received.len();
        while let Ok(read) = within(self.tcp.read(&mut bytes)).await
            && read > 0
        {
            count += read;
        }
        count
    }

    /// Waits until the server has closed or reset the connection; what comes
    /// before that is thrown away.
    pub(super) async fn closed(mut self) {
        let mut bytes = vec![0; 64 * 1024];
        while matches!(within(self.tcp.read(&mut bytes)).await, Ok(read) if read > 0) {}
    }
}
