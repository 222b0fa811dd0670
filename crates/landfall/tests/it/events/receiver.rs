//! A receiver of webhooks: HTTP by hand, so that it can be slow and late.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(Default)]
struct Inner {
    /// The events that were answered with 200.
    taken: Mutex<Vec<Value>>,
    /// Requests that have come, answered or not.
    begun: AtomicUsize,
    /// Whether no request is answered.
    is_silent: AtomicBool,
}

/// A receiver on a free port.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) url: String,
    inner: Arc<Inner>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let inner = Arc::new(Inner::default());
        let shared = Arc::clone(&inner);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let inner = Arc::clone(&shared);
                tokio::spawn(async move {
                    let mut stream = stream;
                    while inner.answer(&mut stream).await.is_some() {}
                });
            }
        });
        Self { url, inner }
    }

    pub(super) fn set_silent(&self, is_silent: bool) {
        self.inner.is_silent.store(is_silent, Ordering::SeqCst);
    }

    pub(super) fn begun(&self) -> usize {
        self.inner.begun.load(Ordering::SeqCst)
    }

    pub(super) fn taken(&self) -> Vec<Value> {
        let taken = self.inner.taken.lock();
        taken.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Inner {
    /// Reads a request and answers it; `None` when there are no more.
    async fn answer(&self, stream: &mut TcpStream) -> Option<()> {
        let mut read = Vec::new();
        let head = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            stream
                .read_buf(&mut read)
                .await
                .ok()
                .filter(|count| *count > 0)?;
        };
        let text = String::from_utf8_lossy(&read[..head]).to_lowercase();
        let length = text.split("content-length:").nth(1)?;
        let length: usize = length.split("\r\n").next()?.trim().parse().ok()?;
        while read.len() < head + length {
            stream
                .read_buf(&mut read)
                .await
                .ok()
                .filter(|count| *count > 0)?;
        }
        self.begun.fetch_add(1, Ordering::SeqCst);
        let is_silent = || self.is_silent.load(Ordering::SeqCst);
        if is_silent() {
            // Whoever waits for this is killed.
            tokio::time::sleep(Duration::from_mins(10)).await;
        }
        let event = serde_json::from_slice(&read[head..]).expect("JSON");
        let taken = self.taken.lock();
        taken.unwrap_or_else(PoisonError::into_inner).push(event);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.ok()
    }
}
