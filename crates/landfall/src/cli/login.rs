//! `landfall login`, `landfall logout`, and the credential helper.

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  landfall login https://registry.example.com
  landfall login --user acme/alice https://registry.example.com
  landfall login --password-stdin https://registry.example.com < api-key

An API key is kept as it is. With a password the server makes a token that is
good for 12 hours, and that is kept; the password is not.")]
pub(crate) struct LoginArguments {
    /// The server; HTTPS unless it says `http://`, or is this machine
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Read the password, API key or token from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  landfall logout
  landfall logout https://registry.example.com

The token that was kept is revoked at the server, if it can be reached.")]
pub(crate) struct LogoutArguments {
    /// The server; the one that was logged in to last unless given
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Forget the logins at all servers
    #[arg(long, conflicts_with = "url")]
    pub(crate) all: bool,
}

/// What docker and podman ask a credential helper for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HelperAction {
    /// The login at the server that is named on standard input
    Get,
    /// Keep the login on standard input
    Store,
    /// Forget the login at the server that is named on standard input
    Erase,
    /// All servers, with who is logged in there
    List,
}
