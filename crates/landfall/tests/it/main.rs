//! Landfall from outside: the program, started and used as people do.

#![forbid(unsafe_code)]

mod conformance;
mod server;
mod session;
mod start;
