//! `landfall serve`: puts the services together and runs them.

mod events;
mod folder;
mod keys;
mod local_store;
mod repositories;
mod services;

use std::{env::VarError, sync::Arc};

use anyhow::{Context, Result, bail};
use landfall_clock::{Clock, SystemClock};
use landfall_identity::{FirstStart, Secret};
use landfall_registry::Registry;
use landfall_server::{
    Server,
    listen::{Listener, raise_open_files},
    observe::{Metrics, Observe},
    tls::Tls,
};
use tokio::signal::unix::{SignalKind, signal};

use self::services::{hold_local_store, limits, open_blobs, open_identity, registry_settings};
pub(crate) use self::{
    folder::{DataLock, create_private},
    keys::check_master_key,
    services::{open_database, open_file},
};
use crate::{
    config::{Config, Loaded},
    logging, output,
};

/// The environment variable with the administrator's password.
const ADMIN_PASSWORD: &str = "LANDFALL_ADMIN_PASSWORD";

/// Serves until it is told to stop.
pub(crate) async fn run(loaded: Loaded) -> Result<()> {
    let config = loaded.config;
    logging::start(&config);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    match raise_open_files() {
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it was"),
    }
    create_private(&config.data)
        .with_context(|| format!("`{}` can't be made", config.data.display()))?;
    let _lock = DataLock::take(&config.data)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);

    let database = open_database(&config).await?;
    let master = keys::master_key(&config, &database, &*clock).await?;
    let blobs = open_blobs(&config).await?;
    let local = hold_local_store(&config, &database).await?;
    let blobs = match &local {
        Some(local) => local.gate(blobs),
        None => blobs,
    };
    let settings = registry_settings(&config);
    let registry =
        Arc::new(Registry::open(database.clone(), blobs, Arc::clone(&clock), settings).await?);
    let identity = open_identity(&config, &database, &clock, &master, &registry).await?;
    let notify = events::open_notify(&config, &database, &clock, &master, &registry)?;
    let metrics = Metrics::install().context("metrics can't be counted")?;

    // A reload of the certificate, where there is one. Else it means nothing,
    // and must not end the process.
    let hangups = signal(SignalKind::hangup())?;
    let tls = match (&config.server.tls_certificate, &config.server.tls_key) {
        (Some(certificate), Some(key)) => {
            let tls = Tls::load(certificate, key)?;
            tls.reload_on(hangups);
            Some(tls)
        }
        _ => None,
    };
    let listener = Listener::bind(&config.server.listen, tls, limits(&config)).await?;
    let external_url = config
        .server
        .external_url
        .as_ref()
        .map(|url| url.as_str().trim_end_matches('/').to_owned());
    let scheme = if listener.is_secure() {
        "https"
    } else {
        "http"
    };
    let url = external_url
        .clone()
        .unwrap_or_else(|| format!("{scheme}://{}", listener.local_addr()));

    let stop = stop_signal()?;
    let scratch = folder::scratch(&config)?;
    // Last of what can fail: a password that is made up is told once.
    let first = identity.first_start(given_password()?).await?;
    let server = Arc::new(Server::new(
        Arc::clone(&registry),
        Arc::clone(&identity),
        Arc::clone(&notify),
        database,
        clock,
        metrics.clone(),
        landfall_server::Settings {
            external_url,
            scratch,
            redirect_pulls: config.blobs.redirect,
            trusted_proxies: config.server.trusted_proxies.clone(),
        },
    ));
    if let Some(interval) = config.gc.interval {
        let collecting = Arc::clone(&server);
        tokio::spawn(async move { collecting.collect_garbage_regularly(interval).await });
    }
    let refreshing = Arc::clone(&identity);
    tokio::spawn(async move { refreshing.keep_fresh().await });
    let auditing = Arc::clone(&identity);
    tokio::spawn(async move { auditing.keep_audit().await });
    let flushing = Arc::clone(&server);
    tokio::spawn(async move { flushing.flush_usage_regularly().await });
    let notifying = Arc::clone(&notify);
    let notifying = tokio::spawn(async move { notifying.run().await });
    // Streams of events end when the server drains, and hold up nothing.
    let stop = async move {
        stop.await;
        notify.stop();
    };
    let service = Observe::new(metrics, landfall_server::router(Arc::clone(&server)));
    greet(&first, &url, &config);
    let drained = listener.serve(service, stop).await;
    events::finish(notifying).await;
    server.flush_usage().await;
    identity.audit_finish().await;
    if let Some(local) = local {
        local.give_back().await;
    }
    if drained.cut_off > 0 {
        tracing::warn!(connections = drained.cut_off, "connections were cut off");
    }
    tracing::info!("stopped");
    Ok(())
}

/// The administrator's password, if whoever starts the server says one. As for
/// every setting, an empty variable counts as not set.
fn given_password() -> Result<Option<Secret>> {
    match std::env::var(ADMIN_PASSWORD) {
        Ok(password) if password.is_empty() => Ok(None),
        Ok(password) => Ok(Some(Secret::new(password))),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => bail!("`{ADMIN_PASSWORD}` is not UTF-8"),
    }
}

/// Resolves when the process is asked to stop.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new connections, running requests may finish");
    })
}

/// Tells where the server is and how to log in.
fn greet(first: &FirstStart, url: &str, config: &Config) {
    tracing::info!(url, data = %config.data.display(), "serving");
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    output::line(&format!("Landfall is ready at {url}"));
    let password = match first {
        FirstStart::Known => return,
        FirstStart::PasswordSet | FirstStart::Made => format!("the one in {ADMIN_PASSWORD}"),
        FirstStart::MadeWithPassword(password) => {
            format!("{}   (shown this once)", password.reveal())
        }
    };
    output::line(&format!(
        "\n  user      admin\n  password  {password}\n\n  \
         docker login -u admin {host}\n  docker push {host}/admin/hello\n"
    ));
}
