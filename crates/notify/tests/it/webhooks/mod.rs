//! Webhooks, against receivers that behave and such that don't.

mod failures;
mod life;
mod secrets;
mod sending;
mod sharing;

use landfall_notify::{Delivery, DeliveryState, Webhook, WebhookPlan, WebhookSecret};

use crate::world::{Running, World};

/// A webhook for everything.
pub(crate) fn to(url: &str) -> WebhookPlan {
    WebhookPlan {
        url: url.to_owned(),
        kinds: Vec::new(),
        repositories: Vec::new(),
        enabled: true,
    }
}

pub(crate) async fn subscribe(
    server: &Running,
    world: &World,
    plan: WebhookPlan,
) -> (Webhook, WebhookSecret) {
    let made = server.webhook_create(world.account, plan, "admin").await;
    made.expect("a webhook")
}

/// The last deliveries of a webhook, the newest first.
async fn deliveries(server: &Running, webhook: &Webhook) -> Vec<Delivery> {
    let page = server.delivery_list(webhook.id, None, None, 1000).await;
    page.expect("deliveries").entries
}

/// The one delivery of a webhook.
async fn delivery(server: &Running, webhook: &Webhook) -> Option<Delivery> {
    let mut all = deliveries(server, webhook).await;
    assert!(all.len() <= 1, "{all:?}");
    all.pop()
}

async fn is(server: &Running, webhook: &Webhook, state: DeliveryState) -> bool {
    let all = deliveries(server, webhook).await;
    !all.is_empty() && all.iter().all(|each| each.state == state)
}
