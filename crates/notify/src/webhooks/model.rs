//! What a webhook and a delivery are.

use landfall_clock::Timestamp;
use landfall_database::outbox::Event;
use landfall_ids::{AccountId, DeliveryId, EventId, WebhookId};

use crate::pattern::{self, Pattern};

/// A subscription: which events of an account go to which URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its identity.
    pub id: WebhookId,
    /// Whose events it gets.
    pub account: AccountId,
    /// Where they go.
    pub url: String,
    /// The kinds that it wants; all if there are none.
    pub kinds: Vec<Pattern>,
    /// The repositories whose events it wants; all if there are none.
    pub repositories: Vec<Pattern>,
    /// Whether events go there at present.
    pub enabled: bool,
    /// Why Landfall has disabled it; `None` if nobody or a person did.
    pub disabled_because: Option<String>,
    /// Since when every try has failed; `None` if the last one did not.
    pub failing_since: Option<Timestamp>,
    /// Until when the secret before this one signs too.
    pub rotating_until: Option<Timestamp>,
    /// The name of who made it.
    pub created_by: String,
    /// When it was made.
    pub created: Timestamp,
    /// When a person changed it last.
    pub updated: Timestamp,
}

/// What a webhook is made from, or changed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookPlan {
    /// Where events go.
    pub url: String,
    /// The kinds that it wants; all if there are none.
    pub kinds: Vec<Pattern>,
    /// The repositories whose events it wants; all if there are none.
    pub repositories: Vec<Pattern>,
    /// Whether events go there.
    pub enabled: bool,
}

/// Which part of a webhook to change; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// Where events go.
    pub url: Option<String>,
    /// The kinds that it wants.
    pub kinds: Option<Vec<Pattern>>,
    /// The repositories whose events it wants.
    pub repositories: Option<Vec<Pattern>>,
    /// Whether events go there.
    pub enabled: Option<bool>,
}

/// Which events of its account a webhook wants, since when.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) id: WebhookId,
    pub(crate) account: AccountId,
    pub(crate) kinds: Vec<Pattern>,
    pub(crate) repositories: Vec<Pattern>,
    /// The last position that it does not get.
    pub(crate) since: u64,
}

impl Subscription {
    pub(crate) fn wants(&self, event: &Event) -> bool {
        event.position > self.since
            && event.account == self.account
            && pattern::any(&self.kinds, &event.kind)
            && pattern::any(&self.repositories, &event.subject)
    }
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is still to be made.
    Pending,
    /// The receiver has taken it.
    Delivered,
    /// It was given up: a dead letter.
    Dead,
}

impl DeliveryState {
    /// Its word, in tables and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Dead]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// One event on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its identity.
    pub id: DeliveryId,
    /// Where it goes.
    pub webhook: WebhookId,
    /// The place of the event in the log.
    pub position: u64,
    /// The event.
    pub event: EventId,
    /// What happened.
    pub kind: String,
    /// What it happened to.
    pub subject: String,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tries: u64,
    /// When the event was seen.
    pub created: Timestamp,
    /// When it was tried for the first time, since it was last put in line.
    pub first_try: Option<Timestamp>,
    /// When it was tried last.
    pub last_try: Option<Timestamp>,
    /// When the first pending delivery of its subject is tried next.
    pub next_try: Option<Timestamp>,
    /// The status code of the last answer; `None` if there was none.
    pub status: Option<u64>,
    /// Why the last try failed.
    pub error: Option<String>,
    /// How long the last try took, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// How one try went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The status code of the answer; `None` if there was none.
    pub status: Option<u16>,
    /// Why it failed; `None` if it did not.
    pub error: Option<String>,
}
