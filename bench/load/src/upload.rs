//! Large uploads: several distinct blobs at the same time, each as a client
//! sends it that doesn't split it: `POST`, then `PUT` with the bytes.

use std::{
    net::SocketAddr,
    sync::{Arc, Barrier},
    thread,
    time::Instant,
};

use crate::{
    Error, Result,
    content::{Family, fresh_seed},
    fetch::{Report, cpu_seconds},
    images::upload_path,
    wire::{self, Connection},
};

/// What is uploaded.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub server: SocketAddr,
    /// The value of `Authorization`, if the server wants one.
    pub authorization: Option<String>,
    /// The repository that gets the blobs.
    pub repository: String,
    /// Bytes of each blob: a multiple of 1 MiB.
    pub size: u64,
    /// Blobs at the same time.
    pub blobs: usize,
    /// Bytes that the client hands to its socket at once.
    pub piece: usize,
    /// The server's process.
    pub process: Option<u32>,
    /// Where the blobs come from; without it, from a seed that no run had.
    pub seed: Option<u64>,
}

/// Uploads the blobs, and answers how quick it was and their digests.
pub fn run(options: &Options) -> Result<(Report, Vec<String>)> {
    let family = Arc::new(Family::new(options.size));
    let start = Arc::new(Barrier::new(options.blobs + 1));
    let seed = options.seed.unwrap_or_else(fresh_seed);
    let threads: Vec<_> = (0..options.blobs)
        .map(|index| {
            let (family, start) = (Arc::clone(&family), Arc::clone(&start));
            let options = options.clone();
            let large = family.member(seed.wrapping_add(index as u64));
            thread::spawn(move || -> Result<String> {
                let connection = Connection::open(options.server, options.authorization.clone());
                start.wait();
                let mut connection = connection?;
                let path = upload_path(&mut connection, &options.repository, &large.digest)?;
                let answer = connection.send(
                    ("PUT", &path),
                    Some("application/octet-stream"),
                    family.size(),
                    family
                        .blocks(&large)
                        .flat_map(|block| block.chunks(options.piece.max(1))),
                )?;
                if answer.status != 201 {
                    return Err(wire::refused("PUT", &path, &answer));
                }
                Ok(large.digest)
            })
        })
        .collect();
    let cpu_before = cpu_seconds(options.process)?;
    start.wait();
    let started = Instant::now();
    let digests = threads
        .into_iter()
        .map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Error::Usage("an upload's thread panicked".to_owned())))
        })
        .collect::<Result<Vec<String>>>()?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = cpu_seconds(options.process)? - cpu_before;
    let bytes = family.size() * options.blobs as u64;
    Ok((Report::of(bytes, seconds, cpu), digests))
}
