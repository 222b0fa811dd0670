//! What can be typed: commands, flags, help with examples.

mod account;
mod admin;
mod audit;
mod credential;
mod event;
mod login;
mod policy;
mod principal;
mod tag;
mod webhook;

use std::{path::PathBuf, time::Duration};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use landfall_oci::{ImageReference, RepositoryName};

use crate::{commands::copy, config};

pub(crate) use account::AccountCommand;
pub(crate) use admin::AdminCommand;
pub(crate) use audit::{AuditCommand, AuditFilter};
pub(crate) use credential::{ApiKeyCommand, SigningKeyCommand, TokenCommand};
pub(crate) use event::EventCommand;
pub(crate) use login::{HelperAction, LoginArguments, LogoutArguments};
pub(crate) use policy::{
    Asked, PolicyCommand, Target as PolicyTarget, TemplateCommand, Text as PolicyText,
};
pub(crate) use principal::{GroupCommand, PrincipalCommand};
pub(crate) use tag::{TagCommand, TagName, Target};
pub(crate) use webhook::{State as WebhookState, WebhookCommand, WebhookFilter};

/// From a build artifact to a running container, in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "landfall",
    version,
    propagate_version = true,
    max_term_width = 80
)]
#[command(after_help = "Examples:
  landfall serve --data ./data --listen 127.0.0.1:5000
  LANDFALL_PASSWORD=... landfall repo list
  landfall image tree acme/web:1.2
  landfall gc run --dry-run")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How the server is reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Connection {
    /// The URL of the server; without it the one that was logged in to last, or
    /// `http://127.0.0.1:5000`, which is also meant where a password is given
    #[arg(long, global = true, env = "LANDFALL_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Who asks, as `ACCOUNT/NAME`; `admin` unless given or logged in
    #[arg(long, global = true, env = "LANDFALL_USER", value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The password, an API key or a token; better given by the environment, or
    /// once to `landfall login`
    #[arg(
        long,
        global = true,
        env = "LANDFALL_PASSWORD",
        value_name = "PASSWORD"
    )]
    #[arg(hide_env_values = true)]
    pub(crate) password: Option<String>,
    /// A PEM file with certificates that the server's may be signed by, besides
    /// those that this machine trusts
    #[arg(
        long,
        global = true,
        env = "LANDFALL_CA_CERTIFICATE",
        value_name = "FILE"
    )]
    pub(crate) ca_certificate: Option<PathBuf>,
    /// How to print what is listed
    #[arg(long, short, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

/// The forms of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    #[command(after_help = "Examples:
  landfall serve --data ./data
  LANDFALL_ADMIN_PASSWORD=secret landfall serve --listen 0.0.0.0:5000
  landfall serve --config /etc/landfall.toml")]
    Serve,
    /// Show the settings and where they come from
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Repositories
    #[command(subcommand)]
    Repo(RepoCommand),
    /// Images
    #[command(subcommand)]
    Image(ImageCommand),
    /// Tags: their histories, and how to set them back
    #[command(subcommand)]
    Tag(TagCommand),
    /// Accounts: the tenants that own repositories
    #[command(subcommand)]
    Account(AccountCommand),
    /// Principals: users, robots, hosts and workers
    #[command(subcommand)]
    Principal(PrincipalCommand),
    /// Groups of principals
    #[command(subcommand)]
    Group(GroupCommand),
    /// API keys: credentials of programs
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// Authorization tokens: your own rights for some hours
    #[command(subcommand)]
    Token(TokenCommand),
    /// Policies: who may do what
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// The keys that sign tokens
    #[command(subcommand)]
    SigningKey(SigningKeyCommand),
    /// The audit log: who did what, and who was refused
    #[command(subcommand)]
    Audit(AuditCommand),
    /// What happened, and what happens
    #[command(subcommand)]
    Event(EventCommand),
    /// Webhooks: who is told of events
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Garbage collection
    #[command(subcommand)]
    Gc(GcCommand),
    /// Check that every row has its bytes, and all bytes their digest
    #[command(after_help = "Examples:
  landfall fsck
  landfall fsck --repair --output json

Exit status: 0 if all is well, 1 if problems were found.")]
    Fsck {
        /// Quarantine what is damaged, so that the next push heals it
        #[arg(long)]
        repair: bool,
        /// Compare sizes only, and read no bytes
        #[arg(long)]
        quick: bool,
    },
    /// Save the metadata while the server runs
    #[command(after_help = "Examples:
  landfall backup landfall.tar
  landfall backup - | gpg --encrypt > landfall.tar.gpg

Blobs are not in the backup: copy their directory afterwards. What is copied
after the backup holds all that the backup names.")]
    Backup {
        /// The file to write, or `-` for standard output
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Bring saved metadata back, on the server's machine, while it is stopped
    #[command(after_help = "Examples:
  landfall restore --data /var/lib/landfall landfall.tar
  landfall restore --database-url postgres://landfall@db/landfall landfall.tar

A backup of one kind of database can be restored into the other. PostgreSQL has
to be empty. Copy the master key, `keys/master` in the data folder, before.")]
    Restore {
        /// The file that `landfall backup` wrote
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Replace metadata that is there; the old file is kept beside it
        #[arg(long)]
        force: bool,
        /// Do without the master key: webhooks are disabled until they get a new
        /// secret, and tokens that were given out are not good any more
        #[arg(long)]
        forget_secrets: bool,
    },
    /// Log in at a server, and keep the login for these commands
    Login(LoginArguments),
    /// Forget a login
    Logout(LogoutArguments),
    /// Give kept logins to docker and podman, by their protocol
    #[command(after_help = "Examples:
  landfall credential-helper list
  echo registry.example.com | landfall credential-helper get

It is also called by the name `docker-credential-landfall`: make a link of that
name, and name `landfall` under `credHelpers` in the client's configuration.")]
    CredentialHelper {
        /// What they ask for
        action: HelperAction,
    },
    /// What is done on the server's machine, without logging in
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Print the OpenAPI document of the HTTP API
    Openapi,
    /// Print a script that completes commands in a shell
    #[command(after_help = "Example:
  landfall completions bash > /etc/bash_completion.d/landfall")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting with its value and its source
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RepoCommand {
    /// List repositories and what they hold
    List,
    /// Show one repository
    #[command(after_help = "Example:\n  landfall repo show acme/web")]
    Show {
        /// The name, with its account
        name: RepositoryName,
    },
    /// Make an empty repository; a push makes one too
    #[command(after_help = "Example:\n  landfall repo create acme/web")]
    Create {
        /// The name, with its account
        name: RepositoryName,
    },
    /// Say which tags of a repository may be moved and deleted
    #[command(after_help = "Examples:
  landfall repo update acme/web --immutable-tags --except 'dev-*'
  landfall repo update acme/web --mutable-tags --except 'v*'

An immutable tag is set once. Pushing the same image under it again succeeds.")]
    #[command(group(clap::ArgGroup::new("rule").required(true)))]
    Update {
        /// The name, with its account
        name: RepositoryName,
        /// Tags stay where they were set first
        #[arg(long, group = "rule")]
        immutable_tags: bool,
        /// Tags may be moved and deleted
        #[arg(long, group = "rule")]
        mutable_tags: bool,
        /// For tags of this pattern the opposite holds; `*` stands for any
        /// characters; may be given several times
        #[arg(long, value_name = "PATTERN")]
        except: Vec<String>,
    },
    /// Show what was pulled from a repository
    #[command(after_help = "Example:\n  landfall repo usage acme/web")]
    Usage {
        /// The name, with its account
        name: RepositoryName,
    },
    /// Delete a repository with everything in it
    #[command(after_help = "Examples:
  landfall repo delete --yes acme/web
  landfall repo delete --yes --purge acme/web")]
    Delete {
        /// The name, with its account
        name: RepositoryName,
        /// Do it without asking
        #[arg(long, short)]
        yes: bool,
        /// Let everything go with the next collection, without a time to undo
        #[arg(long)]
        purge: bool,
    },
    /// Bring back a repository that was deleted, with everything in it
    #[command(after_help = "Example:\n  landfall repo restore acme/web")]
    Restore {
        /// The name, with its account
        name: RepositoryName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// List the images of a repository
    #[command(after_help = "Example:\n  landfall image list acme/web --output json")]
    List {
        /// The repository
        name: RepositoryName,
    },
    /// Show one image
    #[command(after_help = "Example:\n  landfall image show acme/web:1.2")]
    Show {
        /// The image: `acme/web:1.2` or `acme/web@sha256:...`
        image: ImageReference,
    },
    /// Show an image with its platforms, layers and referrers
    #[command(after_help = "Example:\n  landfall image tree acme/web:1.2")]
    Tree {
        /// The image: `acme/web:1.2` or `acme/web@sha256:...`
        image: ImageReference,
    },
    /// Show how an image was built
    #[command(after_help = "Example:
  landfall image history acme/web:1.2 --platform linux/arm64")]
    History {
        /// The image: `acme/web:1.2` or `acme/web@sha256:...`
        image: ImageReference,
        /// The image of an index
        #[arg(long, value_name = "OS/ARCH")]
        platform: Option<String>,
    },
    /// Copy images between registries, layouts, archives and directories
    #[command(after_help = copy::EXAMPLES, after_long_help = copy::HELP)]
    Copy(Box<copy::Arguments>),
    /// Delete an image
    #[command(after_help = "Examples:
  landfall image delete acme/web:1.2
  landfall image delete --purge acme/web@sha256:...

A tag takes its image along when nothing else holds that one, and an index
takes along the images that only it held.")]
    Delete {
        /// The image: `acme/web:1.2` or `acme/web@sha256:...`
        image: ImageReference,
        /// Let its blobs go with the next collection, without a time to undo
        #[arg(long)]
        purge: bool,
    },
    /// Bring back an image that was deleted, with its tags
    #[command(after_help = "Example:\n  landfall image restore acme/web@sha256:...

Possible until the undo window of the server ends, 24 hours if nobody has set
another. The images of an index that went with it come back too, and so do tags
that were not set again meanwhile.")]
    Restore {
        /// The image by its digest: `acme/web@sha256:...`
        image: ImageReference,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GcCommand {
    /// Collect now what nobody needs any more, while everything goes on
    #[command(after_help = "Examples:
  landfall gc run --dry-run
  landfall gc run --grace 0s")]
    Run {
        /// Only tell what would go
        #[arg(long)]
        dry_run: bool,
        /// Keep what was just uploaded or deleted only this long, instead of as
        /// the settings say; pushes under way may have to send a layer again
        #[arg(long, value_name = "TIME", value_parser = duration)]
        grace: Option<Duration>,
    },
    /// List the last runs
    List,
}

/// A time as people write it: `90s`, `1h 30m`, `30d`.
fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "a time such as `90s`, `5m`, `1h` or `30d` is expected".to_owned();
    let span: jiff::Span = text.parse().map_err(|_| expected())?;
    let span = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| expected())?;
    Duration::try_from(span).map_err(|_| "a time that is not negative is expected".to_owned())
}

/// The command line, with the settings of the server as flags where they
/// belong.
pub(crate) fn command() -> clap::Command {
    Cli::command()
        .mut_subcommand("serve", |serve| serve.args(config::args()))
        .mut_subcommand("restore", |restore| restore.args(config::args()))
        .mut_subcommand("admin", |admin| {
            admin.mut_subcommand("reset-password", |reset| reset.args(config::args()))
        })
        .mut_subcommand("config", |config| {
            config.mut_subcommand("show", |show| show.args(config::args()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("30d"), Ok(Duration::from_hours(720)));
        assert!(duration("-5s").is_err());
        assert!(duration("soon").is_err());
    }
}
