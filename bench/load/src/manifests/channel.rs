//! One connection of many that one thread drives.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use crate::{
    Error, Result,
    wire::{self, Head},
};

/// Bytes of the largest answer.
const LARGEST: usize = 64 * 1024;

/// A connection, and the request that it waits for.
#[derive(Debug)]
pub(super) struct Channel {
    stream: TcpStream,
    buffer: Box<[u8]>,
    filled: usize,
    /// The request on its way.
    pub(super) waiting: Option<Waiting>,
}

/// What came back: the request, and the answer's head unless it is a failure.
pub(super) type Received<'a> = (Waiting, Option<&'a [u8]>);

/// A request on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    /// Its index among the plan's requests.
    pub(super) request: usize,
    /// When it was due.
    pub(super) due: Instant,
    /// The move that had been acknowledged before it was sent.
    pub(super) floor: u64,
}

impl Channel {
    pub(super) fn connect(server: SocketAddr) -> Result<Self> {
        let stream = wire::connect(server)?;
        stream
            .set_nonblocking(true)
            .map_err(Error::io("connecting"))?;
        Ok(Self {
            stream,
            buffer: vec![0; LARGEST].into_boxed_slice(),
            filled: 0,
            waiting: None,
        })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends a request. It fits into an empty socket.
    pub(super) fn send(&mut self, text: &[u8], waiting: Waiting) -> Result<()> {
        self.waiting = Some(waiting);
        self.stream
            .write_all(text)
            .map_err(Error::io("sending a request"))
    }

    /// Reads what has come, and answers the head's bytes and the request when
    /// the answer is whole. `request` makes the request's text for an error.
    /// An answer of failure is an error, unless the server may `fail`: then it
    /// has no head.
    pub(super) fn receive(
        &mut self,
        request: impl Fn(usize) -> String,
        may_fail: bool,
    ) -> Result<Option<Received<'_>>> {
        let Some(waiting) = self.waiting else {
            return Err(Error::Usage(
                "a server spoke without being asked, or closed a connection".to_owned(),
            ));
        };
        let wrong = |why: &str| Error::Wrong {
            request: request(waiting.request),
            why: why.to_owned(),
        };
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Err(wrong("the connection was closed")),
            Ok(count) => self.filled += count,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(Error::io("reading an answer")(error)),
        }
        let bytes = &self.buffer[..self.filled];
        let Some(head) = Head::parse(bytes).map_err(wrong)? else {
            return Ok(None);
        };
        let end = head.length as u64 + head.body;
        if end > LARGEST as u64 {
            return Err(wrong("it is too large"));
        }
        if (self.filled as u64) < end {
            return Ok(None);
        }
        let good = head.status == 200;
        if !good && !may_fail {
            return Err(Error::Refused {
                request: request(waiting.request),
                status: head.status,
                text: String::from_utf8_lossy(&bytes[head.length..]).into_owned(),
            });
        }
        self.filled = 0;
        self.waiting = None;
        Ok(Some((waiting, good.then(|| &self.buffer[..head.length]))))
    }
}
