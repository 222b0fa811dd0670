#![doc = include_str!("../README.md")]
// One system call has no safe wrapper: see `disk::writeback`.
#![deny(unsafe_code)]

mod disk;
pub mod durability;
mod error;
mod faulty;
mod location;
mod source;
mod store;

pub use disk::DiskStore;
pub use error::Error;
pub use faulty::{Calls, Fault, FaultyStore, Moment, Operation};
pub use location::{InvalidLocation, Location};
pub use source::{BlobSource, BlobStream, RangeReader};
pub use store::{BlobStore, Finished, StagedObject, Staging, StoredObject, Suspended};
