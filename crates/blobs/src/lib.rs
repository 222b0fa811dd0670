#![doc = include_str!("../README.md")]
// One system call has no safe wrapper: see `disk::writeback`.
#![deny(unsafe_code)]

mod disk;
pub mod durability;
mod error;
mod faulty;
mod fence;
mod gated;
mod location;
mod marker;
mod s3;
mod source;
mod store;

pub use disk::DiskStore;
pub use error::Error;
pub use faulty::{Calls, Fault, FaultyStore, Moment, Operation};
pub use gated::GatedStore;
pub use location::{InvalidLocation, Location};
pub use s3::{InvalidS3Url, S3Key, S3Options, S3Store};
pub use source::{BlobSource, BlobStream, Chunk, FilePart, Piece, RangeReader};
pub use store::{
    BlobStore, Finished, Resume, Staged, StagedObject, Staging, StoredObject, Suspended,
};
