//! Copies, against a registry that lies on request and against files that
//! somebody else has made.

#![forbid(unsafe_code)]

mod archives;
mod fake;
mod hostile_files;
mod images;
mod interruptions;
mod layouts;
mod lies;
mod logins;
mod names;
mod properties;
mod referrers;
mod world;
