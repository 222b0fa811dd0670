//! `/`, `/healthz`, `/readyz` and `/metrics`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use landfall_identity::{Action, Ask, Resource};
use landfall_registry::Error;
use tokio::sync::Mutex;

use crate::{
    Server,
    auth::{self, Rejection},
    registry_api::chain,
};

/// How long the outcome of a probe is good.
const FRESH: Duration = Duration::from_secs(1);

/// The part that is not ready, as anybody may know it.
type Outcome = Result<(), &'static str>;

/// The last probe. Anybody may ask for one, and it writes to the store; so one
/// runs at a time, and who asks meanwhile or soon after gets its outcome.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Outcome)>>);

impl Readiness {
    async fn ask(&self, probe: impl Future<Output = Result<(), Error>>) -> Outcome {
        let mut last = self.0.lock().await;
        if let Some((at, outcome)) = &*last
            && at.elapsed() < FRESH
        {
            return *outcome;
        }
        let outcome = probe.await.map_err(|error| {
            tracing::warn!(error = %chain(&error), "not ready");
            match error {
                Error::Blobs(_) => "blob store",
                _ => "database",
            }
        });
        *last = Some((Instant::now(), outcome));
        outcome
    }
}

/// Tells a person with a browser what is here.
pub(crate) async fn welcome() -> &'static str {
    "Landfall\n\nThe registry is at /v2/, the API is described at /api/v1/openapi.json.\n"
}

/// The process runs.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// Requests can be served: the metadata and the blobs can be written.
pub(crate) async fn ready(State(server): State<Arc<Server>>) -> Response {
    // On its own: a client that goes away does not end the probe, or each could
    // start another.
    let asked = tokio::spawn(async move { server.readiness.ask(server.registry.probe()).await });
    match asked.await.unwrap_or(Err("server")) {
        Ok(()) => "ready\n".into_response(),
        Err(part) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: the {part}\n"),
        )
            .into_response(),
    }
}

/// What is counted, in Prometheus' text format: the physical figures for the
/// operator alone. Where it can't be decided who calls, the others are given:
/// they tell why.
pub(crate) async fn metrics(State(server): State<Arc<Server>>, parts: Parts) -> Response {
    let operates = match operates(&server, &parts).await {
        Ok(()) => true,
        Err(Rejection::Refused(_) | Rejection::Failed(_)) => false,
        Err(rejection) => {
            let challenge =
                auth::challenge(&server, &auth::base_url(&server, &parts), None, &rejection);
            let told = rejection.told();
            let mut response = (told.status, format!("{}\n", told.message)).into_response();
            if let Some(challenge) = challenge.filter(|_| told.is_challenge) {
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, challenge);
            }
            if let Some(seconds) = told.retry_after {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, seconds.into());
            }
            return response;
        }
    };
    let format = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    let text = if operates {
        server.metrics.render()
    } else {
        server.metrics.render_public()
    };
    (format, text).into_response()
}

async fn operates(server: &Server, parts: &Parts) -> Result<(), Rejection> {
    let caller = auth::caller(server, parts).await?;
    let ask = Ask {
        caller: &caller,
        action: Action::Administer,
        resource: Resource::Registry,
        tag: None,
    };
    auth::authorize(server, &ask, None).await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_who_ask_get_the_outcome_of_one_probe_and_only_the_name_of_the_part() {
        let (readiness, probes) = (Arc::new(Readiness::default()), Arc::new(AtomicU32::new(0)));
        let asked: Vec<_> = (0..20)
            .map(|_| {
                let (readiness, probes) = (Arc::clone(&readiness), Arc::clone(&probes));
                tokio::spawn(async move {
                    let probe = async {
                        probes.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                        let reason = "db.internal:5432".to_owned();
                        Err(landfall_database::Error::Unavailable(reason).into())
                    };
                    readiness.ask(probe).await
                })
            })
            .collect();
        for asked in asked {
            assert_eq!(asked.await.expect("an outcome"), Err("database"));
        }
        assert_eq!(probes.load(Ordering::Relaxed), 1);
    }
}
