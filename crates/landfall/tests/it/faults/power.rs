//! The power goes at a random instant: what was acknowledged is there.
//!
//! The server's data lies on a disk that forgets what was not synced. While
//! clients push and delete, the test takes copies of what the disk would hold
//! if the power went now, and starts a second server on each. No client starts
//! a request while a copy is made, but those that wait for an answer go on
//! waiting: their requests are somewhere on their way.

use std::path::Path;

use landfall_house::Rounds;
use landfall_power_cut::volatile_disk::{PowerLoss, VolatileDisk};
use landfall_seal::MasterKey;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{
    client::Client,
    collector::Collector,
    dice::{Blame, Dice, seed_alone},
    hand::lock,
    ledger::{Ledger, Presence},
    load::{self, Ledgers, Load, Sizes},
    verify::{self, Verifier},
};
use crate::server::{Options, Server};

/// Cuts of one server.
const CUTS: u32 = 8;
const CLIENTS: usize = 4;
/// The disk is in memory.
const SIZES: Sizes = Sizes {
    small: 30_000,
    chunked: 300_000,
};

/// A server on a disk of the kind that forgets.
struct Machine {
    blame: Blame,
    dice: Dice,
    runtime: Runtime,
    ledgers: Ledgers,
    load: Load,
    collector: Collector,
    // Ended first, then unmounted, then removed.
    server: Server,
    disk: VolatileDisk,
    folder: TempDir,
}

impl Machine {
    fn start(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let place = folder.path().join("disk");
        std::fs::create_dir(&place).expect("a mount point");
        let disk = VolatileDisk::mount(place).expect("a volatile disk");
        // A folder that the server makes: its name has to be durable as well.
        let server = Server::start_with(&disk.path().join("data"), &options());
        let mut dice = Dice::new(seed);
        let runtime = Runtime::new().expect("a runtime");
        let ledgers = load::ledgers(CLIENTS);
        let load = Load::start(&runtime, &server.url, &ledgers, &mut dice, SIZES);
        let collector = Collector::start(&runtime, &server.url, None, load.gate());
        Self {
            blame: Blame {
                test: "faults::power",
                seed,
            },
            dice,
            runtime,
            ledgers,
            load,
            collector,
            server,
            disk,
            folder,
        }
    }

    /// One round: a cut at a random instant, and a server on what it leaves.
    fn round(&mut self, number: u32) {
        let pause = self.dice.millis(5..250);
        let next_end = async { tokio::time::timeout(pause, self.load.next_end()).await };
        let ended = self.runtime.block_on(next_end);
        assert!(ended.is_err(), "a client ended: {ended:?}");
        let loss = match self.dice.within(0..4) {
            0 => PowerLoss::Total,
            _ => PowerLoss::Partial(self.dice.roll()),
        };
        let left = self.folder.path().join(format!("left-{number}"));
        let known: Vec<Ledger> = {
            let guards: Vec<_> = self.ledgers.iter().map(|ledger| lock(ledger)).collect();
            let cut = self.disk.snapshot_durable(loss, &left);
            cut.expect("a copy of what is durable");
            guards.iter().map(|ledger| (**ledger).clone()).collect()
        };
        let pause = self.runtime.block_on(self.load.pause());
        let wrong = self.compare(&left.join("data"), known);
        drop(pause);
        assert!(
            wrong.is_empty(),
            "cut {number} of seed {}, {loss:?}:\n{}",
            self.blame.seed,
            wrong.join("\n")
        );
        std::fs::remove_dir_all(left).expect("the copy can be removed");
    }

    fn compare(&mut self, data: &Path, known: Vec<Ledger>) -> Vec<String> {
        let server = match Server::try_start(data, &options()) {
            Ok(server) => server,
            Err(log) => return vec![format!("no server starts on what is left:\n{log}")],
        };
        let client = Client::new(&server.url);
        let mut wrong = Vec::new();
        for mut ledger in known {
            let mut dice = self.dice.fork();
            let verifier = Verifier::new(&client, &mut ledger);
            let found = self.runtime.block_on(verifier.run(&mut dice));
            wrong.extend(found.unwrap_or_else(|lost| vec![lost.to_string()]));
        }
        wrong.extend(verify::fsck(&server));
        wrong.extend(verify::panics(&server.log()));
        server.kill();
        wrong
    }

    /// Ends everything; how many images are there.
    fn end(self) -> usize {
        self.load.tell_to_stop();
        let lost = self.runtime.block_on(self.load.ends());
        assert!(lost.is_empty(), "answers were lost: {lost:?}");
        assert_eq!(verify::panics(&self.server.log()), Vec::<String>::new());
        self.server.kill();
        self.runtime.block_on(self.collector.ends());
        let there = [Presence::There];
        let images = self
            .ledgers
            .iter()
            .map(|ledger| lock(ledger).images(&there).len());
        images.sum()
    }
}

/// Nothing but what is deleted is collected; that goes at once.
fn options() -> Options {
    Options::default()
        .set("LANDFALL_REGISTRY_UNDO_WINDOW", "0s")
        .set("LANDFALL_GC_TRASH_DELAY", "0s")
        .set("LANDFALL_GC_INTERVAL", "0")
}

#[test]
fn a_new_master_key_survives_a_power_cut_with_the_folders_it_is_in() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let place = folder.path().join("disk");
    std::fs::create_dir(&place).expect("a mount point");
    let disk = VolatileDisk::mount(place).expect("a volatile disk");
    let path = Path::new("data/keys/master");
    let made = MasterKey::create(&disk.path().join(path)).expect("a key");
    let left = folder.path().join("left");
    let cut = disk.snapshot_durable(PowerLoss::Total, &left);
    cut.expect("a copy of what is durable");
    let read = MasterKey::load(&left.join(path)).expect("a file");
    let read = read.expect("the file is lost");
    assert_eq!(read.fingerprint(), made.fingerprint());
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_any_instant() {
    if let Some(seed) = seed_alone() {
        let mut machine = Machine::start(seed);
        (0..CUTS).for_each(|number| machine.round(number));
        machine.end();
        return;
    }
    let mut rounds = Rounds::of("power");
    let mut images = 0;
    for seed in 0..rounds.total().div_ceil(CUTS) {
        let mut machine = Machine::start(u64::from(seed));
        for number in rounds.by_ref().take(CUTS as usize) {
            machine.round(number);
        }
        images += machine.end();
    }
    assert!(images > 0, "nothing was pushed");
    assert_eq!(rounds.next(), None, "rounds are left");
}
