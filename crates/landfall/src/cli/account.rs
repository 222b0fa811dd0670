//! `landfall account`: what can be typed.

use clap::Subcommand;

/// What is done with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// List accounts
    List,
    /// Make an account
    #[command(after_help = "Example:
  landfall account create acme

The name is the first part of the names of its repositories. Its administrator is
a user with the policy `admin`:
  landfall principal create acme/alice
  landfall policy create --principal acme/alice acme/admins --template admin")]
    Create {
        /// The name of the account
        account: String,
    },
    /// Show one account
    #[command(after_help = "Example:\n  landfall account show acme")]
    Show {
        /// The name of the account
        account: String,
    },
    /// Let a disabled account be used again
    #[command(after_help = "Example:\n  landfall account enable acme")]
    Enable {
        /// The name of the account
        account: String,
    },
    /// Let no principal of an account in, until it is enabled
    #[command(after_help = "Example:\n  landfall account disable acme")]
    Disable {
        /// The name of the account
        account: String,
    },
    /// Delete an account with its principals, groups and policies
    #[command(after_help = "Example:
  landfall account delete acme

An account with repositories is not deleted. Nobody gets its name again.")]
    Delete {
        /// The name of the account
        account: String,
    },
}
