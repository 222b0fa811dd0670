//! `landfall audit`: what can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What is done with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List what happened, the newest first
    #[command(after_help = "Examples:
  landfall audit list --account acme --outcome refused
  landfall audit list --principal acme/ci --since 2026-11-24T00:00:00Z
  landfall audit list --resource acme/web --limit 500 --output json

Without an account it lists what happened in all, which only an operator may.")]
    List {
        #[command(flatten)]
        filter: AuditFilter,
        /// How many rows to list
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: usize,
    },
    /// Write what happened as JSON lines, the oldest first
    #[command(after_help = "Examples:
  landfall audit export audit.jsonl
  landfall audit export --account acme - | gzip > acme.jsonl.gz")]
    Export {
        #[command(flatten)]
        filter: AuditFilter,
        /// The file to write, or `-` for standard output
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Which rows of the audit log.
#[derive(Debug, Args)]
pub(crate) struct AuditFilter {
    /// Only this account
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,
    /// Only what this principal did
    #[arg(long, value_name = "NAME")]
    pub(crate) principal: Option<String>,
    /// Only this action, such as `push` or `login`
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    /// Only what was done to this, by its name
    #[arg(long, value_name = "NAME")]
    pub(crate) resource: Option<String>,
    /// Only what ended so
    #[arg(long, value_enum)]
    pub(crate) outcome: Option<Outcome>,
    /// Only from this time on, in RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only before this time, in RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Outcome {
    /// It was done
    Allowed,
    /// It was not
    Refused,
}

impl AuditFilter {
    /// The query of a request for these rows.
    pub(crate) fn query(&self) -> Vec<(&'static str, &str)> {
        let outcome = self.outcome.map(|outcome| match outcome {
            Outcome::Allowed => "allowed",
            Outcome::Refused => "refused",
        });
        let parts = [
            ("account", self.account.as_deref()),
            ("principal", self.principal.as_deref()),
            ("action", self.action.as_deref()),
            ("resource", self.resource.as_deref()),
            ("outcome", outcome),
            ("since", self.since.as_deref()),
            ("until", self.until.as_deref()),
        ];
        let given = parts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        given.collect()
    }
}
