//! Files that the kernel sends, below hyper.
//!
//! hyper writes memory. To send a file without copying it through memory, an
//! answer hands hyper *stand-ins*: [`Bytes`] of the right length that nobody
//! ever reads. The socket of the connection (`guard`) knows them by their
//! address, and calls sendfile(2) for the file they stand for, instead of
//! writing them. Framing, keep-alive, pipelining and the layers between stay
//! what they are, because to all of them these are bytes like any others.
//!
//! # Why it can't send the wrong bytes
//!
//! - Stand-ins are slices of one region of ordinary, zeroed memory, which no
//!   page is ever mapped for because nobody touches it. So there is no `unsafe`
//!   and no fault when somebody does touch it.
//! - Parts go out in the order in which they were lent, each with an address of
//!   its own in the region: the address that hyper gives to the socket must be
//!   exactly that of the next unsent byte of the oldest part.
//! - Whoever copies a stand-in (a layer that compresses, a hyper that flattens)
//!   drops it before the copy reaches the socket. A stand-in that is dropped
//!   before all of its part was sent breaks the lane, and a broken lane fails
//!   the next write. So the connection ends before a zero leaves.
//! - A file that ends early ends the connection, as a body that ends early
//!   does. The client sees a short answer, never a wrong one.
//!
//! Only plain HTTP/1 connections have a lane: TLS must read what it encrypts,
//! and HTTP/2 cuts answers into frames.

use std::{
    collections::VecDeque,
    fmt,
    fs::File,
    io::{self, IoSlice},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use rustix::{fd::AsFd, io::Errno};

/// The longest part of a file that is lent at once, in bytes.
const LONGEST: usize = 1 << 20;

/// How many parts have an address of their own. hyper asks for the next one
/// when the last has left, so two are in use.
const SLOTS: usize = 64;

/// The memory of all stand-ins: reserved and never touched. It is long enough
/// that every allocator asks the kernel for fresh pages.
static REGION: LazyLock<Box<[u8]>> = LazyLock::new(|| vec![0; SLOTS * LONGEST].into_boxed_slice());

/// Where an answer on this connection can lend files to be sent by the kernel.
/// A request that came over a connection that can carries one as an extension.
#[derive(Clone)]
pub struct FileLane(Arc<Lane>);

impl FileLane {
    /// The longest part that can be lent, in bytes.
    pub const LONGEST: usize = LONGEST;

    pub(super) fn new() -> Self {
        Self(Arc::new(Lane {
            state: Mutex::new(State {
                parts: VecDeque::new(),
                lent: 0,
                broken: false,
            }),
        }))
    }

    /// Bytes that stand for `length` bytes of `file` from `offset` on. They
    /// must become the next bytes of the answer that is being sent, untouched.
    ///
    /// The file must not change, and should be in the page cache, because
    /// whoever sends it waits for what is not. A part that is longer than
    /// [`FileLane::LONGEST`] ends the connection.
    pub fn lend(&self, file: Arc<File>, offset: u64, length: usize) -> Bytes {
        let mut state = self.0.lock();
        let number = state.lent;
        state.lent += 1;
        if length > LONGEST || state.parts.len() == SLOTS {
            state.broken = true;
        }
        state.parts.push_back(Part {
            file,
            offset,
            number,
            length,
            sent: 0,
        });
        drop(state);
        Bytes::from_owner(StandIn {
            lane: Arc::clone(&self.0),
            number,
            length,
        })
    }

    /// What the next write has to do.
    pub(super) fn next(&self, slices: &[IoSlice<'_>]) -> io::Result<Next> {
        let found = slices
            .iter()
            .enumerate()
            .find_map(|(index, slice)| stands_in(slice).map(|address| (index, address)));
        let state = self.0.lock();
        if state.broken {
            return Err(io::Error::other(
                "a part of a file was lost on its way to the socket",
            ));
        }
        let address = match found {
            None => return Ok(Next::Memory),
            Some((0, address)) => address,
            Some(_) => return Ok(Next::Before),
        };
        let wanted = slices.first().map_or(0, |slice| slice.len());
        match state.parts.front() {
            Some(part) if part.address() == address && wanted <= part.length - part.sent => {
                Ok(Next::File {
                    file: Arc::clone(&part.file),
                    offset: part.offset + part.sent as u64,
                    length: wanted,
                })
            }
            _ => Err(io::Error::other("parts of files are out of order")),
        }
    }

    /// So many bytes of the oldest part have left.
    pub(super) fn sent(&self, count: usize) {
        let mut state = self.0.lock();
        let Some(part) = state.parts.front_mut() else {
            return;
        };
        part.sent += count;
        let done = if part.sent >= part.length {
            state.parts.pop_front()
        } else {
            None
        };
        // Closing a file can take its time: not under the lock.
        drop(state);
        drop(done);
    }
}

impl fmt::Debug for FileLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileLane").finish_non_exhaustive()
    }
}

/// What a write is about.
#[derive(Debug)]
pub(super) enum Next {
    /// Bytes in memory and nothing else.
    Memory,
    /// Memory first, and a file somewhere behind it.
    Before,
    /// Bytes of a file.
    File {
        file: Arc<File>,
        offset: u64,
        length: usize,
    },
}

/// The parts of one connection. A std mutex: the answer takes it to lend, the
/// socket to look and to count, a stand-in when it drops; none awaits with it.
struct Lane {
    state: Mutex<State>,
}

struct State {
    /// Lent and not yet sent, oldest first.
    parts: VecDeque<Part>,
    /// How many were lent so far.
    lent: u64,
    /// Nothing may be written any more.
    broken: bool,
}

struct Part {
    file: Arc<File>,
    offset: u64,
    number: u64,
    length: usize,
    sent: usize,
}

impl Part {
    /// Where in the region the next unsent byte lies.
    fn address(&self) -> usize {
        slot(self.number) + self.sent
    }
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where in the region the part with this number begins.
fn slot(number: u64) -> usize {
    (number % SLOTS as u64) as usize * LONGEST
}

/// Where in the region these bytes lie, if they do.
fn stands_in(bytes: &[u8]) -> Option<usize> {
    let at = bytes
        .as_ptr()
        .addr()
        .checked_sub(REGION.as_ptr().addr())
        .filter(|at| *at < REGION.len())?;
    (!bytes.is_empty()).then_some(at)
}

/// The owner of the bytes that stand for a part.
struct StandIn {
    lane: Arc<Lane>,
    number: u64,
    length: usize,
}

impl AsRef<[u8]> for StandIn {
    fn as_ref(&self) -> &[u8] {
        let start = slot(self.number);
        &REGION[start..start + self.length.min(LONGEST)]
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let mut state = self.lane.lock();
        let mut lost = Vec::new();
        if state.parts.iter().any(|part| part.number == self.number) {
            state.broken = true;
            lost.extend(state.parts.drain(..));
        }
        drop(state);
        drop(lost);
    }
}

/// Sends bytes of `file` to a socket that does not block. `Ok(0)` means that
/// the file has ended.
pub(super) fn send(
    socket: impl AsFd,
    file: &File,
    offset: u64,
    length: usize,
) -> io::Result<usize> {
    loop {
        let mut at = offset;
        match rustix::fs::sendfile(&socket, file, Some(&mut at), length) {
            Err(Errno::INTR) => {}
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return send_copy(&socket, file, offset, length);
            }
            sent => return Ok(sent?),
        }
    }
}

/// The same for a file system that can't do it: reads and writes.
fn send_copy(socket: impl AsFd, file: &File, offset: u64, length: usize) -> io::Result<usize> {
    let mut buffer = [0; 16 << 10];
    let space = length.min(buffer.len());
    let read = std::os::unix::fs::FileExt::read_at(file, &mut buffer[..space], offset)?;
    if read == 0 {
        return Ok(0);
    }
    Ok(rustix::io::write(socket, &buffer[..read])?)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixStream,
    };

    use super::*;

    fn file() -> Arc<File> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"0123456789").expect("written");
        Arc::new(file)
    }

    fn is_broken(lane: &FileLane) -> bool {
        lane.next(&[IoSlice::new(b"x")]).is_err()
    }

    #[test]
    fn parts_are_known_by_the_address_of_their_next_byte() {
        let lane = FileLane::new();
        let first = lane.lend(file(), 2, 5);
        let second = lane.lend(file(), 0, 3);
        let head = IoSlice::new(b"head");
        let next = lane.next(&[head, IoSlice::new(&first)]);
        assert!(matches!(next, Ok(Next::Before)), "{next:?}");
        assert!(lane.next(&[IoSlice::new(&second)]).is_err(), "not its turn");
        lane.sent(2);
        assert!(lane.next(&[IoSlice::new(&first)]).is_err(), "sent before");
        let next = lane.next(&[IoSlice::new(&first[2..]), IoSlice::new(&second)]);
        let expected = matches!(
            next,
            Ok(Next::File {
                offset: 4,
                length: 3,
                ..
            })
        );
        assert!(expected, "{next:?}");
        lane.sent(3);
        let next = lane.next(&[IoSlice::new(&second)]);
        assert!(matches!(
            next,
            Ok(Next::File {
                offset: 0,
                length: 3,
                ..
            })
        ));
    }

    #[test]
    fn a_part_that_is_dropped_unsent_breaks_the_lane_and_closes_its_file() {
        let (lane, file) = (FileLane::new(), file());
        drop(lane.lend(Arc::clone(&file), 0, 5));
        assert!(is_broken(&lane));
        assert_eq!(Arc::strong_count(&file), 1);
        let lane = FileLane::new();
        let lent = lane.lend(file, 0, 5);
        lane.sent(5);
        drop(lent);
        assert!(!is_broken(&lane));
    }

    #[test]
    fn more_parts_than_have_an_address_break_the_lane() {
        let lane = FileLane::new();
        let mut lent: Vec<_> = (0..SLOTS).map(|_| lane.lend(file(), 0, 5)).collect();
        assert!(!is_broken(&lane));
        lent.push(lane.lend(file(), 0, 5));
        assert!(is_broken(&lane));
    }

    #[test]
    fn a_file_system_without_sendfile_is_read() {
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        assert_eq!(send_copy(&theirs, &file(), 2, 5).expect("sent"), 5);
        assert_eq!(send_copy(&theirs, &file(), 10, 5).expect("the end"), 0);
        drop(theirs);
        let mut received = String::new();
        ours.read_to_string(&mut received).expect("text");
        assert_eq!(received, "23456");
    }
}
