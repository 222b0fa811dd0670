//! Faults, done to the real program: it is killed, its power goes, its disk is
//! full, can't be written, or gives other bytes back.
//!
//! The clients of these tests keep a **ledger** of what was acknowledged to
//! them. After the fault a server is started on what is there, and compared
//! with the ledgers: everything that was acknowledged is there and has its
//! bytes, nothing is half there, uploads go on where they stood.
//!
//! | file | subject |
//! |---|---|
//! | `dice`, `content` | what a seed makes: choices, blobs, images |
//! | `client` | requests whose answer may be lost |
//! | `ledger`, `hand`, `load` | what is known; a client that writes it down; many of them |
//! | `collector` | garbage collection, again and again |
//! | `verify` | a server against the ledgers |
//! | `services` | PostgreSQL that goes and comes back, S3 that misbehaves |
//! | `shop`, `mounts` | one client without haste; small disks that can fail |
//!
//! Needs root, `strace` and `/dev/fuse`.

mod client;
mod collector;
mod content;
mod damage;
mod dice;
mod disk_full;
mod hand;
mod kill;
mod ledger;
mod load;
mod mounts;
mod power;
mod read_only;
mod services;
mod shop;
mod syscalls;
mod verify;
