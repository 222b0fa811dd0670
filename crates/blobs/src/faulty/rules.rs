//! Which call fails, how, and when.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_core::future::BoxFuture;
use landfall_ids::UploadId;
use rustix::io::Errno;

use crate::{Error, Location};

/// A call that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`BlobStore::store_id`](crate::BlobStore::store_id)
    StoreId,
    /// [`BlobStore::claim`](crate::BlobStore::claim)
    Claim,
    /// [`BlobStore::stage`](crate::BlobStore::stage)
    Stage,
    /// [`Staging::append`](crate::Staging::append)
    Append,
    /// [`Staging::suspend`](crate::Staging::suspend)
    Suspend,
    /// [`Staging::finish`](crate::Staging::finish)
    Finish,
    /// [`BlobStore::promote`](crate::BlobStore::promote)
    Promote,
    /// [`BlobStore::discard`](crate::BlobStore::discard)
    Discard,
    /// [`BlobStore::digest_staged`](crate::BlobStore::digest_staged)
    DigestStaged,
    /// [`BlobStore::open`](crate::BlobStore::open)
    Open,
    /// One chunk of a [`BlobStream`](crate::BlobStream).
    Read,
    /// [`BlobStore::delete`](crate::BlobStore::delete)
    Delete,
    /// [`BlobStore::quarantine`](crate::BlobStore::quarantine)
    Quarantine,
    /// One entry of [`BlobStore::list`](crate::BlobStore::list), or its end.
    List,
    /// One entry of [`BlobStore::list_staged`](crate::BlobStore::list_staged),
    /// or its end.
    ListStaged,
    /// [`BlobStore::probe`](crate::BlobStore::probe)
    Probe,
}

/// Which calls of an operation a rule is for, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// One of them.
    Nth(u64),
    /// This one and all that come after it.
    From(u64),
    /// All of them.
    All,
}

/// The error that a call fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// [`Error::NotFound`] for a call about a location, otherwise [`Error::Io`].
    NotFound,
    /// [`Error::Damaged`] for a call about a location, otherwise [`Error::Io`].
    Damaged,
    /// [`Error::Lost`] for a call about an upload, otherwise [`Error::Io`].
    Lost,
    /// [`Error::Superseded`] for a call about an upload, otherwise
    /// [`Error::Io`].
    Superseded,
    /// [`Error::Full`]
    Full,
    /// [`Error::ReadOnly`]
    ReadOnly,
    /// [`Error::Away`]
    Away,
    /// [`Error::Io`]
    Io,
}

/// When a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing was done.
    Before,
    /// It was done, but the answer is an error.
    After,
}

/// What a call is about, for the error's fields.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    Store,
    Upload(UploadId),
    Location(Location),
}

pub(super) type Hook = Arc<dyn Fn(u64) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Debug, Default)]
pub(super) struct Rules {
    // Held to count or to change rules, never over an await.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: HashMap<Operation, u64>,
    faults: Vec<(Operation, Calls, Fault, Moment)>,
    stalls: Vec<(Operation, Calls, Hook)>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("counts", &self.counts)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

impl Calls {
    fn contains(self, call: u64) -> bool {
        match self {
            Self::Nth(nth) => call == nth,
            Self::From(first) => call >= first,
            Self::All => true,
        }
    }
}

impl Fault {
    fn error(self, subject: &Subject) -> Error {
        let location = |make: fn(Location) -> Error| match subject {
            Subject::Location(location) => Some(make(location.clone())),
            Subject::Store | Subject::Upload(_) => None,
        };
        let upload = |make: fn(UploadId) -> Error| match subject {
            Subject::Upload(upload) => Some(make(*upload)),
            Subject::Store | Subject::Location(_) => None,
        };
        let fitting = match self {
            Self::NotFound => location(|location| Error::NotFound { location }),
            Self::Damaged => location(|location| Error::Damaged {
                location,
                missing: 1,
            }),
            Self::Lost => upload(|upload| Error::Lost { upload }),
            Self::Superseded => upload(|upload| Error::Superseded { upload }),
            Self::Full => Some(Error::io("a rule", Errno::NOSPC)),
            Self::ReadOnly => Some(Error::io("a rule", Errno::ROFS)),
            Self::Away => Some(Error::Away(io::Error::from(Errno::CONNREFUSED))),
            Self::Io => None,
        };
        fitting
            .unwrap_or_else(|| Error::io("a call that a rule is for", io::Error::from(Errno::IO)))
    }
}

impl Rules {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_fault(
        &self,
        operation: Operation,
        calls: Calls,
        fault: Fault,
        moment: Moment,
    ) {
        self.state().faults.push((operation, calls, fault, moment));
    }

    pub(super) fn add_stall(&self, operation: Operation, calls: Calls, hook: Hook) {
        self.state().stalls.push((operation, calls, hook));
    }

    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.stalls.clear();
    }

    pub(super) fn calls(&self, operation: Operation) -> u64 {
        self.state().counts.get(&operation).copied().unwrap_or(0)
    }

    /// Does `work` as one call of `operation`, by the rules as they stand when
    /// it starts.
    pub(super) async fn call<T>(
        &self,
        operation: Operation,
        subject: &Subject,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let (call, stalls, fault) = self.begin(operation);
        for hook in stalls {
            hook(call).await;
        }
        match fault {
            Some((fault, Moment::Before)) => Err(fault.error(subject)),
            Some((fault, Moment::After)) => {
                work.await?;
                Err(fault.error(subject))
            }
            None => work.await,
        }
    }

    fn begin(&self, operation: Operation) -> (u64, Vec<Hook>, Option<(Fault, Moment)>) {
        let mut state = self.state();
        let count = state.counts.entry(operation).or_default();
        *count += 1;
        let call = *count;
        let is_for = |to: Operation, calls: Calls| to == operation && calls.contains(call);
        let stalls = state
            .stalls
            .iter()
            .filter(|(to, calls, _)| is_for(*to, *calls));
        let stalls = stalls.map(|(_, _, hook)| Arc::clone(hook)).collect();
        let fault = state
            .faults
            .iter()
            .find(|(to, calls, ..)| is_for(*to, *calls));
        let fault = fault.map(|(_, _, fault, moment)| (*fault, *moment));
        (call, stalls, fault)
    }
}
