//! Reads a range of an object as a stream.
//!
//! A task reads ahead of the client, some chunks at the most. If its connection
//! breaks, or stays silent, it asks for the rest of the range on another; only
//! when nothing comes for as long as the store has patience, the stream fails.

use std::{io, ops::Range, sync::Arc};

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use tokio::{
    sync::mpsc::{self, Sender},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    Shared,
    client::{Failure, Refusal},
};
use crate::{Error, Location, RangeReader};

const READING: &str = "reading a blob";

/// Chunks that may wait for the client. One is what a socket had at a time.
const AHEAD: usize = 4;

/// An object that was found.
#[derive(Debug)]
pub(super) struct ObjectReader {
    pub(super) shared: Arc<Shared>,
    pub(super) key: String,
    pub(super) location: Location,
}

impl RangeReader for ObjectReader {
    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Error>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let shared = Arc::clone(&self.shared);
        let (key, location) = (self.key.clone(), self.location.clone());
        // Ends the task when the stream is dropped.
        let mut task = JoinSet::new();
        task.spawn(async move {
            if let Err(error) = shared.pump(&key, location, range, &sender).await {
                // Nobody hears it if the stream was dropped.
                let _ = sender.send(Err(error)).await;
            }
        });
        stream::unfold((receiver, task), |(mut receiver, task)| async move {
            let chunk = receiver.recv().await?;
            Some((chunk, (receiver, task)))
        })
        .boxed()
    }
}

impl Shared {
    /// Sends the bytes of `range`; fewer if the object has no more.
    async fn pump(
        &self,
        key: &str,
        location: Location,
        range: Range<u64>,
        sender: &Sender<Result<Bytes, Error>>,
    ) -> Result<(), Error> {
        let Range { mut start, end } = range;
        let mut heard = Instant::now();
        while start < end {
            let mut response = match self.client.get_range(key, start, end).await {
                Ok(response) => response,
                Err(failure) if failure.is_missing() => return Err(Error::NotFound { location }),
                Err(Failure::Refused(Refusal { status, .. }))
                    if status == StatusCode::RANGE_NOT_SATISFIABLE =>
                {
                    return Ok(());
                }
                Err(failure) => return Err(self.client.explain(READING, failure)),
            };
            if response.status() != StatusCode::PARTIAL_CONTENT {
                let what = "the server doesn't answer a range with a range";
                return Err(Error::Refused(what.to_owned()));
            }
            let broken = loop {
                let chunk = match timeout(self.client.silence(), response.chunk()).await {
                    Ok(Ok(Some(chunk))) => chunk,
                    Ok(Ok(None)) if start < end => break io::ErrorKind::UnexpectedEof.into(),
                    Ok(Ok(None)) => return Ok(()),
                    Ok(Err(error)) => break io::Error::other(error.without_url()),
                    Err(_) => break io::ErrorKind::TimedOut.into(),
                };
                start += chunk.len() as u64;
                if sender.send(Ok(chunk)).await.is_err() {
                    return Ok(());
                }
                heard = Instant::now();
            };
            tracing::debug!(%location, start, error = %broken, "a blob is read on over another connection");
            if heard.elapsed() > self.client.patience() {
                return Err(Error::Away(broken));
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// The pause before another connection is tried.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
