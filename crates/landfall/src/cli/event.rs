//! `landfall event`: what can be typed.

use clap::{Args, Subcommand};

/// What is done with events.
#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// List the last events
    #[command(after_help = "Examples:
  landfall event list
  landfall event list --kind 'tag.*' --repository acme/web
  landfall event list --from 0 --limit 1000 --output json")]
    List {
        #[command(flatten)]
        filter: EventFilter,
        /// List the events after this position, instead of the last ones; 0 is
        /// the beginning of what is kept
        #[arg(long, value_name = "POSITION")]
        from: Option<u64>,
        /// How many events to list
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: usize,
    },
    /// Print events as they happen
    #[command(after_help = "Examples:
  landfall event tail
  landfall event tail --kind 'tag.*,manifest.pushed' --repository 'acme/*'
  landfall event tail --from 0 --output json

It goes on until it is stopped. When the connection is lost, it comes back by
itself and leaves nothing out. With `--output json` each event is one line.")]
    Tail {
        #[command(flatten)]
        filter: EventFilter,
        /// Begin after this position, instead of with what is to come; 0 is the
        /// beginning of what is kept
        #[arg(long, value_name = "POSITION")]
        from: Option<u64>,
    },
}

/// Which events.
#[derive(Debug, Args)]
pub(crate) struct EventFilter {
    /// Only these kinds, separated by commas; `*` stands for any text
    #[arg(long, value_name = "KINDS")]
    pub(crate) kind: Option<String>,
    /// Only these repositories, separated by commas; `*` stands for any text
    #[arg(long, value_name = "NAMES")]
    pub(crate) repository: Option<String>,
    /// Only this account
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,
}

impl EventFilter {
    /// The query of a request for these events.
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let parts = [
            ("kind", &self.kind),
            ("repository", &self.repository),
            ("account", &self.account),
        ];
        let given = parts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)));
        given.collect()
    }
}
