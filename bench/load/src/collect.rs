//! A collection of garbage while clients push, and what it costs them.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Error, Result,
    push::{Options, Pushers},
    wire::Connection,
};

/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// A run that takes longer has failed.
const PATIENCE: Duration = Duration::from_mins(10);
const RUNS: &str = "/api/v1/gc/runs";

/// What the collection and the pushes did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Report {
    /// Pushes a second before the collection began.
    pub pushes_per_second_before: f64,
    /// Pushes a second while it ran.
    pub pushes_per_second_during: f64,
    /// Pushes a second after it had ended.
    pub pushes_per_second_after: f64,
    /// How long it ran.
    pub collection_seconds: f64,
    /// Blobs that it collected.
    pub blobs: u64,
    /// The same for each second.
    pub blobs_per_second: f64,
    /// Files that it deleted.
    pub deleted: u64,
    /// Blobs that clients had to send again.
    pub sent_again: u64,
}

/// Pushes for `options.duration`, then pushes on and collects with no grace,
/// then pushes on as long as before.
pub fn run(options: &Options) -> Result<Report> {
    let mut connection = Connection::open(options.server, options.authorization.clone())?;
    let pushers = Pushers::start(options);
    while pushers.pushes() < options.warm_up && !pushers.has_failed() {
        thread::sleep(Duration::from_millis(1));
    }
    let before = rate_of(&pushers, options.duration);

    let (pushed, started) = (pushers.pushes(), Instant::now());
    let ended = collect(&mut connection, started, &pushers);
    let seconds = started.elapsed().as_secs_f64();
    let during = (pushers.pushes() - pushed) as f64 / seconds;
    let sent_again = pushers.sent_again();

    let after = rate_of(&pushers, options.duration);
    pushers.stop()?;
    let ended = ended?;
    let count = |name: &str| ended["report"][name].as_u64().unwrap_or(0);
    if let Some(error) = ended["error"].as_str() {
        return Err(Error::Usage(format!("the collection failed: {error}")));
    }
    Ok(Report {
        pushes_per_second_before: before,
        pushes_per_second_during: during,
        pushes_per_second_after: after,
        collection_seconds: seconds,
        blobs: count("blobs"),
        blobs_per_second: count("blobs") as f64 / seconds,
        deleted: count("deleted"),
        sent_again,
    })
}

fn rate_of(pushers: &Pushers, duration: Duration) -> f64 {
    let (pushed, started) = (pushers.pushes(), Instant::now());
    while started.elapsed() < duration && !pushers.has_failed() {
        thread::sleep(LOOK.min(duration));
    }
    (pushers.pushes() - pushed) as f64 / started.elapsed().as_secs_f64()
}

/// Starts a run, and waits for its end.
fn collect(connection: &mut Connection, started: Instant, pushers: &Pushers) -> Result<Value> {
    let body = json!({ "grace_seconds": 0 }).to_string();
    let answer = connection.expect(
        ("POST", RUNS),
        Some("application/json"),
        body.as_bytes(),
        &[202],
    )?;
    let mut run = parse(RUNS, &answer.body)?;
    let path = format!("{RUNS}/{}", run["id"].as_str().unwrap_or_default());
    while run["ended"].is_null() {
        if started.elapsed() > PATIENCE || pushers.has_failed() {
            return Err(Error::Usage(format!("the collection did not end: {run}")));
        }
        thread::sleep(LOOK);
        run = parse(
            &path,
            &connection.expect(("GET", &path), None, b"", &[200])?.body,
        )?;
    }
    Ok(run)
}

fn parse(path: &str, body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).map_err(|error| Error::Wrong {
        request: path.to_owned(),
        why: error.to_string(),
    })
}
