//! Point look-ups that share connections.
//!
//! # Overview
//!
//! A look-up is one statement that answers at most one row. Many are asked for
//! at once, and each alone would cost a way to the server and back, and wake
//! both sides for it. So a **lane** collects what comes while its connection is
//! busy, and sends all of it as one batch with one end mark; the server answers
//! all of it at once. With nobody else around, a look-up is a batch of its own
//! and waits for nothing.
//!
//! # Consistency
//!
//! Each statement of a batch takes its own snapshot when it runs, after it was
//! asked for; so a look-up that begins after a write was answered sees that
//! write.
//!
//! # Failure
//!
//! The server skips what follows a statement that fails, up to the end mark.
//! The failed look-up answers with its error, and those that were skipped go
//! into the next batch. If the connection breaks, look-ups that wait for an
//! answer are asked once more on a new one.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::BytesMut;
use tokio::sync::{Notify, oneshot};

use super::{
    connection::{Connector, Prepared},
    fault::{Fault, Rerun},
    socket::AsyncSocket,
    wire::{self, Message, Outgoing, RawRow},
};
use crate::{Error, Result, ToValue, ValueKind};

/// Connections that look-ups share.
const LANES: usize = 2;
/// Look-ups in one batch, at the most.
const BATCH: usize = 256;
/// How often a look-up is asked when connections break.
const TRIES: u32 = 2;

/// The answer to a look-up: a row, or none.
pub(super) type Found = Result<Option<RawRow>>;

/// A look-up that waits.
struct LookUp {
    sql: &'static str,
    kinds: Vec<ValueKind>,
    values: Vec<u8>,
    answer: oneshot::Sender<Found>,
    tries: u32,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<LookUp>,
    /// Whether a task serves this lane.
    served: bool,
}

struct Lane {
    // A std mutex: held for a push or a drain.
    queue: Mutex<Queue>,
    bell: Notify,
    connector: Arc<Connector>,
}

/// The lanes of a database.
pub(super) struct LookUps {
    lanes: Vec<Arc<Lane>>,
    next: AtomicUsize,
}

impl LookUps {
    pub(super) fn new(connector: &Arc<Connector>) -> Self {
        let lane = || Lane {
            queue: Mutex::default(),
            bell: Notify::new(),
            connector: Arc::clone(connector),
        };
        Self {
            lanes: (0..LANES).map(|_| Arc::new(lane())).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Asks for a row. The runtime that calls first serves the lane.
    pub(super) fn ask(
        &self,
        sql: &'static str,
        params: &[&dyn ToValue],
    ) -> oneshot::Receiver<Found> {
        let (answer, receiver) = oneshot::channel();
        let lookup = LookUp {
            sql,
            kinds: params.iter().copied().map(ToValue::kind).collect(),
            values: wire::encode(params),
            answer,
            tries: 0,
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let lane = &self.lanes[number % self.lanes.len()];
        let mut queue = lock(&lane.queue);
        if !queue.served {
            // Outside of a runtime there is nobody who could wait either.
            let Ok(runtime) = tokio::runtime::Handle::try_current() else {
                return receiver;
            };
            queue.served = true;
            runtime.spawn(serve(Server(Arc::clone(lane))));
        }
        queue.waiting.push_back(lookup);
        drop(queue);
        lane.bell.notify_one();
        receiver
    }
}

impl Drop for LookUps {
    fn drop(&mut self) {
        for lane in &self.lanes {
            // The task sees that it is the last who knows the lane.
            lane.bell.notify_one();
        }
    }
}

/// A poisoned queue is still a queue: nothing in it can be half done.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to serve a lane. When the runtime drops the task, what waits is
/// told, and the next look-up starts another.
struct Server(Arc<Lane>);

impl Drop for Server {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        queue.served = false;
        queue.waiting.clear();
    }
}

async fn serve(server: Server) {
    let lane = &server.0;
    let mut channel: Option<Channel> = None;
    loop {
        let mut batch = {
            let mut queue = lock(&lane.queue);
            let count = queue.waiting.len().min(BATCH);
            let batch = queue.waiting.drain(..count);
            batch
                .filter(|lookup| !lookup.answer.is_closed())
                .collect::<VecDeque<_>>()
        };
        if batch.is_empty() {
            if !lock(&lane.queue).waiting.is_empty() {
                continue;
            }
            if Arc::strong_count(lane) == 1 {
                return;
            }
            lane.bell.notified().await;
            continue;
        }
        if channel.is_none() {
            match connect(&lane.connector).await {
                Ok(opened) => channel = Some(opened),
                Err(error) => {
                    // What came meanwhile would wait as long for the same.
                    batch.append(&mut lock(&lane.queue).waiting);
                    refuse(batch, &error);
                    continue;
                }
            }
        }
        let Some(open) = &mut channel else { continue };
        if let Err(fault) = open.ask(&mut batch).await {
            channel = None;
            for lookup in &mut batch {
                lookup.tries += 1;
            }
            let (again, given_up) = batch.into_iter().partition(|each| each.tries < TRIES);
            batch = again;
            refuse(given_up, &fault.into());
        }
        // Those that were skipped, or lost their connection, come first.
        let mut queue = lock(&lane.queue);
        while let Some(lookup) = batch.pop_back() {
            queue.waiting.push_front(lookup);
        }
    }
}

/// Tells everybody the same.
fn refuse(batch: VecDeque<LookUp>, error: &Error) {
    for lookup in batch {
        let _ = lookup.answer.send(Err(error.repeated()));
    }
}

async fn connect(connector: &Arc<Connector>) -> Result<Channel> {
    let connector = Arc::clone(connector);
    let opened = tokio::task::spawn_blocking(move || connector.connect()).await;
    let connection = opened.map_err(|_| Error::Stopped)??;
    let socket = connection.into_async();
    Ok(Channel {
        socket: socket.map_err(|error| Error::from(Fault::from(error)))?,
        incoming: BytesMut::new(),
        outgoing: Outgoing::default(),
        prepared: HashMap::new(),
        named: 0,
    })
}

/// A connection that carries batches.
struct Channel {
    socket: AsyncSocket,
    incoming: BytesMut,
    outgoing: Outgoing,
    /// By the address of the statement: all of them are constants.
    prepared: HashMap<(usize, usize), Prepared>,
    named: u64,
}

impl Channel {
    /// Asks a batch. What is left in it afterwards was not answered.
    async fn ask(&mut self, batch: &mut VecDeque<LookUp>) -> Result<(), Fault> {
        self.outgoing.0.clear();
        let mut fresh: HashMap<(usize, usize), Prepared> = HashMap::new();
        for lookup in batch.iter() {
            let key = key(lookup.sql);
            let known = self.prepared.get(&key).or_else(|| fresh.get(&key));
            let name = if let Some(known) = known {
                Arc::clone(&known.name)
            } else {
                self.named += 1;
                let name: Arc<str> = format!("l{}", self.named).into();
                self.outgoing.prepare(&name, lookup.sql, &lookup.kinds);
                let prepared = Prepared {
                    name: Arc::clone(&name),
                    columns: Arc::default(),
                };
                fresh.insert(key, prepared);
                name
            };
            self.outgoing.bind("", &name, &lookup.values);
            self.outgoing.execute("", 1);
        }
        self.outgoing.sync();
        self.socket.send(&self.outgoing.0).await?;
        self.answers(batch, fresh).await
    }

    async fn answers(
        &mut self,
        batch: &mut VecDeque<LookUp>,
        mut fresh: HashMap<(usize, usize), Prepared>,
    ) -> Result<(), Fault> {
        let mut row = None;
        loop {
            let Some(message) = Message::take(&mut self.incoming).map_err(Fault::Lost)? else {
                self.socket.receive(&mut self.incoming).await?;
                continue;
            };
            match message.tag {
                b'Z' => return Ok(()),
                // A statement was prepared, and these are its columns.
                b'T' => {
                    let Some(lookup) = batch.front() else {
                        continue;
                    };
                    let key = key(lookup.sql);
                    if let Some(mut prepared) = fresh.remove(&key) {
                        prepared.columns = message.columns().map_err(Fault::Lost)?;
                        self.prepared.insert(key, prepared);
                    }
                }
                b'D' => row = Some(message.body),
                // The statement is done, or has answered the one row.
                b'C' | b's' => {
                    let Some(lookup) = batch.pop_front() else {
                        continue;
                    };
                    let prepared = self.prepared.get(&key(lookup.sql));
                    let columns = prepared.map(|prepared| Arc::clone(&prepared.columns));
                    let found = mem::take(&mut row).map(|body| RawRow {
                        columns: columns.unwrap_or_default(),
                        body,
                    });
                    let _ = lookup.answer.send(Ok(found));
                }
                b'E' => {
                    row = None;
                    let fault = Fault::Server(message.error());
                    if matches!(fault.rerun(), Some(Rerun::Lost | Rerun::Plan)) {
                        return Err(fault);
                    }
                    if let Some(lookup) = batch.pop_front() {
                        let _ = lookup.answer.send(Err(fault.into()));
                    }
                }
                _ => {}
            }
        }
    }
}

fn key(sql: &'static str) -> (usize, usize) {
    (sql.as_ptr() as usize, sql.len())
}
