//! How many statements this process has run.
//!
//! For the metrics, and for tests that hold two requests to the same work: what
//! an answer costs must not tell what others hold. The statements around a
//! transaction, its begin and its end, don't count.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static RUN: AtomicU64 = AtomicU64::new(0);

/// Statements that this process has begun to run on any database.
pub fn statements() -> u64 {
    RUN.load(Relaxed)
}

pub(crate) fn count() {
    RUN.fetch_add(1, Relaxed);
}
