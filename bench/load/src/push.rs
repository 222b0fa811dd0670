//! Pushes of small images by clients that never rest.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    Error, Result,
    content::fresh_seed,
    fetch::cpu_seconds,
    images::Image,
    percentiles::{Latencies, Percentiles},
    wire::Connection,
};

/// Who pushes, and where to.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub server: SocketAddr,
    /// The value of `Authorization`, if the server wants one.
    pub authorization: Option<String>,
    /// The beginning of the repositories' names.
    pub prefix: String,
    /// How many repositories the pushes go to, in turn.
    pub repositories: u64,
    /// Clients at the same time.
    pub clients: usize,
    /// Pushes before anything counts.
    pub warm_up: u64,
    /// How long it counts.
    pub duration: Duration,
    /// The server's process.
    pub process: Option<u32>,
}

/// What was pushed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Report {
    /// Pushes that ended while it counted.
    pub pushes: u64,
    /// How long that was.
    pub seconds: f64,
    /// Pushes a second.
    pub pushes_per_second: f64,
    /// How long a push took.
    #[serde(flatten)]
    pub latency: Percentiles,
    /// Blobs that had to be sent again, since they were collected before their
    /// image came.
    pub sent_again: u64,
    /// The server's CPU seconds.
    pub server_cpu_seconds: f64,
}

/// Clients that push until they are told to stop.
#[derive(Debug)]
pub struct Pushers {
    done: Arc<Done>,
    threads: Vec<JoinHandle<Result<()>>>,
}

#[derive(Debug, Default)]
struct Done {
    stop: AtomicBool,
    started: AtomicU64,
    pushes: AtomicU64,
    sent_again: AtomicU64,
    /// Latencies of all pushes, in the order in which they ended.
    latencies: std::sync::Mutex<Vec<Duration>>,
}

impl Pushers {
    /// Starts them.
    pub fn start(options: &Options) -> Self {
        let done = Arc::new(Done::default());
        let run = fresh_seed();
        let threads = (0..options.clients)
            .map(|_| {
                let (options, done) = (options.clone(), Arc::clone(&done));
                thread::spawn(move || {
                    let pushed = push(&options, run, &done);
                    if pushed.is_err() {
                        done.stop.store(true, Ordering::Relaxed);
                    }
                    pushed
                })
            })
            .collect();
        Self { done, threads }
    }

    /// Pushes that have ended so far.
    pub fn pushes(&self) -> u64 {
        self.done.pushes.load(Ordering::Relaxed)
    }

    /// Blobs that had to be sent again so far.
    pub fn sent_again(&self) -> u64 {
        self.done.sent_again.load(Ordering::Relaxed)
    }

    /// Whether one of them has failed; [`Pushers::stop`] tells why.
    pub fn has_failed(&self) -> bool {
        self.done.stop.load(Ordering::Relaxed)
    }

    /// Ends them, and answers the latencies of all their pushes.
    pub fn stop(self) -> Result<Vec<Duration>> {
        self.done.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread
                .join()
                .unwrap_or_else(|_| Err(Error::Usage("a client panicked".to_owned())))?;
        }
        let mut latencies = self
            .done
            .latencies
            .lock()
            .map_err(|_| Error::Usage("a client panicked".to_owned()))?;
        Ok(std::mem::take(&mut *latencies))
    }
}

fn push(options: &Options, run: u64, done: &Done) -> Result<()> {
    let mut connection = Connection::open(options.server, options.authorization.clone())?;
    while !done.stop.load(Ordering::Relaxed) {
        let number = done.started.fetch_add(1, Ordering::Relaxed);
        let repository = format!("{}{}", options.prefix, number % options.repositories);
        let image = Image::new(run.wrapping_add(number));
        let started = Instant::now();
        let again = image.push(
            &mut connection,
            &repository,
            &format!("t{run:016x}-{number}"),
        )?;
        let took = started.elapsed();
        done.sent_again
            .fetch_add(u64::from(again), Ordering::Relaxed);
        done.pushes.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut latencies) = done.latencies.lock() {
            latencies.push(took);
        }
    }
    Ok(())
}

/// Pushes for a while.
pub fn run(options: &Options) -> Result<Report> {
    let clients = Pushers::start(options);
    while clients.pushes() < options.warm_up && !clients.has_failed() {
        thread::sleep(Duration::from_millis(1));
    }
    let (before, started) = (clients.pushes(), Instant::now());
    let cpu_before = cpu_seconds(options.process)?;
    while started.elapsed() < options.duration && !clients.has_failed() {
        thread::sleep(Duration::from_millis(10).min(options.duration));
    }
    let (pushes, seconds) = (clients.pushes() - before, started.elapsed().as_secs_f64());
    let cpu = cpu_seconds(options.process)? - cpu_before;
    let sent_again = clients.sent_again();
    let mut latencies = Latencies::default();
    let counted = clients.stop()?.into_iter().skip(before as usize);
    for latency in counted.take(pushes as usize) {
        latencies.record(latency);
    }
    Ok(Report {
        pushes,
        seconds,
        pushes_per_second: pushes as f64 / seconds,
        latency: latencies.percentiles(),
        sent_again,
        server_cpu_seconds: cpu,
    })
}
