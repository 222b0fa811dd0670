//! Landfall from outside: the program, started and used as people do.

#![forbid(unsafe_code)]

mod server;
mod start;
