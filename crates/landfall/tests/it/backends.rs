//! Where the servers of the tests keep what they have: in their data folder, or
//! in PostgreSQL and a bucket of an S3 server.
//!
//! Whole suites run on both. `services` runs this program once more with
//! [`SUITE`] in its environment, and then every server that a test starts gets a
//! database and a bucket of its own, one pair for each data folder.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use landfall_services::{
    postgres,
    s3::{self, S3Target},
};

use crate::server::Options;

/// Set where all servers are to be on [`Backends::services`].
pub(crate) const SUITE: &str = "LANDFALL_TEST_SUITE_ON_SERVICES";

/// A database and a bucket, for one server or several.
#[derive(Debug, Clone)]
pub(crate) struct Backends {
    pub(crate) database: String,
    /// `None` for the disk.
    pub(crate) bucket: Option<S3Target>,
}

impl Backends {
    /// A fresh PostgreSQL database and a fresh bucket.
    pub(crate) fn services() -> Self {
        Self {
            bucket: Some(s3::bucket()),
            ..Self::postgres()
        }
    }

    /// A fresh PostgreSQL database; the blobs are on the disk.
    pub(crate) fn postgres() -> Self {
        Self {
            database: postgres::fresh().to_string(),
            bucket: None,
        }
    }

    /// The variables that a server needs.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let mut all = vec![("LANDFALL_DATABASE_URL", self.database.clone())];
        if let Some(bucket) = &self.bucket {
            all.extend([
                ("LANDFALL_BLOBS_URL", bucket.url()),
                ("AWS_ACCESS_KEY_ID", bucket.key.clone()),
                ("AWS_SECRET_ACCESS_KEY", bucket.secret.clone()),
            ]);
        }
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        all.into_iter().map(owned).collect()
    }
}

impl Options {
    /// On these backends.
    #[must_use]
    pub(crate) fn on(mut self, backends: &Backends) -> Self {
        self.environment.extend(backends.variables());
        self
    }
}

/// What a server on `data` gets on top of what its test says.
pub(crate) fn of_suite(data: &Path) -> Vec<(String, String)> {
    // A std mutex: held to look up or to make a pair.
    static PAIRS: Mutex<Option<HashMap<PathBuf, Backends>>> = Mutex::new(None);
    if std::env::var_os(SUITE).is_none() {
        return Vec::new();
    }
    let mut pairs = PAIRS.lock().unwrap_or_else(PoisonError::into_inner);
    let pairs = pairs.get_or_insert_default();
    pairs
        .entry(data.to_owned())
        .or_insert_with(Backends::services)
        .variables()
}
