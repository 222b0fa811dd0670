//! The way of a line to the disk: what waits at the same time is written in
//! one transaction.
//!
//! # Two at once
//!
//! Whoever adds a line while nobody writes starts a task that writes until
//! nothing waits any more. Lines that come meanwhile wait for the next
//! transaction, and share it. A caller that goes away takes nothing along: its
//! line is written.
//!
//! # Failure
//!
//! Where the database is away or full, everybody whose line was in the
//! transaction learns that. Their requests fail, and nothing of them is answered
//! with success. Any other failure may lie in one line: then each is written by
//! itself, and only who wrote the bad one is told.

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use landfall_clock::Timestamp;
use landfall_database::Database;
use landfall_ids::AuditId;
use tokio::sync::oneshot;

use super::{AuditEvent, AuditOutcome};
use crate::{Error, store};

/// Lines in one transaction, at the most.
const BATCH: usize = 256;
/// Lines that wait, at the most: more than requests can be there at once.
const WAITING: usize = 100_000;
/// By how much a line's time may be that of the one before instead of the
/// clock's, which was set back.
const STEPS_BACK: std::time::Duration = std::time::Duration::from_mins(1);
/// The longest text in a column, in bytes.
const LONGEST: usize = 4096;
/// The longest text in a column with an index, in bytes: PostgreSQL takes no
/// more than 2704 in an entry.
const LONGEST_INDEXED: usize = 512;

/// A line as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct AuditRow {
    pub(crate) id: AuditId,
    pub(crate) at: Timestamp,
    pub(crate) principal: Option<Vec<u8>>,
    pub(crate) account: Option<Vec<u8>>,
    pub(crate) account_name: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) credential: String,
    pub(crate) credential_id: Option<String>,
    pub(crate) request: Option<String>,
    pub(crate) action: String,
    pub(crate) resource_kind: String,
    pub(crate) resource_id: Option<String>,
    pub(crate) resource_name: String,
    pub(crate) resource_account: Option<String>,
    /// `None` if it was allowed.
    pub(crate) reason: Option<String>,
    pub(crate) policies: String,
    pub(crate) detail: Option<String>,
    pub(crate) times: u64,
}

/// The line of an event, at this time.
pub(crate) fn row(event: AuditEvent, id: AuditId, at: Timestamp) -> AuditRow {
    let principal = event.principal.as_deref();
    let reason = match event.outcome {
        AuditOutcome::Allowed => None,
        AuditOutcome::Refused { reason } => Some(clean(reason)),
    };
    AuditRow {
        id,
        at,
        principal: principal.map(|principal| principal.id.as_bytes().to_vec()),
        account: principal.map(|principal| principal.account.as_bytes().to_vec()),
        account_name: principal.map(|principal| principal.account_name.clone()),
        name: principal.map(|principal| principal.name.clone()),
        source: event.source.map(|source| source.to_canonical().to_string()),
        credential: event.credential.kind.as_str().to_owned(),
        credential_id: event.credential.id.map(clean),
        request: event.request.map(clean),
        action: clean(event.action.into_owned()),
        resource_kind: clean(event.resource.kind.into_owned()),
        resource_id: event.resource.id.map(clean),
        resource_name: clean_to(event.resource.name, LONGEST_INDEXED),
        resource_account: event
            .resource
            .account
            .map(|account| clean_to(account, LONGEST_INDEXED)),
        reason,
        policies: serde_json::to_string(&event.policies).unwrap_or_default(),
        detail: event.detail.map(clean),
        times: event.times,
    }
}

/// What came from outside, as a column takes it: bounded, and without
/// characters that could not be stored or would move a terminal's cursor.
fn clean(text: String) -> String {
    clean_to(text, LONGEST)
}

/// As [`clean`], with a bound of its own.
fn clean_to(text: String, longest: usize) -> String {
    if text.len() <= longest && !text.contains(char::is_control) {
        return text;
    }
    let mut cleaned = String::with_capacity(text.len().min(longest));
    for letter in text.chars() {
        if cleaned.len() + letter.len_utf8() > longest {
            break;
        }
        cleaned.push(if letter.is_control() { ' ' } else { letter });
    }
    cleaned
}

type Answer = oneshot::Sender<Result<(), landfall_database::Error>>;

#[derive(Default)]
struct State {
    waiting: Vec<(AuditRow, Answer)>,
    /// Whether a task writes.
    writing: bool,
    /// The last identity that was given, and its time.
    last: Option<(AuditId, Timestamp)>,
}

struct Shared {
    database: Database,
    /// A std mutex: it is held to add a line or to take what waits, and never
    /// across an await.
    state: Mutex<State>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines on their way.
pub(crate) struct Queue(Arc<Shared>);

impl Queue {
    pub(crate) fn new(database: Database) -> Self {
        Self(Arc::new(Shared {
            database,
            state: Mutex::default(),
        }))
    }

    /// The line of an event, with its identity, for who writes it in a
    /// transaction of their own.
    pub(crate) fn stamp(&self, event: AuditEvent, now: Timestamp) -> AuditRow {
        self.0.lock().stamp(event, now)
    }

    /// Adds the line of an event; the future is done when it is on the disk.
    pub(crate) fn add(
        &self,
        event: AuditEvent,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.0.lock();
        let full = state.waiting.len() >= WAITING;
        if !full {
            let row = state.stamp(event, now);
            state.waiting.push((row, answer));
            if !state.writing {
                state.writing = true;
                tokio::spawn(write_all(Arc::clone(&self.0)));
            }
        }
        drop(state);
        async move {
            if full {
                return Err(Error::Unavailable);
            }
            let written = answered.await;
            Ok(written.unwrap_or(Err(landfall_database::Error::Stopped))?)
        }
    }
}

impl State {
    fn stamp(&mut self, event: AuditEvent, now: Timestamp) -> AuditRow {
        let mut at = now;
        let mut id = AuditId::new_at(at.unix_micros());
        if let Some((last, then)) = self.last
            && then.since(now) <= STEPS_BACK
        {
            at = at.max(then);
            id = AuditId::new_at(at.unix_micros());
            if id <= last {
                id = after(last);
            }
        }
        self.last = Some((id, at));
        row(event, id, at)
    }
}

/// The next identity, where two were made in one millisecond.
fn after(id: AuditId) -> AuditId {
    let next = u128::from_be_bytes(*id.as_bytes()).saturating_add(1);
    AuditId::from_bytes(&next.to_be_bytes()).unwrap_or(id)
}

/// Writes until nothing waits.
async fn write_all(shared: Arc<Shared>) {
    loop {
        let batch = {
            let mut state = shared.lock();
            if state.waiting.is_empty() {
                state.writing = false;
                return;
            }
            let most = state.waiting.len().min(BATCH);
            state.waiting.drain(..most).collect::<Vec<_>>()
        };
        let (rows, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let rows = Arc::new(rows);
        let together = write(&shared.database, &rows, 0..rows.len()).await;
        let alone = together.as_ref().is_err_and(may_be_of_one_line) && rows.len() > 1;
        for (index, answer) in answers.into_iter().enumerate() {
            let written = if alone {
                write(&shared.database, &rows, index..index + 1).await
            } else {
                together.as_ref().copied().map_err(repeated)
            };
            // Who has gone away needs no answer.
            let _ = answer.send(written);
        }
    }
}

/// Writes some of the lines in one transaction.
async fn write(
    database: &Database,
    rows: &Arc<Vec<AuditRow>>,
    some: Range<usize>,
) -> Result<(), landfall_database::Error> {
    let rows = Arc::clone(rows);
    let written = database.write(move |tx| {
        let some = rows.get(some.clone()).unwrap_or_default();
        store::audit::audit_insert(tx, some)
    });
    written.await
}

/// Whether others may be written where this failed, and nothing was kept.
fn may_be_of_one_line(error: &landfall_database::Error) -> bool {
    use landfall_database::Error;
    !matches!(
        error,
        Error::Unavailable(_)
            | Error::Full
            | Error::ReadOnly
            | Error::Busy
            | Error::Unknown
            | Error::Stopped
    )
}

/// The same failure for each of those that waited.
fn repeated(error: &landfall_database::Error) -> landfall_database::Error {
    use landfall_database::Error;
    match error {
        Error::Unavailable(reason) => Error::Unavailable(reason.clone()),
        Error::Full => Error::Full,
        Error::ReadOnly => Error::ReadOnly,
        Error::Busy => Error::Busy,
        Error::Unknown => Error::Unknown,
        Error::Stopped => Error::Stopped,
        other => Error::Failed(other.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Caller;

    #[test]
    fn lines_grow_also_when_the_clock_goes_back_a_little() {
        let mut state = State::default();
        let start = Timestamp::from_unix_micros(1_800_000_000_000_000);
        let mut last = None;
        for number in 0..1000_u64 {
            // Forward by 1 ms in 10 lines, and back by 30 s each 100.
            let at = start + Duration::from_micros(number * 100);
            let now = if number % 100 == 99 {
                at - Duration::from_secs(30)
            } else {
                at
            };
            let event = AuditEvent::new(&Caller::ANONYMOUS, "login", "principal", "x");
            let row = state.stamp(event, now);
            assert!(last.is_none_or(|last| last < (row.id, row.at)), "{number}");
            last = Some((row.id, row.at));
        }
    }

    #[test]
    fn what_was_sent_can_be_stored_and_shown() {
        let sent = format!("a\0b\x1b[31m{}", "ä".repeat(LONGEST));
        let cleaned = clean(sent);
        assert!(cleaned.starts_with("a b [31mä"));
        assert!(cleaned.len() <= LONGEST);
        assert_eq!(clean_to("aä".to_owned(), 2), "a", "no half a letter");
    }
}
