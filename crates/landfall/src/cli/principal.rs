//! `landfall principal` and `landfall group`: what can be typed.

use clap::{Subcommand, ValueEnum};

/// What is done with principals.
#[derive(Debug, Subcommand)]
pub(crate) enum PrincipalCommand {
    /// List the principals of an account
    #[command(after_help = "Examples:
  landfall principal list --account acme
  landfall principal list --account acme --output json")]
    List {
        /// The account, instead of your own
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
    },
    /// Make a user, a robot, a host or a worker
    #[command(after_help = "Examples:
  landfall principal create acme/alice --password-stdin < password.txt
  landfall principal create acme/ci --kind robot

It may do nothing until a policy says so. A robot gets in with an API key:
  landfall api-key create acme/ci")]
    Create {
        /// The name, with its account
        #[arg(value_name = "ACCOUNT/NAME")]
        principal: String,
        /// What it is
        #[arg(long, value_enum, default_value_t = Kind::User)]
        kind: Kind,
        /// Read the password of a user from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Show one principal with its groups
    #[command(after_help = "Example:\n  landfall principal show acme/ci")]
    Show {
        /// The name, with its account
        #[arg(value_name = "ACCOUNT/NAME")]
        principal: String,
    },
    /// Let a disabled principal in again
    #[command(after_help = "Example:\n  landfall principal enable acme/ci")]
    Enable {
        /// The name, with its account
        #[arg(value_name = "ACCOUNT/NAME")]
        principal: String,
    },
    /// Refuse every credential of a principal, until it is enabled
    #[command(after_help = "Example:\n  landfall principal disable acme/ci")]
    Disable {
        /// The name, with its account
        #[arg(value_name = "ACCOUNT/NAME")]
        principal: String,
    },
    /// Give a user a new password
    #[command(after_help = "Examples:
  landfall principal set-password --password-stdin acme/alice < password.txt
  LANDFALL_NEW_PASSWORD=... landfall principal set-password acme/alice

Your own password you change with your present one: an API key or a token is not
enough.")]
    SetPassword {
        /// The name, with its account
        #[arg(value_name = "ACCOUNT/NAME")]
        principal: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
        /// The new password; better given by the environment
        #[arg(long, env = "LANDFALL_NEW_PASSWORD", value_name = "PASSWORD")]
        #[arg(hide_env_values = true, conflicts_with = "password_stdin")]
        new_password: Option<String>,
    },
    /// Delete a principal with its credentials
    #[command(after_help = "Example:\n  landfall principal delete acme/ci")]
    Delete {
        /// The name, with its account
        #[arg(value_name = "ACCOUNT/NAME")]
        principal: String,
    },
}

/// What a principal is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// A person, with a password
    User,
    /// A program, such as a build server
    Robot,
    /// A machine that runs containers
    Host,
    /// A machine that does jobs
    Worker,
}

impl Kind {
    /// The word of the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Robot => "robot",
            Self::Host => "host",
            Self::Worker => "worker",
        }
    }
}

/// What is done with groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List the groups of an account
    #[command(after_help = "Example:\n  landfall group list --account acme")]
    List {
        /// The account, instead of your own
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
    },
    /// Make a group
    #[command(after_help = "Example:\n  landfall group create acme/developers")]
    Create {
        /// The name, with its account
        #[arg(value_name = "ACCOUNT/NAME")]
        group: String,
    },
    /// Show one group with its members
    #[command(after_help = "Example:\n  landfall group show acme/developers")]
    Show {
        /// The name, with its account
        #[arg(value_name = "ACCOUNT/NAME")]
        group: String,
    },
    /// Add principals to a group of their account
    #[command(after_help = "Example:\n  landfall group add acme/developers acme/alice acme/bob")]
    Add {
        /// The name, with its account
        #[arg(value_name = "ACCOUNT/NAME")]
        group: String,
        /// Who becomes a member
        #[arg(required = true, value_name = "PRINCIPAL")]
        members: Vec<String>,
    },
    /// Take principals out of a group
    #[command(after_help = "Example:\n  landfall group remove acme/developers acme/bob")]
    Remove {
        /// The name, with its account
        #[arg(value_name = "ACCOUNT/NAME")]
        group: String,
        /// Who is no member any more
        #[arg(required = true, value_name = "PRINCIPAL")]
        members: Vec<String>,
    },
    /// Delete a group with its policies; its members stay
    #[command(after_help = "Example:\n  landfall group delete acme/developers")]
    Delete {
        /// The name, with its account
        #[arg(value_name = "ACCOUNT/NAME")]
        group: String,
    },
}
