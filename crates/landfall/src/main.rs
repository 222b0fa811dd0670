//! The `landfall` program.
#![forbid(unsafe_code)]

mod config;

fn main() {}
