//! HTTP by hand, so that nothing on the way makes a wrong request right.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use base64::Engine;
use serde_json::Value;

use crate::server::{PASSWORD, Server};

/// How long a socket may stand still: the server cuts off much earlier.
const PATIENCE: Duration = Duration::from_mins(2);

/// The header that proves the administrator.
pub(super) fn authorization() -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("admin:{PASSWORD}"));
    format!("Authorization: Basic {pair}")
}

/// The head of a request by the administrator, with these header lines.
pub(super) fn head(method: &str, target: &str, lines: &[&str]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    for line in lines.iter().copied().chain([authorization().as_str()]) {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// A whole request by the administrator.
pub(super) fn request(method: &str, target: &str, lines: &[&str], body: &[u8]) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    let mut all = lines.to_vec();
    all.push(&length);
    let mut bytes = head(method, target, &all);
    bytes.extend(body);
    bytes
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The code of an error of the distribution API.
    pub(super) fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["errors"][0]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// A connection.
pub(super) struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Raw {
    pub(super) fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.host()).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Sends bytes; false if the server has hung up.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Tells the server that nothing more comes.
    pub(super) fn end(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn read_more(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.unread.extend(&bytes[..count]);
                true
            }
            Err(error) => {
                let stuck = [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind());
                assert!(!stuck, "the server neither answers nor hangs up");
                false
            }
        }
    }

    /// The next answer, to anything but HEAD; `None` if the server hangs up
    /// before it is whole.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self
                .unread
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n")
            {
                break at + 4;
            }
            if !self.read_more() {
                return None;
            }
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = String::from_utf8(head).expect("a head is text");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut answer = Answer {
            status: status.expect("a status"),
            head,
            body: Vec::new(),
        };
        let length = answer
            .header("content-length")
            .and_then(|length| length.parse().ok());
        let length: usize = length.unwrap_or_default();
        while self.unread.len() < length {
            if !self.read_more() {
                return None;
            }
        }
        answer.body = self.unread.drain(..length).collect();
        Some(answer)
    }

    /// Waits until the server has begun to say something.
    pub(super) fn until_begun(&mut self) {
        while self.unread.is_empty() && self.read_more() {}
    }

    /// Waits until the server hangs up; gives what it said before.
    pub(super) fn until_closed(&mut self) -> Vec<u8> {
        while self.read_more() {}
        std::mem::take(&mut self.unread)
    }
}

/// Sends bytes on a connection of their own, and reads the answer.
pub(super) fn exchange(server: &Server, bytes: &[u8]) -> Option<Answer> {
    let mut raw = Raw::open(server);
    raw.send(bytes);
    raw.answer()
}
