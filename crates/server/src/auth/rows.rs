//! The rows of a request's decisions, on their way to the audit log.
//!
//! A decision on a write is written down, allowed or refused. Its row is begun
//! before the act and awaited before the answer: so it is durable when the
//! caller hears of it, and shares the commit of the act where it can. After a
//! crash in between nobody was told that the act succeeded.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, try_join_all};
use landfall_identity::{AuditEvent, Error, Identity};

type Row = BoxFuture<'static, Result<(), Error>>;

/// Rows that a request has begun to write. Clones are the same rows.
#[derive(Clone, Default)]
// A std mutex: held for a push, or to take all.
pub(crate) struct Rows(Arc<Mutex<Vec<Row>>>);

impl Rows {
    /// Begins to write a row.
    pub(crate) fn begin(&self, identity: &Identity, event: AuditEvent) {
        let row = identity.audit(event).boxed();
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.push(row);
    }

    /// Waits until all rows are on the disk.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        let rows = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        try_join_all(rows).await.map(drop)
    }
}
