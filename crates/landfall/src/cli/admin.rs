//! `landfall admin`: what can be typed.

use clap::Subcommand;

/// What is done on the server's machine, straight on the database.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Give a user a new password, also while the server runs
    #[command(after_help = "Examples:
  landfall admin reset-password --data /var/lib/landfall
  landfall admin reset-password --password-stdin acme/alice < password.txt
  landfall admin reset-password --database-url postgres://landfall@db/landfall

It needs the settings of the server and its database, and no password. Without
`--password-stdin` a password is made up and printed this once. The user is
enabled if it was disabled, its tokens end, and the audit log tells of it. Servers
that run know the new password within two seconds.")]
    ResetPassword {
        /// Who gets it, with its account unless that is `admin`
        #[arg(value_name = "USER", default_value = "admin")]
        user: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
}
