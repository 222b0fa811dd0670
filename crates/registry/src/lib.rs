#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod act;
mod delete;
mod error;
mod event;
mod fsck;
mod garbage;
mod images;
mod layers_check;
mod manifests;
mod model;
mod mounts;
mod opening;
mod pins;
mod promise;
mod pull;
mod referrers;
mod repositories;
mod runs;
mod schema;
mod store;
mod tag_rules;
mod tags;
mod turns;
mod undo;
mod uploads;
mod usage;

use std::{fmt, sync::Arc};

use landfall_blobs::BlobStore;
use landfall_clock::{Clock, Timestamp};
use landfall_database::Database;
use landfall_ids::{ManifestId, StoreId};

pub use error::Error;
pub use fsck::{FsckOptions, FsckProgress, FsckReport, Problem};
pub use garbage::{GarbageOptions, GarbageProgress, GarbageReport};
pub use images::{HistoryEntry, ImageNode};
pub use layers_check::LayerSources;
pub use manifests::PushTarget;
pub use model::*;
pub use opening::restored;
pub use pull::PulledManifest;
pub use repositories::StoreTotals;
pub use runs::{RunKind, RunLease, RunRecord};
pub use schema::MIGRATIONS;
pub use tag_rules::{InvalidTagRules, TagPattern, TagRules};
pub use uploads::Body;
pub use usage::RepositoryUsage;

/// The result of an act of the registry.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The registry: what may be done with repositories, manifests and blobs.
/// Whether the caller may do it was asked before.
///
/// A handle acts for somebody, whose name is written down with what was done
/// ([`Registry::acting_as`]), or else by itself.
#[derive(Clone)]
pub struct Registry {
    database: Database,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    store: StoreId,
    /// Which of the databases of the store this is, if it was restored.
    incarnation: Option<StoreId>,
    manifests: Arc<quick_cache::sync::Cache<ManifestId, Arc<PulledManifest>, pull::ContentWeight>>,
    // Async mutexes: each is held while a run goes on, and only ever tried.
    collecting: Arc<tokio::sync::Mutex<()>>,
    checking: Arc<tokio::sync::Mutex<()>>,
    turns: Arc<turns::Turns>,
    usage: Arc<usage::Counts>,
    actor: Option<Arc<str>>,
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

    /// A handle that acts for somebody of this name.
    #[must_use]
    pub fn acting_as(&self, name: &str) -> Self {
        Self {
            actor: Some(name.into()),
            ..self.clone()
        }
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
