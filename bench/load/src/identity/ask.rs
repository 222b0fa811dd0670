//! Loads by many principals: manifests with their tokens, and the tokens
//! themselves.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Keys, TAG, repositories_of, repository, token_path};
use crate::{
    Error, Result,
    images::Image,
    manifests::{self, Request},
    percentiles::{Latencies, Percentiles},
    wire::Connection,
};

/// Where the image of every repository comes from.
pub(super) const SEED: u64 = 41;
/// Requests that are drawn before a load begins, and asked over and over.
const DRAWN: usize = 1 << 16;
/// Connections that fetch tokens at the same time.
const CLIENTS: usize = 8;

/// How a load is made.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server.
    pub server: SocketAddr,
    /// Robots that ask; none asks as nobody.
    pub principals: usize,
    /// Repositories that are asked.
    pub repositories: usize,
    /// Connections.
    pub connections: usize,
    /// Seconds before it counts.
    pub warm_up: Duration,
    /// Seconds that count.
    pub duration: Duration,
    /// The server's process.
    pub process: Option<u32>,
}

impl Load {
    fn options(&self) -> manifests::Options {
        manifests::Options {
            servers: vec![self.server],
            authorization: None,
            connections: self.connections,
            rate: None,
            warm_up: self.warm_up,
            duration: self.duration,
            move_every: None,
            may_fail: false,
            processes: self.process.into_iter().collect(),
        }
    }
}

/// What was seen of a load.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Asked {
    /// What was seen of each pair for the first time, after all that the
    /// server remembered of decisions was gone.
    pub cold: Percentiles,
    /// What was seen then, over and over.
    #[serde(flatten)]
    pub warm: manifests::Report,
}

/// Asks for manifests, with the robots' tokens, or as nobody. With an
/// operator's `Authorization` the server's memory of decisions is emptied
/// before, and each pair of robot and repository is asked once, to tell the
/// cold cost.
pub fn manifests(load: &Load, keys: &Keys, operator: Option<&str>) -> Result<Asked> {
    let digest = Image::new(SEED).manifest(TAG).digest;
    let tokens = bearer_tokens(load, keys)?;
    let robots = load.principals.max(1);
    let paths = pairs(load).map(|(robot, number)| {
        let path = format!("/v2/{}/manifests/{TAG}", repository(number));
        (robot, path)
    });
    let paths: Vec<_> = paths.collect();
    let token = |robot: usize| tokens.get(robot % robots).map(String::as_str);
    let cold = match operator {
        Some(operator) if !tokens.is_empty() => {
            forget_decisions(load.server, operator)?;
            once(load.server, &paths, token)?
        }
        _ => Percentiles::default(),
    };
    let requests = paths.iter().map(|(robot, path)| {
        Request::get(load.server, path, token(*robot)).with_digest(digest.clone())
    });
    let warm = manifests::ask(requests.collect(), drawn(paths.len()), &load.options())?;
    Ok(Asked { cold, warm })
}

/// Has tokens issued, to one robot after the other.
pub fn tokens(load: &Load, keys: &Keys) -> Result<manifests::Report> {
    let requests: Vec<_> = (0..load.principals)
        .map(|robot| {
            let path = token_path(robot, load.repositories);
            Request::get(load.server, &path, keys.authorization(robot).as_deref())
        })
        .collect();
    let order = drawn(requests.len());
    manifests::ask(requests, order, &load.options())
}

/// Has tokens verified, each for one request that little else is done for:
/// first each token once, then over and over.
pub fn verify(load: &Load, keys: &Keys) -> Result<(manifests::Report, manifests::Report)> {
    let tokens = bearer_tokens(load, keys)?;
    let requests = || {
        let requests = tokens.iter().enumerate().map(|(robot, token)| {
            let number = repositories_of(robot, load.repositories).next();
            let path = format!("/v2/{}/tags/list", repository(number.unwrap_or_default()));
            Request::get(load.server, &path, Some(token))
        });
        requests.collect::<Vec<_>>()
    };
    let first = manifests::Options {
        warm_up: Duration::ZERO,
        duration: Duration::from_mins(10),
        ..load.options()
    };
    let first = manifests::ask(requests(), Box::new(0..tokens.len()), &first)?;
    let again = manifests::ask(requests(), drawn(tokens.len()), &load.options())?;
    Ok((first, again))
}

/// The pairs of robot and repository that go together.
fn pairs(load: &Load) -> impl Iterator<Item = (usize, usize)> {
    let (principals, repositories) = (load.principals, load.repositories);
    let of_robots = (0..principals).flat_map(move |robot| {
        let numbers = repositories_of(robot, repositories).take(super::SCOPES);
        numbers.map(move |number| (robot, number))
    });
    // Nobody asks for the same repositories equally often.
    let of_nobody = (0..if principals == 0 { repositories } else { 0 }).map(|number| (0, number));
    of_robots.chain(of_nobody)
}

/// An endless order of so many requests, the same in every run.
fn drawn(count: usize) -> Box<dyn Iterator<Item = usize>> {
    let mut random = SmallRng::seed_from_u64(29);
    let drawn: Vec<usize> = (0..DRAWN)
        .map(|_| random.random_range(0..count.max(1)))
        .collect();
    Box::new((0..DRAWN).cycle().map(move |at| drawn[at]))
}

/// A bearer token of each robot that asks.
fn bearer_tokens(load: &Load, keys: &Keys) -> Result<Vec<String>> {
    if load.principals > keys.keys.len() {
        return Err(Error::Usage(format!(
            "{} robots shall ask, and there are keys of {}",
            load.principals,
            keys.keys.len()
        )));
    }
    let parts = thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || -> Result<Vec<(usize, String)>> {
                    let mut connection = Connection::open(load.server, None)?;
                    let mine = (client..load.principals).step_by(CLIENTS);
                    mine.map(|robot| {
                        connection.speak_as(keys.authorization(robot).as_deref());
                        let path = token_path(robot, load.repositories);
                        let answer = connection.expect(("GET", &path), None, b"", &[200])?;
                        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                        let token = told["token"].as_str().unwrap_or_default();
                        Ok((robot, format!("Bearer {token}")))
                    })
                    .collect()
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Error::Usage("a client panicked".to_owned())))
        });
        joined.collect::<Result<Vec<_>>>()
    })?;
    let mut all: Vec<_> = parts.into_iter().flatten().collect();
    all.sort_unstable();
    Ok(all.into_iter().map(|(_, token)| token).collect())
}

/// Changes something that decisions depend on, so that none is remembered.
fn forget_decisions(server: SocketAddr, operator: &str) -> Result<()> {
    let mut connection = Connection::open(server, Some(operator.to_owned()))?;
    let name = format!("fleet/c{}", crate::content::fresh_seed());
    let body = json!({ "name": name }).to_string();
    let json = Some("application/json");
    connection.expect(
        ("POST", "/api/v1/groups"),
        json,
        body.as_bytes(),
        &[200, 201],
    )?;
    Ok(())
}

/// Asks each once, one after the other.
fn once<'a>(
    server: SocketAddr,
    paths: &[(usize, String)],
    token: impl Fn(usize) -> Option<&'a str>,
) -> Result<Percentiles> {
    let mut connection = Connection::open(server, None)?;
    let mut latencies = Latencies::default();
    for (robot, path) in paths {
        connection.speak_as(token(*robot));
        let began = Instant::now();
        connection.expect(("GET", path), None, b"", &[200])?;
        latencies.record(began.elapsed());
    }
    Ok(latencies.percentiles())
}
