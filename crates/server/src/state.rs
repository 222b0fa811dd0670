//! What every handler has at hand.

use std::{path::PathBuf, sync::Arc, time::Duration};

use landfall_clock::Clock;
use landfall_database::Database;
use landfall_identity::Identity;
use landfall_notify::Notify;
use landfall_registry::Registry;
use tokio::time::MissedTickBehavior;

use crate::{auth::TrustedProxies, health::Readiness, observe::Metrics, runs::Runs};

/// How often what was counted of pulls goes to the database: what a crash loses
/// at the most.
const BETWEEN_FLUSHES: Duration = Duration::from_secs(5);

/// What the operator decides about the HTTP service.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The URL that clients reach this server by, without a slash at the end.
    /// Without it, the `Host` header of each request tells.
    pub external_url: Option<String>,
    /// Where files that are being made lie: on the disk of the data.
    pub scratch: PathBuf,
    /// Whether clients are sent to the blob store for the bytes that they pull,
    /// where that can be reached by a URL.
    pub redirect_pulls: bool,
    /// The proxies whose word counts about whom they were called by.
    pub trusted_proxies: TrustedProxies,
}

/// The services behind the routes.
pub struct Server {
    /// The registry.
    pub registry: Arc<Registry>,
    /// Who calls, and what they may do.
    pub identity: Arc<Identity>,
    /// Events, and who is told of them.
    pub notify: Arc<Notify>,
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
    /// Whether requests can be served.
    pub(crate) readiness: Readiness,
}

impl Server {
    /// Puts the services together.
    pub fn new(
        registry: Arc<Registry>,
        identity: Arc<Identity>,
        notify: Arc<Notify>,
        database: Database,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        settings: Settings,
    ) -> Self {
        let runs = Arc::new(Runs::new(Arc::clone(&registry), Arc::clone(&clock)));
        Self {
            registry,
            identity,
            notify,
            database,
            clock,
            metrics,
            settings,
            runs,
            readiness: Readiness::default(),
        }
    }

    /// Adds what was counted of pulls to the database, every few seconds. Does
    /// not end.
    pub async fn flush_usage_regularly(&self) {
        let mut ticks = tokio::time::interval(BETWEEN_FLUSHES);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.flush_usage().await;
        }
    }

    /// Adds what was counted of pulls to the database. What fails is tried the
    /// next time.
    pub async fn flush_usage(&self) {
        if let Err(error) = self.registry.usage_flush().await {
            let error = crate::registry_api::chain(&error);
            tracing::warn!(error, "what was pulled can't be written down now");
        }
    }

    /// Runs the garbage collector at each interval. Does not end.
    pub async fn collect_garbage_regularly(&self, interval: Duration) {
        self.runs.collect_regularly(interval).await;
    }
}
