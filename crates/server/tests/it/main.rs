//! The integration tests of the server, in one binary.

#![forbid(unsafe_code)]

mod listen;
mod observe;
mod worlds;
