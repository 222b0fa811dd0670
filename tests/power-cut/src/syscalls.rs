//! The order of a server's system calls, recorded by `strace` and asserted.
//!
//! A test runs a server under [`TracedChild::spawn`] (or joins one that runs by
//! [`AttachedTracer::attach`]), lets it work, takes the [`Trace`], and states with
//! [`Order`] what had to happen before what:
//!
//! ```no_run
//! use landfall_power_cut::syscalls::{EventMatch, Order, TracedChild};
//!
//! let server = TracedChild::spawn("some-server", |command| {
//!     command.arg("--data").arg("/tmp/data");
//! })?;
//! // ... push something over plain HTTP/1.1 ...
//! server.terminate()?;
//! let trace = server.finish()?;
//! Order::new()
//!     .then_last(EventMatch::write().under("staging").bind("upload"))
//!     .then(EventMatch::sync().same_as("upload"))
//!     .then(EventMatch::rename().same_as("upload").to_under("blobs").bind_to("blob"))
//!     .then(EventMatch::sync().parent_of("blob"))
//!     // The write first: a sync alone may be that of somebody else's commit.
//!     .then(EventMatch::write().ends_with("metadata.sqlite-wal"))
//!     .then(EventMatch::sync().ends_with("metadata.sqlite-wal"))
//!     .then(EventMatch::write().starting_with("HTTP/1.1 201"))
//!     .check(&trace)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What "before" means
//! One call is before another when its result was recorded before the other
//! began. The kernel stops a thread at both ends of a call and lets it go on
//! after the line is noted, so this order is the true one, across threads as well.
//!
//! # What cannot be seen
//! Writes through mappings and by `io_uring`; answers in HTTP/2 or TLS, whose
//! bytes do not show the status; the end of payloads longer than
//! [`PAYLOAD_BYTES`].

mod event;
mod line;
mod matcher;
mod order;
mod trace;
mod tracer;

pub use event::{Call, Event, Outcome, Target};
pub use matcher::EventMatch;
pub use order::{Order, Report, Violation};
pub use trace::{NotATrace, Trace};
pub use tracer::{AttachedTracer, PAYLOAD_BYTES, TRACED_CALLS, TracedChild, TracerError};
