//! `landfall api-key`, `landfall token` and `landfall signing-key`: what can be
//! typed.

use std::time::Duration;

use clap::Subcommand;

use super::duration;

/// What is done with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// List the API keys of a principal
    #[command(after_help = "Examples:
  landfall api-key list
  landfall api-key list acme/ci --output json")]
    List {
        /// Whose, instead of your own
        #[arg(value_name = "PRINCIPAL")]
        principal: Option<String>,
    },
    /// Make an API key; it is shown this once
    #[command(after_help = "Examples:
  landfall api-key create --description laptop --expires 90d
  landfall api-key create acme/ci

It is a password for `docker login` and for LANDFALL_PASSWORD, with the rights of
its principal.")]
    Create {
        /// For whom, instead of yourself
        #[arg(value_name = "PRINCIPAL")]
        principal: Option<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// For how long it is good, instead of until it is deleted
        #[arg(long, value_name = "TIME", value_parser = duration)]
        expires: Option<Duration>,
    },
    /// Replace an API key; the new one is shown this once
    #[command(
        after_help = "Example:\n  landfall api-key rotate --principal acme/ci 01993c4e-...

The old one ends at once, unless `--overlap` lets both be good for some time."
    )]
    Rotate {
        /// The API key, by its id
        id: String,
        /// Whose, instead of your own
        #[arg(long, value_name = "NAME")]
        principal: Option<String>,
        /// For how long the old one is good too, at most a week
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
        overlap: Duration,
    },
    /// Delete an API key
    #[command(after_help = "Example:\n  landfall api-key delete --principal acme/ci 01993c4e-...")]
    Delete {
        /// The API key, by its id
        id: String,
        /// Whose, instead of your own
        #[arg(long, value_name = "NAME")]
        principal: Option<String>,
    },
}

/// What is done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make an authorization token: your own rights for some hours
    #[command(after_help = "Examples:
  landfall token create
  landfall token create --lifetime 1h --output json
  landfall token create | docker login -u token --password-stdin localhost:5000

It is a password for `docker login`, `podman login` and `skopeo login`. It is made
with a password or an API key, and ends with the account of its owner.")]
    Create {
        /// For how long it is good, at most 12h
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "12h")]
        lifetime: Duration,
    },
    /// End one authorization token, or all tokens of a principal
    #[command(after_help = "Examples:
  landfall token revoke 01993c4e-...
  landfall token revoke --principal acme/ci")]
    #[command(group(clap::ArgGroup::new("which").required(true)))]
    Revoke {
        /// The token, by its id
        #[arg(group = "which")]
        id: Option<String>,
        /// All tokens of this principal
        #[arg(long, value_name = "NAME", group = "which")]
        principal: Option<String>,
    },
}

/// What is done with the keys that sign tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum SigningKeyCommand {
    /// List the keys that sign tokens, and those that still verify them
    List,
    /// Sign with a new key from now on; the tokens of the old one stay good
    Rotate,
    /// Refuse every token that a key has signed
    #[command(after_help = "Example:\n  landfall signing-key revoke 01993c4e-...")]
    Revoke {
        /// The key, by its id
        id: String,
    },
}
