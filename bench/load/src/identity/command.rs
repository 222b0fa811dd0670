//! `landfall-load identity`.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Keys, Leak, Load, Prepare, leak, manifests, prepare, tokens, verify};
use crate::{Error, Result};

/// What is done about identities.
#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Make robots, repositories and policies, and write the robots' keys
    Prepare(World),
    /// Ask for manifests with the robots' tokens, or as nobody
    Manifests(Asking),
    /// Have tokens issued
    Tokens(Asking),
    /// Have tokens verified: each once, then over and over
    Verify(Asking),
    /// Ask for what another account holds, and for what nobody holds
    Leak(Leaking),
}

/// A world to be made.
#[derive(Debug, Args)]
pub struct World {
    /// Address of the server
    server: SocketAddr,
    /// The operator's `Authorization`
    #[arg(long, env = "LOAD_AUTHORIZATION", hide_env_values = true)]
    authorization: Option<String>,
    /// Robots with a key each
    #[arg(long, default_value_t = 0)]
    principals: usize,
    /// Repositories
    #[arg(long)]
    repositories: usize,
    /// How many of them, from the first, get an image
    #[arg(long, default_value_t = 0)]
    images: usize,
    /// Give each repository a policy
    #[arg(long)]
    policies: bool,
    /// File for the keys
    #[arg(long)]
    keys: Option<PathBuf>,
}

/// Who asks, and how.
#[derive(Debug, Args)]
pub struct Asking {
    /// Address of the server
    server: SocketAddr,
    /// The operator's `Authorization`; with it the cold cost is told too
    #[arg(long)]
    operator: Option<String>,
    /// File with the robots' keys; without it nobody asks
    #[arg(long)]
    keys: Option<PathBuf>,
    /// How many robots ask
    #[arg(long, default_value_t = 1000)]
    principals: usize,
    /// How many repositories are asked
    #[arg(long, default_value_t = 1000)]
    repositories: usize,
    /// Connections
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Seconds before anything counts
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// Seconds that count
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Process whose CPU seconds are told
    #[arg(long)]
    process: Option<u32>,
}

/// Who asks for another account's content.
#[derive(Debug, Args)]
pub struct Leaking {
    /// Address of the server
    server: SocketAddr,
    /// `Authorization` of who asks
    #[arg(long)]
    asking: String,
    /// A repository that it may push to
    #[arg(long)]
    own: String,
    /// A repository of another account
    #[arg(long)]
    other: String,
    /// `Authorization` of who may push there
    #[arg(long, env = "LOAD_AUTHORIZATION", hide_env_values = true)]
    authorization: Option<String>,
    /// Requests that count
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
}

impl IdentityCommand {
    /// Does it, and tells what was seen.
    pub fn run(self) -> Result<Value> {
        match self {
            Self::Prepare(world) => make(world),
            Self::Manifests(asking) => {
                let (load, keys) = asking.load()?;
                let asked = manifests(&load, &keys, asking.operator.as_deref())?;
                Ok(told(&asked))
            }
            Self::Tokens(asking) => {
                let (load, keys) = asking.load()?;
                Ok(told(&tokens(&load, &keys)?))
            }
            Self::Verify(asking) => {
                let (load, keys) = asking.load()?;
                let (first, again) = verify(&load, &keys)?;
                Ok(json!({ "first": first, "again": again }))
            }
            Self::Leak(leaking) => {
                let report = leak(&Leak {
                    server: leaking.server,
                    authorization: Some(leaking.asking),
                    own: leaking.own,
                    other: leaking.other,
                    other_authorization: leaking.authorization,
                    requests: leaking.requests,
                })?;
                Ok(told(&report))
            }
        }
    }
}

fn make(world: World) -> Result<Value> {
    let keys = prepare(&Prepare {
        server: world.server,
        authorization: world.authorization,
        principals: world.principals,
        repositories: world.repositories,
        images: world.images,
        policies: world.policies,
    })?;
    if let Some(file) = &world.keys {
        let text = told(&keys).to_string();
        fs::write(file, text).map_err(Error::io("writing the keys"))?;
    }
    Ok(json!({ "principals": keys.keys.len(), "repositories": world.repositories }))
}

impl Asking {
    fn load(&self) -> Result<(Load, Keys)> {
        let keys = match &self.keys {
            None => Keys::default(),
            Some(file) => {
                let text = fs::read(file).map_err(Error::io("reading the keys"))?;
                serde_json::from_slice(&text)
                    .map_err(|error| Error::Usage(format!("`{}`: {error}", file.display())))?
            }
        };
        let load = Load {
            server: self.server,
            principals: self.keys.as_ref().map_or(0, |_| self.principals),
            repositories: self.repositories,
            connections: self.connections,
            warm_up: seconds(self.warm_up)?,
            duration: seconds(self.seconds)?,
            process: self.process,
        };
        Ok((load, keys))
    }
}

fn seconds(given: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(given)
        .map_err(|_| Error::Usage(format!("`{given}` is no number of seconds")))
}

fn told(report: &impl serde::Serialize) -> Value {
    serde_json::to_value(report).unwrap_or_default()
}
