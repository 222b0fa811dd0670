//! `SQLite` on a volatile disk: a database that is known to be right, and the same
//! one told to be wrong.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use landfall_power_cut::volatile_disk::PowerLoss;
use rusqlite::Connection;

use crate::scratch::{Scratch, sync_directory};

const COMMITS: i64 = 40;
const SEEDS: u64 = 4;

/// A database in WAL mode whose log is checkpointed every few commits.
fn open(path: &Path, synchronous: &str) -> Connection {
    let database = Connection::open(path).unwrap();
    let mode: String = database
        .query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    database
        .pragma_update(None, "synchronous", synchronous)
        .unwrap();
    database
        .pragma_update(None, "wal_autocheckpoint", 12)
        .unwrap();
    database
        .execute_batch("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, filler BLOB)")
        .unwrap();
    database
}

/// Rows that a restart finds; `None` when it finds a broken or no database.
fn recovered(path: &Path) -> Option<i64> {
    let database = Connection::open(path).ok()?;
    let intact: String = database
        .query_row("PRAGMA integrity_check", (), |row| row.get(0))
        .ok()?;
    if intact != "ok" {
        return None;
    }
    database
        .query_row("SELECT count(*) FROM t", (), |row| row.get(0))
        .ok()
}

fn commit(database: &Connection, id: i64) {
    let filler = vec![id as u8; 3000];
    database
        .execute("INSERT INTO t VALUES (?1, ?2)", (id, filler))
        .unwrap();
}

#[test]
fn every_commit_with_full_synchronisation_survives_every_power_loss() {
    let scratch = Scratch::new();
    let database = open(&scratch.at("metadata.sqlite"), "FULL");
    for id in 1..=COMMITS {
        commit(&database, id);
        for seed in 0..SEEDS {
            let seed = seed + id as u64 * SEEDS;
            let left = scratch.after(seed);
            let found = recovered(&left.join("metadata.sqlite"));
            assert_eq!(found, Some(id), "seed {seed} after commit {id}");
            std::fs::remove_dir_all(left).unwrap();
        }
    }
    drop(database);
}

#[test]
fn commits_without_synchronisation_are_seen_lost() {
    let scratch = Scratch::new();
    let database = open(&scratch.at("metadata.sqlite"), "OFF");
    sync_directory(scratch.disk.path());
    let (mut lost, mut kept) = (0, 0);
    for id in 1..=COMMITS {
        commit(&database, id);
        for seed in 0..SEEDS {
            let left = scratch.after(seed + id as u64 * SEEDS);
            match recovered(&left.join("metadata.sqlite")) {
                Some(found) if found == id => kept += 1,
                _ => lost += 1,
            }
            std::fs::remove_dir_all(left).unwrap();
        }
    }
    assert!(lost > 20, "the tool found only {lost} losses");
    assert!(kept > 0, "the tool spares nothing that was not synced");
}

/// A program that commits in a process of its own, and can be killed.
struct Committer {
    sqlite: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Committer {
    fn start(path: &Path) -> Self {
        let mut command = Command::new("sqlite3");
        command.arg("-batch").arg(path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut sqlite = command.spawn().unwrap();
        let input = sqlite.stdin.take().unwrap();
        let output = BufReader::new(sqlite.stdout.take().unwrap());
        let mut committer = Self {
            sqlite,
            input,
            output,
        };
        let settings = "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 12;
            CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, filler BLOB);";
        committer.answer("PRAGMA journal_mode = WAL;");
        committer.answer(&format!("{settings} SELECT 'ready';"));
        committer
    }

    /// Runs statements of which the last gives one line.
    fn answer(&mut self, statements: &str) -> String {
        writeln!(self.input, "{statements}").unwrap();
        let mut line = String::new();
        while line.trim().is_empty() || line.trim() == "12" {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0);
        }
        line.trim().to_owned()
    }

    fn commit(&mut self) {
        let insert = "INSERT INTO t(filler) VALUES (randomblob(3000));";
        assert_eq!(self.answer(&format!("{insert} SELECT 'done';")), "done");
    }
}

#[test]
fn a_database_goes_on_after_the_cut_on_the_disk_itself() {
    let scratch = Scratch::new();
    let path = scratch.at("metadata.sqlite");
    let mut expected = 0;
    for seed in 0..10 {
        let mut committer = Committer::start(&path);
        let found = committer.answer("SELECT 'rows ' || count(*) FROM t;");
        assert_eq!(found, format!("rows {expected}"), "before seed {seed}");
        for _ in 0..5 {
            committer.commit();
            expected += 1;
        }
        // Killed as by the power loss: at its end it would checkpoint and sync.
        committer.sqlite.kill().unwrap();
        committer.sqlite.wait().unwrap();
        scratch.disk.cut(seed).unwrap();
    }
    assert_eq!(recovered(&path), Some(expected));
}

#[test]
fn two_connections_share_the_log_and_a_reader_sees_every_commit() {
    let scratch = Scratch::new();
    let path = scratch.at("metadata.sqlite");
    let writer = open(&path, "FULL");
    let reader = Connection::open(&path).unwrap();
    for id in 1..=COMMITS {
        commit(&writer, id);
        let seen: i64 = reader
            .query_row("SELECT max(id) FROM t", (), |row| row.get(0))
            .unwrap();
        assert_eq!(seen, id);
    }
    // A second writer waits for the lock of the first: locks work.
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    reader.busy_timeout(std::time::Duration::ZERO).unwrap();
    assert!(reader.execute_batch("BEGIN IMMEDIATE").is_err());
    assert_eq!(
        recovered(&scratch.after(PowerLoss::Total).join("metadata.sqlite")),
        Some(COMMITS)
    );
}
