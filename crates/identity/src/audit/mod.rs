//! The audit log: who did what, from where, and which policy let them.
//!
//! # What may be relied on
//!
//! - **A line is on the disk when [`Identity::audit`] is done.** A request that
//!   writes waits for its line before it answers. Lines of requests at the same
//!   time are written together ([`queue`]).
//! - A change of identities and its line are one transaction
//!   (`Identity::change`): there is a line if and only if there was a change.
//! - Lines of one server have identities that grow in the order in which they
//!   were asked for, and times that don't go back, unless its clock was set back
//!   by more than a minute.
//! - Lines are added, and taken away when they are older than the retention.
//!   Nothing changes them.
//!
//! # Bounds
//!
//! Whoever guesses passwords could fill the disk with refused log-ins, so of
//! each source, and of all of them, some are written for each minute, and the
//! others are counted in one line ([`refused`]).
//!
//! # Crashes
//!
//! Refused log-ins that were counted and not written yet are lost with the
//! server: those of the last minute. Everything else was on the disk before
//! it was answered.

mod event;
mod queue;
mod refused;

pub use event::{AuditEntry, AuditEvent, AuditFilter, AuditOutcome, AuditPrincipal, AuditResource};
pub(crate) use queue::{AuditRow, Queue, row};
pub(crate) use refused::Refused;

use std::{net::IpAddr, time::Duration};

use landfall_ids::AuditId;
use refused::Verdict;

use crate::{Caller, Credential, Error, Identity, LocalName, OPERATOR_ACCOUNT, Page, store};

/// The longest login name that is written of a refused log-in, in bytes: longer
/// than any that there is.
const LONGEST_NAME: usize = 256;
/// Lines that one step of the pruning takes away.
const STEP: usize = 500;
/// How often counted log-ins are written.
const BETWEEN_COUNTS: Duration = Duration::from_secs(10);
/// How often old lines are taken away.
const BETWEEN_PRUNINGS: Duration = Duration::from_mins(10);

impl Identity {
    /// Adds a line. It takes its place at once, and is on the disk when the
    /// future is done; whether that is waited for or not, it is written.
    pub fn audit(
        &self,
        event: AuditEvent,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.audit.add(event, self.clock.now())
    }

    /// The lines that are wanted, the newest first: those before `before`.
    pub async fn audit_list(
        &self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: usize,
    ) -> Result<Page<AuditEntry>, Error> {
        let filter = filter.clone();
        let listed = self.database.read_long(move |tx| {
            store::audit::audit_list(tx, &filter, before, limit.saturating_add(1), true)
        });
        Ok(Page::cut(listed.await?, limit))
    }

    /// The lines that are wanted, the oldest first: those after `after`. Lines
    /// of the last seconds may still come before the last one: other servers
    /// may not have written theirs.
    pub async fn audit_export(
        &self,
        filter: &AuditFilter,
        after: Option<AuditId>,
        limit: usize,
    ) -> Result<Page<AuditEntry>, Error> {
        let filter = filter.clone();
        let listed = self.database.read_long(move |tx| {
            store::audit::audit_list(tx, &filter, after, limit.saturating_add(1), false)
        });
        Ok(Page::cut(listed.await?, limit))
    }

    /// Takes away the lines that are older than the retention, some at a time,
    /// behind the foreground. How many there were.
    pub async fn audit_prune(&self) -> Result<u64, Error> {
        let Some(retention) = self.settings.audit_retention else {
            return Ok(0);
        };
        let before = self.clock.now() - retention;
        let mut pruned = 0;
        loop {
            let step = self
                .database
                .write_behind(move |tx| store::audit::audit_prune(tx, before, STEP))
                .await?;
            pruned += step;
            if step < STEP as u64 {
                return Ok(pruned);
            }
        }
    }

    /// Notes that a credential was refused: a line, or one more of those that
    /// are counted. `name` is the login name that was sent with it.
    pub(crate) async fn login_refused(
        &self,
        name: &str,
        credential: Credential,
        source: Option<IpAddr>,
        reason: &'static str,
    ) -> Result<(), Error> {
        let passed = self.clock.monotonic();
        let verdict = self.refused.note(source, passed);
        for counted in self.refused.ended(passed) {
            // Its line takes its place; nobody waits for it.
            drop(self.audit(counted.event()));
        }
        if verdict == Verdict::Counted {
            return Ok(());
        }
        let caller = Caller {
            credential,
            ..Caller::anonymous(source)
        };
        let account = name.parse::<LocalName>().map_or_else(
            |_| OPERATOR_ACCOUNT.to_owned(),
            |name| name.account().to_owned(),
        );
        let event = AuditEvent::new(&caller, "login", "principal", clip(name))
            .account(account)
            .refused(reason);
        self.audit(event).await
    }

    /// Writes what was counted of refused log-ins, all of it if the server
    /// ends.
    pub async fn audit_finish(&self) {
        self.audit_counted(true).await;
    }

    async fn audit_counted(&self, all: bool) {
        let counted = if all {
            self.refused.all()
        } else {
            self.refused.ended(self.clock.monotonic())
        };
        for counted in counted {
            if let Err(error) = self.audit(counted.event()).await {
                tracing::warn!(%error, "refused log-ins are not in the audit log");
            }
        }
    }

    /// Keeps the audit log in order, for as long as the server runs: writes what
    /// was counted, and takes away what is old.
    pub async fn keep_audit(&self) {
        let mut pruned: Option<Duration> = None;
        loop {
            self.audit_counted(false).await;
            let now = self.clock.monotonic();
            if pruned.is_none_or(|last| now.saturating_sub(last) >= BETWEEN_PRUNINGS) {
                pruned = Some(now);
                match self.audit_prune().await {
                    Ok(0) => {}
                    Ok(lines) => tracing::info!(lines, "old lines left the audit log"),
                    Err(error) => {
                        tracing::warn!(%error, "old lines of the audit log were not taken away");
                    }
                }
            }
            tokio::time::sleep(BETWEEN_COUNTS).await;
        }
    }
}

/// The beginning of what was sent as a name, up to a character's end.
fn clip(name: &str) -> &str {
    &name[..name.floor_char_boundary(LONGEST_NAME)]
}
