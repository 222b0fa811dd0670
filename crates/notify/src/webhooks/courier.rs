//! The courier: claims lines and makes their deliveries.
//!
//! # What is kept
//!
//! - **At least once.** A delivery is noted as made after the receiver has
//!   answered 2xx. A crash in between sends it again; the receiver knows it by
//!   its `webhook-id`, which is the event's and the same on every try.
//! - **In order per subject.** Of a line only the first delivery is tried, by
//!   whoever holds the claim. A delivery that fails holds back its line and no
//!   other, until it was made or given up.
//! - **Not twice at the same time.** A claim is a token in the row of the line,
//!   good for some seconds and renewed while a try goes on; a try whose claim is
//!   lost is cut off, and what it has led to is noted only under the token that
//!   it was begun with.
//! - **Bounded.** So many tries at once in all, so many for one webhook, each
//!   for so long ([`Egress`](crate::egress::Egress)).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use landfall_ids::WebhookId;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    Notify,
    log::PAUSE,
    store::lines::{self, Claim, Room},
};

/// Tries at the same time, in all.
const AT_ONCE: usize = 32;
/// Tries at the same time for one webhook.
const AT_ONCE_EACH: usize = 4;
/// How often the lines are looked at that nobody has told of: those that wait
/// for their next try, and those of other servers.
const LOOK: Duration = Duration::from_millis(200);
/// Deliveries of one line, before it goes to the back of the queue.
const IN_A_ROW: usize = 20;

/// How many tries of each webhook are being made. A std mutex: held for a look
/// or a count.
type Running = Arc<Mutex<HashMap<WebhookId, usize>>>;

/// Makes deliveries until it is told to stop, and then ends those that it has
/// begun.
pub(crate) async fn run(notify: &Arc<Notify>, stop: &CancellationToken) {
    let running = Running::default();
    let mut tries = JoinSet::new();
    while !stop.is_cancelled() {
        while tries.try_join_next().is_some() {}
        let claimed = claim(notify, &running, AT_ONCE.saturating_sub(tries.len())).await;
        match claimed {
            Ok(claims) if !claims.is_empty() => {
                for claim in claims {
                    let turn = Turn::take(&running, claim.webhook);
                    let (notify, stop) = (Arc::clone(notify), stop.clone());
                    tries.spawn(async move {
                        let _turn = turn;
                        work(&notify, &claim, &stop).await;
                    });
                }
                continue;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "deliveries can't be claimed");
                tokio::time::sleep(PAUSE).await;
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = notify.bell.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
            Some(_) = tries.join_next() => {}
        }
    }
    while tries.join_next().await.is_some() {}
}

async fn claim(
    notify: &Notify,
    running: &Running,
    free: usize,
) -> landfall_database::Result<Vec<Claim>> {
    let now = notify.clock.now();
    if free == 0 {
        return Ok(Vec::new());
    }
    let due = notify.database.read(move |tx| lines::line_is_due(tx, now));
    if !due.await? {
        return Ok(Vec::new());
    }
    let room = Room {
        total: free,
        per_webhook: AT_ONCE_EACH,
    };
    let counts = lock(running).clone();
    let lease = notify.settings.claim;
    notify
        .database
        .write(move |tx| lines::line_claim(tx, counts.clone(), room, lease, now))
        .await
}

/// One of the tries that a webhook may have at the same time.
struct Turn {
    running: Running,
    webhook: WebhookId,
}

impl Turn {
    fn take(running: &Running, webhook: WebhookId) -> Self {
        *lock(running).entry(webhook).or_default() += 1;
        Self {
            running: Arc::clone(running),
            webhook,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        if let Some(count) = running.get_mut(&self.webhook) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.webhook);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the deliveries of a line, one after the other.
async fn work(notify: &Notify, claim: &Claim, stop: &CancellationToken) {
    for _ in 0..IN_A_ROW {
        match notify.deliver_first(claim).await {
            Ok(true) if !stop.is_cancelled() => {}
            Ok(true) => break,
            Ok(false) => return,
            Err(error) => {
                // The claim runs out, and somebody tries again.
                tracing::warn!(webhook = %claim.webhook, %error, "a delivery can't be made");
                return;
            }
        }
    }
    let (claim, now) = (claim.clone(), notify.clock.now());
    let released = notify
        .database
        .write(move |tx| lines::line_release(tx, &claim, now));
    if let Err(error) = released.await {
        tracing::warn!(%error, "a claim can't be given back before its end");
    }
}
