//! What can go wrong, told by what a caller can do about it.

use landfall_ids::{DeliveryId, WebhookId};

use crate::egress::EgressError;

/// The result of work on events and webhooks.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of events or webhooks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such webhook.
    #[error("no webhook {0}")]
    WebhookUnknown(WebhookId),
    /// The webhook has no such delivery, or no longer.
    #[error("no delivery {0} is remembered")]
    DeliveryUnknown(DeliveryId),
    /// The account has as many webhooks as it may have.
    #[error("the account has {0} webhooks, which is the most; delete one first")]
    TooManyWebhooks(u64),
    /// More patterns than a webhook may have.
    #[error("{0} patterns are too many; 32 of each kind are the most")]
    TooManyPatterns(usize),
    /// Nothing is sent to a webhook that is disabled.
    #[error("the webhook {0} is disabled; enable it first")]
    WebhookDisabled(WebhookId),
    /// The events after that position are no longer all there.
    #[error("the events after {asked} are no longer kept; go on from {oldest}, and expect a gap")]
    EventsGone {
        /// The position that was asked for.
        asked: u64,
        /// The last one that has no gap after it.
        oldest: u64,
    },
    /// The log has not come to that position: it is another log, or an older
    /// state of it was restored.
    #[error("the log ends at {head}, before {asked}; it may have been restored from a backup")]
    EventsAhead {
        /// The position that was asked for.
        asked: u64,
        /// The end of the log.
        head: u64,
    },
    /// The event of the delivery is no longer kept.
    #[error("the event of this delivery is no longer kept, so that it can't be sent again")]
    EventGone,
    /// The URL can't be called, or may not.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The secret of a webhook can't be opened.
    #[error(transparent)]
    Seal(#[from] landfall_seal::Error),
    /// The machine gives no random bytes.
    #[error("a secret can't be made: the system gives no random bytes")]
    NoRandomBytes,
    /// The metadata database failed.
    #[error(transparent)]
    Database(#[from] landfall_database::Error),
}
