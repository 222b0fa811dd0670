//! Landfall from outside: the program, started and used as people do.

#![forbid(unsafe_code)]

mod api;
mod backends;
mod cli;
mod clients;
mod conformance;
mod events;
mod faults;
mod hostile;
mod server;
mod services;
mod session;
mod start;

landfall_power_cut::volatile_disk_process!();
