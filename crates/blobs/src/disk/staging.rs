//! The half of a staging writer that lives on the async side: hashes frames,
//! collects them, and hands batches to the blocking pool.
//!
//! A frame is hashed where it arrives, while the processor still has it in its
//! cache: 64 KiB, the longest frame of HTTP/1, take some 35 µs, no more than
//! decrypting them would. Handing batches to a thread that hashes them was
//! tried: on few processors, waking it costs more than working beside it gains.
//!
//! One batch is written while the next is collected, and there are never more
//! than these two. So an upload holds some 2 MiB whatever the disk does, and a
//! client that sends nothing holds no thread.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use landfall_oci::Hasher;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{
    batch::{self, Batch},
    outcome,
    writer::Writer,
};
use crate::{Error, Finished, Staging, Suspended};

#[derive(Debug)]
pub(super) struct DiskStaging {
    state: State,
    /// Has seen every byte before `offset`.
    hasher: Hasher,
    batch: Batch,
    offset: u64,
}

#[derive(Debug)]
enum State {
    Idle(Box<Writer>),
    /// A batch is being written.
    Writing(JoinHandle<Result<Writer, Error>>),
    /// A write failed, and its error was returned.
    Failed,
}

const WRITING: &str = "writing an upload";

impl DiskStaging {
    pub(super) fn new(writer: Writer, hasher: Hasher, offset: u64) -> Self {
        Self {
            state: State::Idle(Box::new(writer)),
            hasher,
            batch: Batch::default(),
            offset,
        }
    }

    /// The writer, after the batch that it is writing. The state is `Failed`
    /// until the caller puts something else there.
    async fn writer(&mut self) -> Result<Box<Writer>, Error> {
        if let State::Writing(task) = &mut self.state {
            // Cancelled here, the task stays in the state.
            let written = task.await;
            self.state = State::Failed;
            return Ok(Box::new(outcome(WRITING, written)?));
        }
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Idle(writer) => Ok(writer),
            State::Writing(_) | State::Failed => Err(Error::io(
                WRITING,
                io::Error::other("an earlier write of this upload failed"),
            )),
        }
    }
}

#[async_trait]
impl Staging for DiskStaging {
    async fn append(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.offset += bytes.len() as u64;
        self.hasher.update(&bytes);
        self.batch.push(bytes);
        if self.batch.len() >= batch::FULL {
            let writer = self.writer().await?;
            // Nothing awaits from here on, so the batch can't be taken and lost.
            let frames = self.batch.take();
            self.state = State::Writing(spawn_blocking(move || writer.write(&frames)));
        }
        Ok(())
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    async fn suspend(mut self: Box<Self>) -> Result<Suspended, Error> {
        let writer = self.writer().await?;
        let frames = self.batch.take();
        let suspended = spawn_blocking(move || writer.suspend(self.hasher, &frames)).await;
        outcome(WRITING, suspended)
    }

    async fn finish(mut self: Box<Self>) -> Result<Finished, Error> {
        let writer = self.writer().await?;
        let frames = self.batch.take();
        let finished = spawn_blocking(move || writer.finish(self.hasher, &frames)).await;
        outcome(WRITING, finished)
    }
}
