//! Answers that take long: their right is asked for again on the way.
//!
//! A stream or an export goes on after its request was let through. What was
//! sent with the request is proved again, and the policies are asked again: so
//! a credential that has ended or was revoked ends the answer too.

use std::{sync::Arc, time::Duration};

use axum::http::request::Parts;
use landfall_identity::{Action, Ask, Resource};
use tokio::time::Instant;

use super::{Rejection, authorize, caller};
use crate::Server;

/// How long an answer is good.
const FRESH: Duration = Duration::from_secs(2);

/// What a long answer needs the right for.
pub(crate) struct Lasting {
    server: Arc<Server>,
    parts: Parts,
    action: Action,
    /// The account, or else the registry.
    account: Option<String>,
    asked: Instant,
}

impl Lasting {
    /// Of a request that was just let through.
    pub(crate) fn new(
        server: Arc<Server>,
        parts: Parts,
        action: Action,
        account: Option<String>,
    ) -> Self {
        Self {
            server,
            parts,
            action,
            account,
            asked: Instant::now(),
        }
    }

    /// Asks again, if the last answer is not fresh.
    pub(crate) async fn still_may(&mut self) -> Result<(), Rejection> {
        let now = Instant::now();
        if now.duration_since(self.asked) < FRESH {
            return Ok(());
        }
        let caller = caller(&self.server, &self.parts).await?;
        let account = self.account.as_deref();
        let ask = Ask {
            caller: &caller,
            action: self.action,
            resource: account.map_or(Resource::Registry, Resource::Account),
            tag: None,
        };
        authorize(&self.server, &ask, None).await?;
        self.asked = now;
        Ok(())
    }
}
