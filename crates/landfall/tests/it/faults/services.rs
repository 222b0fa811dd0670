//! PostgreSQL goes away and comes back, S3 misbehaves, and servers are killed:
//! what was acknowledged is there afterwards, and nothing is half there.
//!
//! The server itself goes on: as long as something is away it says so, and
//! afterwards it works again without anybody's help.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use landfall_house::Rounds;
use landfall_services::{
    postgres::Cluster,
    proxy::{Mischief, Proxy},
    s3,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{
    client::Client,
    collector::Collector,
    dice::{Blame, Dice, seed_alone},
    hand::lock,
    load::{self, Ledgers, Load, Sizes},
    verify::{self, Verifier},
};
use crate::{
    backends::Backends,
    server::{Options, Server},
};

const CLIENTS: usize = 3;
const SIZES: Sizes = Sizes {
    small: 40_000,
    chunked: 7_000_000,
};
/// Faults of one life.
const FAULTS: u32 = 4;
/// How long a server may take to see that everything is back.
const RETURN: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// `kill -9` of Landfall, and a new start.
    Killed,
    /// PostgreSQL ends its connections and stops.
    Stopped,
    /// PostgreSQL dies.
    Crashed,
    /// Of so many requests to S3 one is answered with an error, breaks or is
    /// silent for a while.
    Misbehaving(u64),
}

const ALL: [Fault; 6] = [
    Fault::Killed,
    Fault::Stopped,
    Fault::Crashed,
    Fault::Misbehaving(2),
    Fault::Misbehaving(5),
    Fault::Misbehaving(20),
];

/// One set of services, and what its clients know.
struct Life {
    blame: Blame,
    dice: Dice,
    runtime: Runtime,
    _folder: TempDir,
    data: PathBuf,
    cluster: Cluster,
    proxy: Proxy,
    options: Options,
    ledgers: Ledgers,
    server: Option<Server>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let cluster = Cluster::start();
        let mut bucket = s3::bucket();
        let proxy = Proxy::to(&bucket.endpoint);
        bucket.endpoint = proxy.url();
        let backends = Backends {
            database: cluster.fresh().to_string(),
            bucket: Some(bucket),
        };
        let options = Options::default()
            .set("LANDFALL_REGISTRY_UNDO_WINDOW", "0s")
            .set("LANDFALL_GC_TRASH_DELAY", "0s")
            .set("LANDFALL_GC_INTERVAL", "0")
            .on(&backends);
        let ledgers = load::ledgers(CLIENTS);
        for ledger in &ledgers {
            lock(ledger).promises_hold = true;
        }
        Self {
            blame: Blame {
                test: "faults::services",
                seed,
            },
            dice: Dice::new(seed),
            runtime: Runtime::new().expect("a runtime"),
            data: folder.path().join("data"),
            _folder: folder,
            cluster,
            proxy,
            options,
            ledgers,
            server: None,
        }
    }

    fn start(&mut self) -> Server {
        self.server
            .take()
            .unwrap_or_else(|| Server::start_with(&self.data, &self.options))
    }

    fn round(&mut self) {
        let fault = self.dice.pick(ALL).unwrap_or(Fault::Killed);
        let time = self.dice.millis(100..1200);
        let server = self.start();
        let mut load = Load::start(
            &self.runtime,
            &server.url,
            &self.ledgers,
            &mut self.dice,
            SIZES,
        );
        // A collector whose services go away fails, as it may.
        let collector = matches!(fault, Fault::Killed)
            .then(|| Collector::start(&self.runtime, &server.url, None, load.gate()));
        let misbehaving = matches!(fault, Fault::Misbehaving(_));
        if let Fault::Misbehaving(one_of) = fault {
            let start = self.dice.within(0..one_of);
            self.proxy.misbehave(move |head| {
                let kinds = [
                    Mischief::Status(500),
                    Mischief::Status(503),
                    Mischief::CutAnswer(20),
                    Mischief::CutRequest(1000),
                    Mischief::Silence(Duration::from_millis(300)),
                    Mischief::Trickle(20_000),
                ];
                let number = head.number + start;
                let chosen = kinds[(number / one_of % kinds.len() as u64) as usize];
                number.is_multiple_of(one_of).then_some(chosen)
            });
        }
        let first = self
            .runtime
            .block_on(async { tokio::time::timeout(time, load.next_end()).await });
        if let Ok(Some(Err(lost))) = &first {
            assert!(misbehaving, "an answer was lost before the fault: {lost}");
        }
        let server = match fault {
            Fault::Killed => {
                server.kill();
                self.runtime.block_on(load.ends());
                self.server = None;
                self.start()
            }
            Fault::Stopped | Fault::Crashed => {
                match fault {
                    Fault::Stopped => self.cluster.stop(),
                    _ => self.cluster.crash(),
                }
                self.runtime.block_on(load.ends());
                self.is_away(&server);
                self.cluster.resume();
                server
            }
            Fault::Misbehaving(_) => {
                load.tell_to_stop();
                self.runtime.block_on(load.ends());
                self.proxy.behave();
                server
            }
        };
        if let Some(collector) = collector {
            self.runtime.block_on(collector.ends());
        }
        self.becomes_ready(&server);
        let mut wrong = self.compare(&server);
        wrong.extend(verify::fsck(&server));
        wrong.extend(verify::panics(&server.log()));
        let Blame { seed, .. } = self.blame;
        let log = server.log();
        let lines: Vec<&str> = log.lines().collect();
        assert!(
            wrong.is_empty(),
            "{fault:?} of seed {seed}:\n{}\nlog:\n{}",
            wrong.join("\n"),
            lines[lines.len().saturating_sub(60)..].join("\n")
        );
        self.server = Some(server);
    }

    /// Without its database a server lives, is not ready, and says on every path
    /// when to ask again.
    fn is_away(&self, server: &Server) {
        let status = |path: &str| {
            let request = server.request(reqwest::Method::GET, path);
            let answer = self.runtime.block_on(request.send()).expect("an answer");
            let again = answer.headers().contains_key("retry-after");
            (answer.status().as_u16(), again)
        };
        assert_eq!(status("/healthz").0, 200);
        let since = Instant::now();
        while status("/readyz").0 != 503 {
            assert!(since.elapsed() < RETURN, "still ready:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        let told = server.request(reqwest::Method::GET, "/readyz").send();
        let told = self.runtime.block_on(async { told.await?.text().await });
        assert_eq!(told.expect("a text"), "not ready: the database\n");
        for path in [
            "/v2/",
            "/v2/load/0/tags/list",
            "/v2/load/0/manifests/latest",
            "/v2/_catalog",
            "/token?scope=repository:load/0:pull",
            "/api/v1/repositories",
            "/api/v1/events",
            "/api/v1/gc/runs",
        ] {
            assert_eq!(status(path), (503, true), "{path}");
        }
    }

    fn becomes_ready(&self, server: &Server) {
        let since = Instant::now();
        loop {
            let request = server.request(reqwest::Method::GET, "/readyz").send();
            let answer = self.runtime.block_on(request).expect("an answer");
            if answer.status() == 200 {
                return;
            }
            assert!(since.elapsed() < RETURN, "not ready:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn compare(&mut self, server: &Server) -> Vec<String> {
        let mut wrong = Vec::new();
        let client = Client::new(&server.url);
        for ledger in &self.ledgers {
            let mut dice = self.dice.fork();
            let mut known = lock(ledger).clone();
            let verifier = Verifier::new(&client, &mut known);
            let found = self.runtime.block_on(verifier.run(&mut dice));
            wrong.extend(found.unwrap_or_else(|lost| vec![lost.to_string()]));
            *lock(ledger) = known;
        }
        wrong
    }
}

#[test]
fn what_was_acknowledged_survives_services_that_go_away_or_misbehave() {
    if let Some(seed) = seed_alone() {
        let mut life = Life::new(seed);
        (0..FAULTS).for_each(|_| life.round());
        return;
    }
    let mut rounds = Rounds::of("services");
    for seed in 0..rounds.total().div_ceil(FAULTS) {
        let mut life = Life::new(u64::from(seed));
        for _ in rounds.by_ref().take(FAULTS as usize) {
            life.round();
        }
    }
    assert_eq!(rounds.next(), None, "rounds are left");
}
