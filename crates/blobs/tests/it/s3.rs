//! What is true of the store in a bucket, over a real server.

mod faults;
mod refusals;
mod writers;

use std::{sync::Arc, time::Duration};

use landfall_blobs::{BlobStore, S3Key, S3Options, S3Store};
use landfall_services::s3::{self, S3Target};

/// A store in a bucket of its own.
pub(crate) struct Bucket {
    pub(crate) target: S3Target,
    pub(crate) store: Arc<dyn BlobStore>,
}

/// How to use a bucket.
pub(crate) fn options(target: &S3Target) -> S3Options {
    let mut options: S3Options = target.url().parse().expect("a bucket's URL");
    options.key = Some(S3Key {
        id: target.key.clone(),
        secret: target.secret.clone(),
        session: None,
    });
    options.silence = Duration::from_secs(10);
    options.patience = Duration::from_secs(20);
    options
}

/// One more process over a bucket.
pub(crate) fn open(target: &S3Target) -> Arc<dyn BlobStore> {
    Arc::new(S3Store::new(options(target)).expect("a store"))
}

impl Bucket {
    pub(crate) fn new() -> Self {
        let target = s3::bucket();
        let store = open(&target);
        Self { target, store }
    }

    pub(crate) fn store(&self) -> Arc<dyn BlobStore> {
        Arc::clone(&self.store)
    }
}

contract_tests!(super::s3::Bucket::new());
