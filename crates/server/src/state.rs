//! What every handler has at hand.

use std::{path::PathBuf, sync::Arc, time::Duration};

use landfall_clock::Clock;
use landfall_database::Database;
use landfall_identity::Identity;
use landfall_registry::Registry;

use crate::{observe::Metrics, runs::Runs};

/// What the operator decides about the HTTP service.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The URL that clients reach this server by, without a slash at the end.
    /// Without it, the `Host` header of each request tells.
    pub external_url: Option<String>,
    /// Where files that are being made lie: on the disk of the data.
    pub scratch: PathBuf,
}

/// The services behind the routes.
pub struct Server {
    /// The registry.
    pub registry: Arc<Registry>,
    /// Who calls, and what they may do.
    pub identity: Arc<Identity>,
    /// The metadata database, for backups.
    pub database: Database,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
    /// What the operator has decided.
    pub settings: Settings,
    /// Runs of the collector and of the check.
    pub(crate) runs: Arc<Runs>,
}

impl Server {
    /// Puts the services together.
    pub fn new(
        registry: Arc<Registry>,
        identity: Arc<Identity>,
        database: Database,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        settings: Settings,
    ) -> Self {
        let runs = Arc::new(Runs::new(Arc::clone(&registry), Arc::clone(&clock)));
        Self {
            registry,
            identity,
            database,
            clock,
            metrics,
            settings,
            runs,
        }
    }

    /// Runs the garbage collector at each interval. Does not end.
    pub async fn collect_garbage_regularly(&self, interval: Duration) {
        self.runs.collect_regularly(interval).await;
    }
}
