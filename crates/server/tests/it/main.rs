//! The integration tests of the server, in one binary.

mod listen;
mod observe;
