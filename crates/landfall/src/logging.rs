//! Structured logs on standard error.

use std::io;

use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Config, LogFormat};

/// A finer filter than the setting, for whoever looks for a fault:
/// `LANDFALL_LOG=landfall_registry=debug`.
const FILTER: &str = "LANDFALL_LOG";

/// Starts logging.
pub(crate) fn start(config: &Config) {
    let level = config.log.level;
    let filter = EnvFilter::builder()
        .with_env_var(FILTER)
        .with_default_directive(level.into())
        .from_env_lossy();
    let terminal = io::IsTerminal::is_terminal(&io::stderr());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false);
    let lines = match config.log.format {
        LogFormat::Text => lines.with_ansi(terminal).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
}
