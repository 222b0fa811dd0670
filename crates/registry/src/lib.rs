#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod delete;
mod error;
mod fsck;
mod garbage;
mod images;
mod layers_check;
mod manifests;
mod model;
mod mounts;
mod opening;
mod promise;
mod pull;
mod referrers;
mod repositories;
mod schema;
mod store;
mod tags;
mod turns;
mod uploads;

use std::{fmt, sync::Arc};

use landfall_blobs::BlobStore;
use landfall_clock::{Clock, Timestamp};
use landfall_database::Database;
use landfall_ids::{ManifestId, StoreId};

pub use error::Error;
pub use fsck::{FsckOptions, FsckProgress, FsckReport, Problem};
pub use garbage::{GarbageOptions, GarbageProgress, GarbageReport};
pub use images::{HistoryEntry, ImageNode};
pub use manifests::PushTarget;
pub use model::*;
pub use repositories::StoreTotals;
pub use schema::MIGRATIONS;
pub use uploads::Body;

/// The result of an act of the registry.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The registry: what may be done with repositories, manifests and blobs.
/// Whether the caller may do it was asked before.
pub struct Registry {
    database: Database,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    store: StoreId,
    manifests: quick_cache::sync::Cache<ManifestId, Arc<StoredManifest>, pull::ContentWeight>,
    collecting: tokio::sync::Mutex<()>,
    checking: tokio::sync::Mutex<()>,
    turns: turns::Turns,
}

impl Registry {
    /// The one identity that the metadata and the bytes carry.
    pub fn store_id(&self) -> StoreId {
        self.store
    }

    /// What the operator has decided.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn promise(&self) -> promise::Promise {
        promise::Promise(self.settings.promise)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
