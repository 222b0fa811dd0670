//! `landfall-load`: each command makes one kind of load, and prints what it
//! saw as one JSON object.

#![forbid(unsafe_code)]

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use landfall_load::{
    Error, Result, account, collect, content, fetch, fetch_tls,
    identity::command::IdentityCommand,
    manifests::{self, Plan},
    push, ready, seed, upload,
};
use serde_json::{Value, json};

/// Load for a registry, from one process that uses little itself.
#[derive(Parser)]
struct Command {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// Push the images that `manifests` asks for
    Prepare(Prepare),
    /// Ask for manifests by tag and digest while a tag moves
    Manifests(Manifests),
    /// Download a large object, over and over
    Fetch(Fetch),
    /// Upload large blobs, at the same time
    Upload(Upload),
    /// Push small images
    Push(Push),
    /// Push small images while garbage is collected
    Collect(Push),
    /// Fill a data folder whose server does not run
    Seed(Seed),
    /// Time a server's start
    Ready(Ready),
    /// Ask as many principals, and make what is needed for it
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// What a process and those below it have used
    Used {
        /// The process
        process: u32,
    },
}

/// A server, and who speaks to it.
#[derive(Args)]
struct Peer {
    /// Address of the server
    server: SocketAddr,
    /// Value of the header `Authorization`
    #[arg(long, env = "LOAD_AUTHORIZATION", hide_env_values = true)]
    authorization: Option<String>,
    /// Process whose CPU seconds are told
    #[arg(long)]
    process: Option<u32>,
}

#[derive(Args)]
struct Images {
    /// Repository that has the images
    #[arg(long)]
    repository: String,
    /// How many images there are
    #[arg(long, default_value_t = 1000)]
    images: usize,
}

#[derive(Args)]
struct Prepare {
    #[command(flatten)]
    peer: Peer,
    #[command(flatten)]
    images: Images,
}

#[derive(Args)]
struct Manifests {
    /// Addresses of the servers; the tag moves at the first
    #[arg(required = true)]
    servers: Vec<SocketAddr>,
    /// Value of the header `Authorization` of pushes
    #[arg(long, env = "LOAD_AUTHORIZATION", hide_env_values = true)]
    authorization: Option<String>,
    #[command(flatten)]
    images: Images,
    /// Connections, all servers together
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Requests a second of an open loop; a closed loop without it
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds before anything counts
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// Seconds that count
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Milliseconds between moves of the tag; 0 for none
    #[arg(long, default_value_t = 100)]
    move_every: u64,
    /// Count answers of failure instead of ending at the first
    #[arg(long)]
    may_fail: bool,
    /// Processes whose CPU seconds are told
    #[arg(long)]
    process: Vec<u32>,
}

#[derive(Args)]
struct Fetch {
    #[command(flatten)]
    peer: Peer,
    /// Path of the object
    #[arg(long)]
    path: String,
    /// Digest of the object
    #[arg(long)]
    digest: String,
    /// Connections at the same time, without TLS
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Copy the bytes to this process instead of dropping them in the kernel,
    /// without TLS
    #[arg(long)]
    copied: bool,
    /// Downloads, all connections together
    #[arg(long)]
    downloads: u64,
    /// Certificate of the server: use TLS
    #[arg(long)]
    certificate: Option<PathBuf>,
    /// Use HTTP/2, over TLS
    #[arg(long, requires = "certificate")]
    http2: bool,
}

#[derive(Args)]
struct Upload {
    #[command(flatten)]
    peer: Peer,
    /// Repository that gets the blobs
    #[arg(long)]
    repository: String,
    /// MiB of each blob
    #[arg(long, default_value_t = 256)]
    mebibytes: u64,
    /// Blobs at the same time
    #[arg(long, default_value_t = 1)]
    blobs: usize,
    /// KiB that are handed to the socket at once; Go's clients hand over 32
    #[arg(long, default_value_t = 32)]
    piece: usize,
    /// Seed of the bytes; a new one without it
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Args)]
struct Push {
    #[command(flatten)]
    peer: Peer,
    /// Beginning of the repositories' names
    #[arg(long)]
    prefix: String,
    /// How many repositories the pushes go to, in turn
    #[arg(long, default_value_t = 1)]
    repositories: u64,
    /// Clients at the same time
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Pushes before anything counts
    #[arg(long, default_value_t = 100)]
    warm_up: u64,
    /// Seconds that count
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
}

#[derive(Args)]
struct Seed {
    /// Data folder
    data: PathBuf,
    /// Images, with their tags
    #[arg(long, default_value_t = 0)]
    images: u64,
    /// Blobs of 1 KiB that nothing refers to
    #[arg(long, default_value_t = 0)]
    blobs: u64,
}

#[derive(Args)]
struct Ready {
    /// Address that the server listens on
    server: SocketAddr,
    /// File for the server's output
    #[arg(long)]
    log: PathBuf,
    /// The server's program and arguments
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    let said = run(Command::parse().kind)
        .map_err(|error| error.to_string())
        .and_then(|report| writeln!(io::stdout(), "{report}").map_err(|error| error.to_string()));
    match said {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "landfall-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(kind: Kind) -> Result<Value> {
    match kind {
        Kind::Prepare(Prepare { peer, images }) => {
            let plan = Plan::new(&images.repository, images.images);
            manifests::prepare(peer.server, peer.authorization, &plan)?;
            Ok(json!({ "images": images.images }))
        }
        Kind::Manifests(given) => ask(given),
        Kind::Fetch(given) => download(given),
        Kind::Upload(given) => {
            let (report, digests) = upload::run(&upload::Options {
                server: given.peer.server,
                authorization: given.peer.authorization,
                process: given.peer.process,
                repository: given.repository,
                size: given.mebibytes << 20,
                blobs: given.blobs,
                piece: given.piece << 10,
                seed: given.seed,
            })?;
            let mut report = told(&report);
            report["digests"] = json!(digests);
            Ok(report)
        }
        Kind::Push(given) => Ok(told(&push::run(&pushes(given)?)?)),
        Kind::Collect(given) => Ok(told(&collect::run(&pushes(given)?)?)),
        Kind::Seed(given) => fill(&given),
        Kind::Ready(given) => {
            let took = ready::run(given.server, &given.command, &given.log)?;
            Ok(json!({ "ready_ms": took.as_secs_f64() * 1000.0 }))
        }
        Kind::Identity(command) => command.run(),
        Kind::Used { process } => {
            let used = account::used(process)?;
            Ok(json!({ "cpu_seconds": used.cpu_seconds, "peak_bytes": used.peak_bytes }))
        }
    }
}

fn ask(given: Manifests) -> Result<Value> {
    let every = Duration::from_millis(given.move_every);
    let report = manifests::run(
        &Plan::new(&given.images.repository, given.images.images),
        &manifests::Options {
            servers: given.servers,
            authorization: given.authorization,
            connections: given.connections,
            rate: given.rate,
            warm_up: seconds(given.warm_up)?,
            duration: seconds(given.seconds)?,
            move_every: (!every.is_zero()).then_some(every),
            may_fail: given.may_fail,
            processes: given.process,
        },
    )?;
    Ok(told(&report))
}

fn download(given: Fetch) -> Result<Value> {
    let (server, process) = (given.peer.server, given.peer.process);
    let (path, digest, downloads) = (given.path, given.digest, given.downloads);
    let report = match given.certificate {
        None => fetch::run(&fetch::Options {
            server,
            path,
            connections: given.connections,
            downloads,
            digest,
            process,
            copied: given.copied,
        })?,
        Some(certificate) => {
            let options = fetch_tls::Options {
                server,
                path,
                http2: given.http2,
                downloads,
                digest,
                process,
            };
            fetch_tls::run(&options, &certificate)?
        }
    };
    Ok(told(&report))
}

fn pushes(given: Push) -> Result<push::Options> {
    Ok(push::Options {
        server: given.peer.server,
        authorization: given.peer.authorization,
        process: given.peer.process,
        prefix: given.prefix,
        repositories: given.repositories.max(1),
        clients: given.clients,
        warm_up: given.warm_up,
        duration: seconds(given.seconds)?,
    })
}

fn fill(given: &Seed) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(Error::io("starting"))?;
    runtime.block_on(async {
        if given.images > 0 {
            seed::images(&given.data, given.images).await?;
        }
        if given.blobs > 0 {
            seed::blobs(&given.data, given.blobs, content::fresh_seed()).await?;
        }
        Ok(json!({ "images": given.images, "blobs": given.blobs }))
    })
}

fn seconds(given: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(given)
        .map_err(|_| Error::Usage(format!("`{given}` is no number of seconds")))
}

/// A report as JSON.
fn told(report: &impl serde::Serialize) -> Value {
    serde_json::to_value(report).unwrap_or_default()
}
