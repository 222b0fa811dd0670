//! Tests of the master key, its file, and what is sealed under it.

#![forbid(unsafe_code)]

mod file;
mod sealing;
