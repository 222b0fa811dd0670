//! Events and webhooks, as the settings say.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use landfall_clock::Clock;
use landfall_database::Database;
use landfall_ids::EventId;
use landfall_notify::{
    Notify, Settings,
    egress::{Egress, EgressSettings},
};
use landfall_registry::Registry;
use landfall_seal::MasterKey;
use tokio::task::JoinHandle;

use crate::config::Config;

/// How long a request to the outside may take.
const REQUEST: Duration = Duration::from_secs(15);
/// How long nobody numbers events after a server has died.
const LEASE: Duration = Duration::from_secs(5);
/// How long a delivery waits that a dead server had begun.
const CLAIM: Duration = Duration::from_secs(6);

pub(super) fn open_notify(
    config: &Config,
    database: &Database,
    clock: &Arc<dyn Clock>,
    master: &Arc<MasterKey>,
    registry: &Registry,
) -> Result<Arc<Notify>> {
    let authorities = match &config.egress.ca_certificate {
        Some(path) => {
            let pem = std::fs::read(path);
            Some(pem.with_context(|| format!("`{}` can't be read", path.display()))?)
        }
        None => None,
    };
    let egress = Egress::new(EgressSettings {
        allow: config.egress.allow.clone(),
        authorities,
        timeout: REQUEST,
    })
    .context("`egress.ca_certificate` is of no use")?;
    let settings = Settings {
        retention: config.events.retention,
        retry_for: config.webhooks.retry_for,
        source: format!("urn:uuid:{}", registry.store_id()),
        holder: EventId::new_at(clock.now().unix_micros()).to_string(),
        lease: LEASE,
        claim: CLAIM,
    };
    let (database, clock) = (database.clone(), Arc::clone(clock));
    Ok(Notify::new(
        database,
        clock,
        Arc::clone(master),
        egress,
        settings,
    ))
}

/// Lets deliveries end that were begun. What does not is made again by the next
/// server.
pub(super) async fn finish(running: JoinHandle<()>) {
    if tokio::time::timeout(REQUEST, running).await.is_err() {
        tracing::warn!("webhook deliveries were cut off; they will be made again");
    }
}
