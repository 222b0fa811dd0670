//! Test tools for durability: what is left after the power goes?
//!
//! Two tools, each one a proof from another side:
//!
//! - [`volatile_disk`] is a file system that forgets everything that was not
//!   synced. A test runs a server on it, cuts the power, and looks at what a
//!   restart finds. It proves that an outcome is right.
//! - [`syscalls`] reads the system calls of a running server and asserts the
//!   order of them: write, sync, rename, sync of the directory, sync of the
//!   database, and only then the answer. It proves that the outcome was no luck.
//!
//! **Invariant**: this crate knows nothing of Landfall; it can judge any
//! program that keeps files.

#![forbid(unsafe_code)]

pub mod syscalls;
pub mod volatile_disk;
