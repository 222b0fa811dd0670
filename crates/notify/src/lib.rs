#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cloud_event;
pub mod egress;
mod error;
mod events;
mod log;
mod pattern;
mod schema;
mod sequencer;
mod store;
mod upkeep;
mod webhooks;

use std::{sync::Arc, time::Duration};

use landfall_clock::Clock;
use landfall_database::Database;
use landfall_seal::MasterKey;
use tokio::sync::Notify as Bell;
use tokio_util::sync::CancellationToken;

pub use cloud_event::{CONTENT_TYPE, data};
pub use error::{Error, Result};
pub use events::{EventFilter, EventPage};
pub use landfall_database::outbox::Event;
pub use log::Tail;
pub use pattern::{InvalidPattern, Pattern};
pub use schema::MIGRATIONS;
pub use webhooks::{
    Attempt, Delivery, DeliveryState, Page, Webhook, WebhookChange, WebhookPlan, WebhookSecret,
    webhook_secrets_forget,
};

use crate::{egress::Egress, sequencer::Sequencer, webhooks::fan_out::FanOut};

/// What the operator decides about events, and what tests do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long events are kept.
    pub retention: Duration,
    /// From the first try of a delivery to the last.
    pub retry_for: Duration,
    /// The URI that names this registry in what it sends.
    pub source: String,
    /// Who this process is: another name than that of every other server.
    pub holder: String,
    /// How long the sequencer's lease is good: so long nobody numbers events
    /// after a server has died.
    pub lease: Duration,
    /// How long a claim on deliveries is good without being renewed: so long a
    /// delivery waits that a dead server had begun.
    pub claim: Duration,
}

/// Events and webhooks.
pub struct Notify {
    database: Database,
    clock: Arc<dyn Clock>,
    key: Arc<MasterKey>,
    egress: Egress,
    settings: Settings,
    log: Arc<log::Log>,
    /// Rung when there is something to deliver.
    bell: Bell,
    stop: CancellationToken,
}

impl Notify {
    /// Puts the service together. Nothing happens before [`Notify::run`].
    pub fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        key: Arc<MasterKey>,
        egress: Egress,
        settings: Settings,
    ) -> Arc<Self> {
        webhooks::deliver::describe_metrics();
        upkeep::describe_metrics();
        Arc::new(Self {
            log: Arc::new(log::Log::new(database.clone())),
            database,
            clock,
            key,
            egress,
            settings,
            bell: Bell::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Numbers events, follows the log, makes deliveries and cleans up, until
    /// [`Notify::stop`]; then ends the tries that have begun.
    pub async fn run(self: &Arc<Self>) {
        let stop = &self.stop;
        let sequencer = Sequencer {
            database: &self.database,
            log: &self.log,
            holder: &self.settings.holder,
            lease: self.settings.lease,
        };
        let fan_out = self.fan_out();
        tokio::join!(
            sequencer.run(stop),
            self.log.follow(stop),
            fan_out.run(stop),
            webhooks::courier::run(self, stop),
            upkeep::run(self, stop),
        );
    }

    /// Ends [`Notify::run`], and every [`Tail`].
    pub fn stop(&self) {
        self.stop.cancel();
    }

    fn fan_out(&self) -> FanOut<'_> {
        FanOut {
            database: &self.database,
            clock: &*self.clock,
            log: &self.log,
            bell: &self.bell,
        }
    }
}
