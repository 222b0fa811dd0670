//! The rules of the house that the compiler doesn't know, and the rounds of
//! the long tests.
//!
//! The rules themselves are tests (`tests/it/`): which crate may use which,
//! what a source file may hold, whether the documents still say the truth.
//! What they share with other crates' tests is here: [`Rounds`] for a test
//! that repeats something many times, and [`table`] for the documents that
//! tests read.
//!
//! **Invariant**: a number that a document states is read from the document,
//! so the two can't drift apart.

#![forbid(unsafe_code)]

mod rounds;
mod table;
mod tree;

pub use rounds::Rounds;
pub use table::{code, table};
pub use tree::{read, root};
