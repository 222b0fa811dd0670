//! As little HTTP/1.1 as the load needs, on blocking sockets: one request at a
//! time on a connection that stays open, bodies with a known length.

use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use rustix::net::RecvFlags;

use crate::{Error, Result};

/// The longest head that is read.
const LONGEST_HEAD: usize = 32 * 1024;
/// A server that is silent for so long has failed.
const SILENCE: Duration = Duration::from_mins(2);

/// What the first bytes of an answer say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Bytes of the head, with the empty line.
    pub length: usize,
    /// Bytes of the body.
    pub body: u64,
}

impl Head {
    /// Reads the head of an answer; `Ok(None)` if `bytes` are only its
    /// beginning. The text of an error says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if bytes.len() < LONGEST_HEAD {
                Ok(None)
            } else {
                Err("the head is too long")
            };
        };
        let length = end + 4;
        let head = &bytes[..length];
        let status = head
            .strip_prefix(b"HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok())
            .ok_or("it doesn't start with a status")?;
        let body = match header(head, "content-length") {
            Some(text) => text.parse().map_err(|_| "its length is no number")?,
            None if header(head, "transfer-encoding").is_some() => {
                return Err("its body has no stated length");
            }
            None => 0,
        };
        Ok(Some(Self {
            status,
            length,
            body,
        }))
    }
}

/// The value of a header of a head; `name` is lowercase.
pub fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        found
            .eq_ignore_ascii_case(name.as_bytes())
            .then(|| std::str::from_utf8(value.trim_ascii()).ok())?
    })
}

/// The path and query of a `Location`, which may be a whole URL.
pub fn path_of(location: &str) -> &str {
    match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => location,
    }
}

/// An answer with its body.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head's bytes.
    pub head: Vec<u8>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header; `name` is lowercase.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    /// The value of `Authorization`, if the server wants one.
    authorization: Option<String>,
    /// Bytes of the answer that were read.
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr, authorization: Option<String>) -> Result<Self> {
        Ok(Self {
            address,
            stream: connect(address)?,
            authorization,
            buffer: Vec::new(),
        })
    }

    /// Speaks for somebody else from now on.
    pub fn speak_as(&mut self, authorization: Option<&str>) {
        self.authorization = authorization.map(str::to_owned);
    }

    /// The text of a request's head.
    fn head(&self, method: &str, path: &str, kind: Option<&str>, length: u64) -> String {
        let line = |name: &str, value: &str| format!("{name}: {value}\r\n");
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if let Some(authorization) = &self.authorization {
            head += &line("Authorization", authorization);
        }
        if let Some(kind) = kind {
            head += &line("Content-Type", kind);
        }
        if length > 0 || !matches!(method, "GET" | "HEAD") {
            head += &line("Content-Length", &length.to_string());
        }
        head + "\r\n"
    }

    /// Sends a request with a small body, and reads the answer.
    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        kind: Option<&str>,
        body: &[u8],
    ) -> Result<Answer> {
        let head = self.head(method, path, kind, body.len() as u64);
        self.write_both(head.as_bytes(), body)?;
        self.read_answer(method, path)
    }

    /// As [`Connection::ask`], and any status but those given is an error.
    pub fn expect(
        &mut self,
        (method, path): (&str, &str),
        kind: Option<&str>,
        body: &[u8],
        statuses: &[u16],
    ) -> Result<Answer> {
        let answer = self.ask(method, path, kind, body)?;
        if statuses.contains(&answer.status) {
            return Ok(answer);
        }
        Err(refused(method, path, &answer))
    }

    /// Sends a request whose body is made of pieces, `length` bytes together.
    pub fn send<'a>(
        &mut self,
        (method, path): (&str, &str),
        kind: Option<&str>,
        length: u64,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Answer> {
        let head = self.head(method, path, kind, length);
        let write = Error::io("sending a body");
        self.stream.write_all(head.as_bytes()).map_err(&write)?;
        for piece in pieces {
            self.stream.write_all(piece).map_err(&write)?;
        }
        self.read_answer(method, path)
    }

    /// Asks for `path`, and passes the body's pieces to `visit` as they come.
    /// Answers how many bytes there were.
    pub fn receive(
        &mut self,
        path: &str,
        buffer: &mut [u8],
        mut visit: impl FnMut(&[u8]),
    ) -> Result<u64> {
        self.take_body(path, buffer, |mut stream, buffer, early| {
            if let Some(early) = early {
                visit(early);
                return Ok(0);
            }
            let count = stream.read(buffer)?;
            visit(&buffer[..count]);
            Ok(count)
        })
    }

    /// Asks for `path` and has the kernel drop the body as it comes
    /// (`MSG_TRUNC`, tcp(7)): received and acknowledged, but not copied to this
    /// process. Answers how many bytes there were.
    pub fn discard(&mut self, path: &str, buffer: &mut [u8]) -> Result<u64> {
        self.take_body(path, buffer, |stream, buffer, early| {
            if early.is_some() {
                return Ok(0);
            }
            let (_, count) = rustix::net::recv(stream, buffer, RecvFlags::TRUNC)?;
            Ok(count)
        })
    }

    /// `take` is given what came with the head first, and then takes the rest
    /// from the socket; it answers how many bytes it took.
    fn take_body(
        &mut self,
        path: &str,
        buffer: &mut [u8],
        mut take: impl FnMut(&TcpStream, &mut [u8], Option<&[u8]>) -> io::Result<usize>,
    ) -> Result<u64> {
        let head = self.head("GET", path, None, 0);
        let read = Error::io("reading a body");
        self.stream
            .write_all(head.as_bytes())
            .map_err(Error::io("asking for a body"))?;
        let head = self.read_head("GET", path)?;
        if head.status != 200 {
            let body = self.read_body(head)?;
            return Err(refused("GET", path, &body));
        }
        let early = &self.buffer[head.length..];
        take(&self.stream, buffer, Some(early)).map_err(&read)?;
        let mut left = head.body - early.len() as u64;
        self.buffer.clear();
        while left > 0 {
            let most = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            match take(&self.stream, &mut buffer[..most], None) {
                Ok(0) => return Err(wrong("GET", path, "the body ended early")),
                Ok(count) => left -= count as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(read(error)),
            }
        }
        Ok(head.body)
    }

    fn write_both(&mut self, head: &[u8], body: &[u8]) -> Result<()> {
        let write = Error::io("sending a request");
        let sent = self
            .stream
            .write_vectored(&[IoSlice::new(head), IoSlice::new(body)])
            .map_err(&write)?;
        if let Some(rest) = head.get(sent..) {
            self.stream.write_all(rest).map_err(&write)?;
            return self.stream.write_all(body).map_err(&write);
        }
        self.stream
            .write_all(&body[sent - head.len()..])
            .map_err(&write)
    }

    fn read_answer(&mut self, method: &str, path: &str) -> Result<Answer> {
        let mut head = self.read_head(method, path)?;
        if method == "HEAD" {
            head.body = 0;
        }
        self.read_body(head)
    }

    fn read_head(&mut self, method: &str, path: &str) -> Result<Head> {
        loop {
            match Head::parse(&self.buffer) {
                Ok(Some(head)) => return Ok(head),
                Ok(None) => {}
                Err(why) => return Err(wrong(method, path, why)),
            }
            if self.fill()? == 0 {
                return Err(wrong(method, path, "the connection was closed"));
            }
        }
    }

    fn read_body(&mut self, head: Head) -> Result<Answer> {
        let end = head.length + usize::try_from(head.body).unwrap_or(usize::MAX);
        while self.buffer.len() < end {
            if self.fill()? == 0 {
                return Err(wrong("GET", "", "the body ended early"));
            }
        }
        let body = self.buffer[head.length..end].to_vec();
        self.buffer.truncate(head.length);
        Ok(Answer {
            status: head.status,
            head: std::mem::take(&mut self.buffer),
            body,
        })
    }

    fn fill(&mut self) -> Result<usize> {
        let before = self.buffer.len();
        self.buffer.resize(before + 16 * 1024, 0);
        loop {
            match self.stream.read(&mut self.buffer[before..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("reading an answer")(error)),
                Ok(count) => {
                    self.buffer.truncate(before + count);
                    return Ok(count);
                }
            }
        }
    }
}

/// A socket without delays of small packets, that doesn't wait for ever.
pub(crate) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let connecting = Error::io("connecting");
    let stream = TcpStream::connect(address).map_err(&connecting)?;
    stream.set_nodelay(true).map_err(&connecting)?;
    stream
        .set_read_timeout(Some(SILENCE))
        .map_err(&connecting)?;
    stream
        .set_write_timeout(Some(SILENCE))
        .map_err(&connecting)?;
    Ok(stream)
}

/// The error for an answer that was not hoped for.
pub fn refused(method: &str, path: &str, answer: &Answer) -> Error {
    let text = String::from_utf8_lossy(&answer.body);
    Error::Refused {
        request: format!("{method} {path}"),
        status: answer.status,
        text: text.chars().take(300).collect(),
    }
}

/// The error for an answer that can't be read.
pub(crate) fn wrong(method: &str, path: &str, why: &str) -> Error {
    Error::Wrong {
        request: format!("{method} {path}"),
        why: why.to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nEtag: \"a\"\r\n\r\n{}";
        assert_eq!(Head::parse(&text[..30]), Ok(None));
        let head = Head::parse(text).unwrap().unwrap();
        assert_eq!((head.status, head.body), (200, 12));
        assert_eq!(&text[head.length..], b"{}");
        assert_eq!(header(text, "etag"), Some("\"a\""));
        assert_eq!(header(text, "age"), None);
    }

    #[test]
    fn an_answer_that_can_t_be_read_is_no_answer() {
        assert!(Head::parse(b"SMTP ready\r\n\r\n").is_err());
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").is_err());
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn a_location_is_taken_as_path_or_as_url() {
        assert_eq!(path_of("/v2/a?b=c"), "/v2/a?b=c");
        assert_eq!(path_of("http://localhost:5000/v2/a?b=c"), "/v2/a?b=c");
    }
}
