//! `kill -9` at a random instant: what was acknowledged is there afterwards.
//!
//! A life is one data directory that goes through several deaths. Half of them
//! come after a random time, the others at a random system call, which the
//! server does not get to do. A life ends with everything deleted and
//! collected: then no byte may be left on the disk.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use landfall_house::Rounds;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{
    client::Client,
    collector::Collector,
    dice::{Blame, Dice, seed_alone},
    hand::lock,
    ledger::Presence,
    load::{self, Ledgers, Load, Sizes},
    verify::{self, Verifier},
};
use crate::server::{Options, Server};

/// Deaths of one data directory.
const DEATHS: u32 = 5;
const CLIENTS: usize = 4;
const SIZES: Sizes = Sizes {
    small: 60_000,
    chunked: 2_500_000,
};
/// A server that is to die at a system call that never comes dies then.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long the last byte may take to go.
const EMPTYING: Duration = Duration::from_secs(30);

/// How a server dies.
#[derive(Debug, Clone)]
enum Death {
    /// After this time of work.
    After(Duration),
    /// A thread of it at this call, the n-th of that thread.
    At(&'static str, u64),
}

/// Calls to die at, and how many of them a thread makes at least.
const CALLS: [(&str, u64); 9] = [
    ("fsync", 40),
    ("fdatasync", 150),
    ("pwrite64", 300),
    ("pwritev", 12),
    ("renameat2", 12),
    ("unlink", 20),
    ("ftruncate", 4),
    ("openat", 150),
    ("writev", 60),
];

impl Death {
    fn roll(dice: &mut Dice) -> Self {
        if dice.percent(50) {
            return Self::After(dice.millis(20..1000));
        }
        let (call, often) = dice.pick(CALLS).unwrap_or(("fsync", 10));
        // As often early as late.
        let limit = dice.within(2..often + 2);
        Self::At(call, dice.within(1..limit))
    }

    fn wrapper(&self) -> Vec<String> {
        let Self::At(call, when) = self else {
            return Vec::new();
        };
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:signal=KILL:when={when}");
        let words = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "strace",
            "-D",
            "-f",
            "--seccomp-bpf",
        ];
        let more = ["-qqq", "-o", "/dev/null", "-e", &trace, "-e", &inject, "--"];
        words
            .iter()
            .chain(&more)
            .map(|word| (*word).to_owned())
            .collect()
    }
}

/// One data directory and what its clients know.
struct Life {
    blame: Blame,
    dice: Dice,
    runtime: Runtime,
    _folder: TempDir,
    data: PathBuf,
    ledgers: Ledgers,
    deaths: u32,
}

impl Life {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        Self {
            blame: Blame {
                test: "faults::kill",
                seed,
            },
            dice: Dice::new(seed),
            runtime: Runtime::new().expect("a runtime"),
            data: folder.path().join("data"),
            _folder: folder,
            ledgers: load::ledgers(CLIENTS),
            deaths: 0,
        }
    }

    /// One round: work, death, restart, comparison.
    fn round(&mut self) {
        self.deaths += 1;
        let promises_hold = self.dice.percent(50);
        let death = Death::roll(&mut self.dice);
        for ledger in &self.ledgers {
            lock(ledger).promises_hold = promises_hold;
        }
        let mut options = options(if promises_hold { "1h" } else { "1s" });
        options.wrapper = death.wrapper();
        match (Server::try_start(&self.data, &options), &death) {
            (Ok(server), _) => self.work(server, &death, promises_hold),
            // Killed before it got ready.
            (Err(_), Death::At(..)) => {}
            (Err(log), Death::After(_)) => panic!("the server did not start:\n{log}"),
        }
        let mut wrong = verify::panics(&log(&self.data));
        let server = Server::start_with(&self.data, &options_after());
        wrong.extend(self.compare(&server));
        wrong.extend(verify::fsck(&server));
        let log = server.log();
        wrong.extend(verify::panics(&log));
        let Blame { seed, .. } = self.blame;
        assert!(
            wrong.is_empty(),
            "death {} of seed {seed}, {death:?}:\n{}\nlog:\n{}",
            self.deaths,
            wrong.join("\n"),
            tail(&log)
        );
        server.kill();
    }

    fn work(&mut self, mut server: Server, death: &Death, promises_hold: bool) {
        let dice = &mut self.dice;
        let mut load = Load::start(&self.runtime, &server.url, &self.ledgers, dice, SIZES);
        let grace = (!promises_hold && dice.percent(70)).then_some(0);
        let collector = Collector::start(&self.runtime, &server.url, grace, load.gate());
        let time = match death {
            Death::After(time) => *time,
            Death::At(..) => PATIENCE,
        };
        let first = self
            .runtime
            .block_on(async { tokio::time::timeout(time, load.next_end()).await });
        match (death, first) {
            (_, Err(_)) | (Death::At(..), Ok(Some(Err(_)))) => {}
            (_, Ok(ended)) => panic!("a client ended before the death of its server: {ended:?}"),
        }
        assert!(
            matches!(death, Death::At(..)) || !server.has_ended(),
            "the server ended by itself"
        );
        server.kill();
        self.runtime.block_on(load.ends());
        self.runtime.block_on(collector.ends());
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

    /// Deletes and collects everything: nothing may be left. Answers how many
    /// images there were.
    fn end(self) -> usize {
        let there = [Presence::There];
        let images = self
            .ledgers
            .iter()
            .map(|ledger| lock(ledger).images(&there).len());
        let images = images.sum();
        let options = options_after().set("LANDFALL_REGISTRY_UPLOAD_LIFETIME", "1s");
        let server = Server::start_with(&self.data, &options);
        let client = Client::new(&server.url);
        for ledger in &self.ledgers {
            let name = lock(ledger).repository.replace('/', "%2F");
            let path = format!("/api/v1/repositories/{name}");
            let answer = self
                .runtime
                .block_on(client.delete(&path))
                .expect("an answer");
            assert!(matches!(answer.status, 204 | 404), "{}", answer.told());
        }
        let since = Instant::now();
        loop {
            // Uploads and orphans go when they are a second old.
            self.runtime
                .block_on(super::collector::collect(&client, Some(0)))
                .expect("an answer");
            let store = self.data.join("blobs");
            let left = [
                verify::files(&store.join("blobs")),
                verify::files(&store.join("staging")),
            ];
            let left = left.concat();
            if left.is_empty() {
                break;
            }
            assert!(since.elapsed() < EMPTYING, "left behind: {left:#?}");
        }
        assert_eq!(verify::fsck(&server), Vec::<String>::new());
        assert!(server.stop(), "the server did not end well");
        images
    }
}

fn options(promise: &str) -> Options {
    Options::default()
        .set("LANDFALL_REGISTRY_PROMISE", promise)
        .set("LANDFALL_REGISTRY_UNDO_WINDOW", "0s")
        .set("LANDFALL_GC_TRASH_DELAY", "0s")
        .set("LANDFALL_GC_INTERVAL", "0")
}

/// What is compared is promised for an hour from then on.
fn options_after() -> Options {
    options("1h")
}

fn log(data: &Path) -> String {
    std::fs::read_to_string(data.with_extension("log")).unwrap_or_default()
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

#[test]
fn what_was_acknowledged_survives_kill_9_at_any_instant() {
    if let Some(seed) = seed_alone() {
        let mut life = Life::new(seed);
        (0..DEATHS).for_each(|_| life.round());
        life.end();
        return;
    }
    let mut images = 0;
    let mut rounds = Rounds::of("kill");
    for seed in 0..rounds.total().div_ceil(DEATHS) {
        let mut life = Life::new(u64::from(seed));
        for _ in rounds.by_ref().take(DEATHS as usize) {
            life.round();
        }
        images += life.end();
    }
    assert!(images > 0, "nothing was pushed");
    assert_eq!(rounds.next(), None, "rounds are left");
}
