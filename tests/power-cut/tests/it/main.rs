//! The test tools, tested: on a real mount, on a real `SQLite`, on real traces.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disk_files;
mod disk_names;
mod disk_process;
mod disk_sqlite;
mod order;
mod scratch;
mod tracer;

landfall_power_cut::volatile_disk_process!();
