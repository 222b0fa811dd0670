//! Runs of the collector and of the check, as all servers know them.
//!
//! One server at a time does a run of a kind: it holds the kind's lease, and
//! notes now and then how far it is. The others read that. The lease is
//! politeness and no protocol: two collectors at once are slower, and as right.
//! A run whose server dies is lost when its lease ends; it can simply be started
//! again. What a run tells of itself is a document that only its server
//! understands.
//!
//! On SQLite there is one server. A run that it finds held was its own, in an
//! earlier life, so it waits for no lease.

use std::time::Duration;

use landfall_clock::Timestamp;
use landfall_database::{
    Kind,
    lease::{Lease, lease_release, lease_renew, lease_take, lease_take_again},
};
use landfall_ids::RunId;

use crate::{Error, Registry, Result, store::runs};

/// How long the others wait for a server that has died.
const LEASE: Duration = Duration::from_secs(15);
/// Runs of each kind that are remembered.
const REMEMBERED: usize = 20;

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    /// The collector of garbage.
    Garbage,
    /// The check of the store.
    Check,
}

impl RunKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::Check => "check",
        }
    }

    fn lease(self) -> &'static str {
        match self {
            Self::Garbage => "run-garbage",
            Self::Check => "run-check",
        }
    }
}

/// A run that this server does.
#[derive(Debug)]
pub struct RunLease {
    id: RunId,
    lease: Lease,
}

impl RunLease {
    /// Whether nobody else can have begun by now.
    pub fn is_fresh(&self) -> bool {
        self.lease.is_fresh()
    }
}

/// A run that some server does or did.
#[derive(Debug)]
pub struct RunRecord {
    /// Its identity, which tells when it began.
    pub id: RunId,
    /// What its server has noted last.
    pub document: String,
    /// When its server was last heard of, if that is gone and the run with it.
    pub lost: Option<Timestamp>,
}

impl Registry {
    /// Begins a run of this server. [`Error::RunGoingOn`] while another server
    /// does one of the kind; this one knows what it does itself.
    pub async fn run_begin(&self, kind: RunKind, id: RunId, document: String) -> Result<RunLease> {
        let now = self.clock.now();
        let alone = self.database.kind() == Kind::Sqlite;
        self.database
            .write(move |tx| {
                let lease = if alone {
                    lease_take_again(tx, kind.lease(), "the only server", LEASE)?
                } else {
                    lease_take(tx, kind.lease(), &id.to_string(), LEASE)?
                };
                let lease = lease.ok_or(Error::RunGoingOn)?;
                runs::run_end_lost(tx, kind)?;
                runs::run_insert(tx, id, kind, lease.token(), &document, now)?;
                runs::run_prune(tx, kind, REMEMBERED)?;
                Ok(RunLease { id, lease })
            })
            .await
    }

    /// Notes how far a run is; `false` if it was taken from this server, which
    /// has been silent for too long.
    pub async fn run_note(&self, run: &mut RunLease, document: String) -> Result<bool> {
        let (id, lease, now) = (run.id, run.lease.clone(), self.clock.now());
        let renewed = self
            .database
            .write(move |tx| {
                let renewed = lease_renew(tx, &lease)?;
                if renewed.is_some() {
                    runs::run_note(tx, id, &document, now, None)?;
                }
                Ok::<_, Error>(renewed)
            })
            .await?;
        let held = renewed.is_some();
        if let Some(lease) = renewed {
            run.lease = lease;
        }
        Ok(held)
    }

    /// Notes how a run has ended, and lets others begin.
    pub async fn run_end(&self, run: RunLease, document: String) -> Result<()> {
        let now = self.clock.now();
        self.database
            .write(move |tx| {
                runs::run_note(tx, run.id, &document, now, Some(now))?;
                lease_release(tx, &run.lease)?;
                Ok(())
            })
            .await
    }

    /// The last runs of all servers, the last one first.
    pub async fn run_list(&self, kind: RunKind) -> Result<Vec<RunRecord>> {
        self.database
            .read(move |tx| Ok(runs::run_list(tx, kind, kind.lease())?))
            .await
    }
}
