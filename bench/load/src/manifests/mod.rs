//! Many small reads: manifests by tag and digest from one or more servers,
//! while a tag moves.
//!
//! One thread drives all connections with `epoll`, since it shares its cores
//! with the server. There are two ways to drive them:
//!
//! - **closed loop**: a connection asks again as soon as it was answered. This
//!   tells how many requests a second the server can answer.
//! - **open loop**: requests are due at a stated rate, whatever the server
//!   does. A latency counts from when the request was *due*, so a server that
//!   stalls is charged for all that had to wait, and not for one request only
//!   (coordinated omission).
//!
//! Meanwhile a tag moves to a new manifest every so often. Each request for
//! that tag notes which move was acknowledged before it was sent; an answer
//! that is older than that is **stale**.

mod channel;
mod drive;
mod moves;
mod plan;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde::Serialize;

use crate::{
    Error, Result, account,
    images::{Image, put_manifest},
    percentiles::Percentiles,
    wire::Connection,
};

pub use plan::{Plan, Request};

/// How the load is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// The servers; connections are spread over them evenly. The tag moves at
    /// the first.
    pub servers: Vec<SocketAddr>,
    /// The value of `Authorization` for pushes, if the servers want one.
    pub authorization: Option<String>,
    /// Connections, all servers together.
    pub connections: usize,
    /// Requests a second in an open loop; a closed loop without it.
    pub rate: Option<f64>,
    /// How long load is made before anything counts.
    pub warm_up: Duration,
    /// How long it counts.
    pub duration: Duration,
    /// How often the tag moves; never without it.
    pub move_every: Option<Duration>,
    /// Answers of failure are counted; without this, one ends the run.
    pub may_fail: bool,
    /// The processes whose CPU seconds are told.
    pub processes: Vec<u32>,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Requests that were answered while it counted.
    pub requests: u64,
    /// Those whose answer was a failure.
    pub failed: u64,
    /// How long that was.
    pub seconds: f64,
    /// Requests a second.
    pub requests_per_second: f64,
    /// Latencies: from the intended time in an open loop, from sending in a
    /// closed one.
    #[serde(flatten)]
    pub latency: Percentiles,
    /// Moves of the tag that were acknowledged.
    pub moves: u64,
    /// Answers for the moving tag that were looked at.
    pub checked: u64,
    /// Those that were older than a move that had been acknowledged before the
    /// request was sent.
    pub stale: u64,
    /// CPU seconds of the servers while it counted.
    pub server_cpu_seconds: f64,
}

/// Pushes the images of a plan to a server.
pub fn prepare(server: SocketAddr, authorization: Option<String>, plan: &Plan) -> Result<()> {
    let mut connection = Connection::open(server, authorization)?;
    let image = Image::new(plan::SEED);
    image.push_blobs(&mut connection, plan.repository())?;
    for index in 0..plan.images() {
        let manifest = image.manifest(&plan.tag(index));
        put_manifest(
            &mut connection,
            plan.repository(),
            &plan.tag(index),
            &manifest,
        )?;
    }
    Ok(())
}

/// Makes the load.
pub fn run(plan: &Plan, options: &Options) -> Result<Report> {
    let Some(first) = options.servers.first() else {
        return Err(Error::Usage("no server was given".to_owned()));
    };
    let tag = match options.move_every {
        Some(every) => {
            let time = options.warm_up + options.duration + Duration::from_secs(2);
            let count = (time.as_secs_f64() / every.as_secs_f64()).ceil() as usize;
            let connection = Connection::open(*first, options.authorization.clone())?;
            Some((moves::Moves::begin(plan, count, connection)?, every))
        }
        None => None,
    };
    let history = tag.as_ref().map(|(moves, _)| moves.history());
    let stop = Arc::new(AtomicBool::new(false));
    let mover = tag.map(|(moves, every)| {
        let stop = Arc::clone(&stop);
        thread::spawn(move || moves.run(every, &stop))
    });
    let requests = options.servers.iter();
    let requests = requests.map(|server| plan.requests(*server, history.is_some()));
    let order = Box::new(plan.order());
    let outcome = drive::Driver::connect(requests.collect(), order, options, history.clone())
        .and_then(|mut driver| driver.run(options, || cpu_seconds(&options.processes)));
    stop.store(true, Ordering::Relaxed);
    if let Some(mover) = mover {
        mover
            .join()
            .unwrap_or_else(|_| Err(Error::Usage("the mover panicked".to_owned())))?;
    }
    let mut report = outcome?;
    report.moves = history.map_or(0, |history| history.acknowledged());
    Ok(report)
}

/// Asks one server what was drawn up elsewhere, in that order (by index). A
/// closed loop ends when the order does.
pub fn ask(
    requests: Vec<Request>,
    order: Box<dyn Iterator<Item = usize>>,
    options: &Options,
) -> Result<Report> {
    let mut driver = drive::Driver::connect(vec![requests], order, options, None)?;
    driver.run(options, || cpu_seconds(&options.processes))
}

/// What processes have used up to now.
fn cpu_seconds(processes: &[u32]) -> Result<f64> {
    let used = processes.iter().map(|id| account::used(*id));
    used.map(|used| Ok(used?.cpu_seconds)).sum()
}
