//! Large downloads over plain HTTP/1.1. Each connection has a thread that
//! receives and drops the bytes: in the kernel, so that the server is measured
//! and not the copy that a client on the same two cores makes, or into one
//! buffer, over and over, as clients do. The digest is checked before.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use serde::Serialize;

use crate::{Error, Result, account, content::Hash, wire::Connection};

/// Bytes of a connection's buffer: what fits into a core's second cache.
const BUFFER: usize = 256 * 1024;

/// What is downloaded.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub server: SocketAddr,
    /// The path of the object.
    pub path: String,
    /// Connections at the same time.
    pub connections: usize,
    /// Downloads, all connections together.
    pub downloads: u64,
    /// The digest that the object must have; it is checked in one download
    /// before anything counts, which also warms the page cache.
    pub digest: String,
    /// The server's process.
    pub process: Option<u32>,
    /// Whether this process gets a copy of the bytes.
    pub copied: bool,
}

/// How quick it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Report {
    /// Bytes of the objects that were moved.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// Bytes a second, in millions.
    pub megabytes_per_second: f64,
    /// The server's CPU seconds.
    pub server_cpu_seconds: f64,
    /// The same for each 10^9 bytes.
    pub server_cpu_seconds_per_gigabyte: f64,
}

impl Report {
    /// Puts the figures together.
    pub fn of(bytes: u64, seconds: f64, server_cpu_seconds: f64) -> Self {
        Self {
            bytes,
            seconds,
            megabytes_per_second: bytes as f64 / seconds / 1e6,
            server_cpu_seconds,
            server_cpu_seconds_per_gigabyte: server_cpu_seconds / (bytes as f64 / 1e9),
        }
    }
}

/// CPU seconds of a process that may not have been named.
pub(crate) fn cpu_seconds(process: Option<u32>) -> Result<f64> {
    process.map_or(Ok(0.0), |id| Ok(account::used(id)?.cpu_seconds))
}

/// Downloads the object, many times.
pub fn run(options: &Options) -> Result<Report> {
    check(options)?;
    let left = Arc::new(AtomicU64::new(options.downloads));
    let moved = Arc::new(AtomicU64::new(0));
    let start = Arc::new(Barrier::new(options.connections + 1));
    let threads: Vec<_> = (0..options.connections)
        .map(|_| {
            let (left, moved, start) = (Arc::clone(&left), Arc::clone(&moved), Arc::clone(&start));
            let (server, path, copied) = (options.server, options.path.clone(), options.copied);
            thread::spawn(move || -> Result<()> {
                let connection = Connection::open(server, None);
                let mut buffer = vec![0; BUFFER];
                start.wait();
                let mut connection = connection?;
                let take = |left: u64| left.checked_sub(1);
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                    .is_ok()
                {
                    let size = if copied {
                        connection.receive(&path, &mut buffer, |_| {})?
                    } else {
                        connection.discard(&path, &mut buffer)?
                    };
                    moved.fetch_add(size, Ordering::Relaxed);
                }
                Ok(())
            })
        })
        .collect();
    let cpu_before = cpu_seconds(options.process)?;
    start.wait();
    let started = Instant::now();
    for thread in threads {
        thread
            .join()
            .unwrap_or_else(|_| Err(Error::Usage("a connection's thread panicked".to_owned())))?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = cpu_seconds(options.process)? - cpu_before;
    Ok(Report::of(moved.load(Ordering::Relaxed), seconds, cpu))
}

fn check(options: &Options) -> Result<()> {
    let mut hash = Hash::default();
    let mut connection = Connection::open(options.server, None)?;
    connection.receive(&options.path, &mut vec![0; BUFFER], |bytes| {
        hash.update(bytes);
    })?;
    let digest = hash.finish();
    if digest == options.digest {
        return Ok(());
    }
    Err(Error::Wrong {
        request: format!("GET {}", options.path),
        why: format!("its bytes are `{digest}`"),
    })
}
