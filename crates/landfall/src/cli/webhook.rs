//! `landfall webhook`: what can be typed.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::duration;

/// What is done with webhooks.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Make a webhook; its secret is shown this once
    #[command(after_help = "Examples:
  landfall webhook create https://ci.example.com/hooks/landfall
  landfall webhook create --kind 'tag.*' --repository 'acme/*' https://ci.example.com/hook

Events are sent as CloudEvents, signed as Standard Webhooks describes.")]
    Create {
        /// Where events go
        #[arg(value_name = "URL")]
        url: String,
        #[command(flatten)]
        filter: WebhookFilter,
        /// The account whose events it gets, instead of your own
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Send nothing before it is enabled
        #[arg(long)]
        disabled: bool,
    },
    /// List webhooks
    List {
        /// Only those of this account
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
    },
    /// Show one webhook
    #[command(after_help = "Example:\n  landfall webhook show 01993c4e-...")]
    Show {
        /// The webhook
        id: String,
    },
    /// Change a webhook, or enable it again
    #[command(after_help = "Examples:
  landfall webhook update --kind 'manifest.*' 01993c4e-...
  landfall webhook update --enable 01993c4e-...

One that is enabled gets the events from then on. What waits for one that is
disabled is given up, and can be sent again with `redeliver`.")]
    Update {
        /// The webhook
        id: String,
        /// Where events go
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        #[command(flatten)]
        filter: WebhookFilter,
        /// Send events there
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        /// Send no more events there
        #[arg(long)]
        disable: bool,
    },
    /// Replace a webhook's secret; the new one is shown this once
    #[command(after_help = "Example:\n  landfall webhook rotate --overlap 1h 01993c4e-...")]
    Rotate {
        /// The webhook
        id: String,
        /// For how long the old secret signs too, at most a week
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "24h")]
        overlap: Duration,
    },
    /// Send a test event now, and tell how that went
    #[command(after_help = "Example:
  landfall webhook test 01993c4e-...

Exit status: 0 if the receiver has taken it, 1 if not.")]
    Test {
        /// The webhook
        id: String,
    },
    /// List what was sent, the newest first
    #[command(after_help = "Example:
  landfall webhook deliveries --state dead 01993c4e-...")]
    Deliveries {
        /// The webhook
        id: String,
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<State>,
        /// How many to list
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: usize,
    },
    /// Send deliveries again
    #[command(after_help = "Examples:
  landfall webhook redeliver 01993c4e-... 01993c51-...
  landfall webhook redeliver --dead 01993c4e-...")]
    Redeliver {
        /// The webhook
        id: String,
        /// The delivery
        #[arg(required_unless_present = "dead")]
        delivery: Option<String>,
        /// All that were given up
        #[arg(long, conflicts_with = "delivery")]
        dead: bool,
    },
    /// Delete a webhook with its deliveries
    #[command(after_help = "Example:\n  landfall webhook delete 01993c4e-...")]
    Delete {
        /// The webhook
        id: String,
    },
}

/// Which events a webhook wants.
#[derive(Debug, Args)]
pub(crate) struct WebhookFilter {
    /// A kind that it wants, `*` for any text; may be given several times, and
    /// it wants all if none is
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) kind: Option<Vec<String>>,
    /// A repository whose events it wants, in the same way
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) repository: Option<Vec<String>>,
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum State {
    /// It is still to be made
    Pending,
    /// The receiver has taken it
    Delivered,
    /// It was given up
    Dead,
}

impl State {
    /// The word of the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}
