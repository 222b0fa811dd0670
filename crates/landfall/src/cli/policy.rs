//! `landfall policy`: what can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What is done with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// List the policies of an account
    #[command(after_help = "Examples:
  landfall policy list --account acme
  landfall policy list --account acme --output json")]
    List {
        /// The account, instead of your own
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
    },
    /// Make a policy, for one principal, group, repository or account
    #[command(override_usage = "landfall policy create [OPTIONS] <ACCOUNT/NAME> <FILE>")]
    #[command(after_help = "Examples:
  landfall policy create acme/readers --group acme/developers --template reader
  landfall policy create acme/share --repository acme/web share.cedar
  landfall policy template show writer |
    landfall policy create acme/writers --group acme/developers -

A policy of a principal or a group allows things of its own account only. What
others may do to a repository, a policy of the repository says.")]
    Create {
        /// The name, with the account whose policy it is
        #[arg(value_name = "ACCOUNT/NAME")]
        policy: String,
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        text: Text,
    },
    /// Show one policy with its text
    #[command(after_help = "Example:\n  landfall policy show acme/readers")]
    Show {
        /// The policy
        #[arg(value_name = "ACCOUNT/NAME")]
        policy: String,
    },
    /// Replace the text of a policy
    #[command(after_help = "Example:\n  landfall policy update acme/share share.cedar")]
    Update {
        /// The policy
        #[arg(value_name = "ACCOUNT/NAME")]
        policy: String,
        #[command(flatten)]
        text: Text,
    },
    /// Delete a policy
    #[command(after_help = "Example:\n  landfall policy delete acme/share")]
    Delete {
        /// The policy
        #[arg(value_name = "ACCOUNT/NAME")]
        policy: String,
    },
    /// Check a policy against the schema
    #[command(after_help = "Examples:
  landfall policy validate share.cedar
  landfall policy validate - < share.cedar

Exit status: 0 if it is valid, 1 if not.")]
    Validate {
        /// The file with the policy, or `-` for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Tell whether somebody may do something, and which policy says so
    #[command(
        override_usage = "landfall policy explain --principal <NAME> --action <ACTION>
                               [OPTIONS] [RESOURCE]"
    )]
    #[command(after_help = "Examples:
  landfall policy explain --principal acme/ci --action push acme/web
  landfall policy explain --principal acme/ci --action push --tag v1 acme/web
  landfall policy explain --principal anonymous --action pull acme/web
  landfall policy explain --principal acme/alice --action read-audit acme

A name without `/` is an account; without a name it is the registry.")]
    Explain {
        #[command(flatten)]
        asked: Asked,
    },
    /// Tell whose access a change would alter, before it is made
    #[command(override_usage = "landfall policy simulate [OPTIONS] [FILE]")]
    #[command(after_help = "Examples:
  landfall policy simulate --repository acme/web share.cedar
  landfall policy simulate --replace acme/share share.cedar
  landfall policy simulate --delete acme/share

It asks again what the audit log has seen, with the change and without it.")]
    #[command(group(clap::ArgGroup::new("change").required(true)))]
    Simulate {
        #[command(flatten)]
        new: NewTarget,
        /// Replace the text of this policy
        #[arg(long, value_name = "POLICY", group = "change")]
        replace: Option<String>,
        /// Delete this policy
        #[arg(long, value_name = "POLICY", group = "change")]
        #[arg(conflicts_with_all = ["file", "template"])]
        delete: Option<String>,
        #[command(flatten)]
        text: OptionalText,
    },
    /// Policies that are ready to be used
    #[command(subcommand)]
    Template(TemplateCommand),
    /// Print the schema: the types, actions and attributes of policies
    Schema,
}

/// What is done with templates.
#[derive(Debug, Subcommand)]
pub(crate) enum TemplateCommand {
    /// List the templates
    List,
    /// Print the text of a template
    #[command(after_help = "Example:\n  landfall policy template show reader > reader.cedar")]
    Show {
        /// The name of the template
        template: String,
    },
}

/// What a policy is for.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Target {
    /// What this principal may do
    #[arg(long, value_name = "NAME")]
    pub(crate) principal: Option<String>,
    /// What the members of this group may do
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// What may be done to this repository
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<String>,
    /// What may be done to this account and what it holds
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,
}

/// What a policy that is not there yet would be for.
#[derive(Debug, Args)]
pub(crate) struct NewTarget {
    /// Add a policy of this principal
    #[arg(long, value_name = "NAME", group = "change")]
    pub(crate) principal: Option<String>,
    /// Add a policy of this group
    #[arg(long, value_name = "NAME", group = "change")]
    pub(crate) group: Option<String>,
    /// Add a policy of this repository
    #[arg(long, value_name = "NAME", group = "change")]
    pub(crate) repository: Option<String>,
    /// Add a policy of this account
    #[arg(long, value_name = "NAME", group = "change")]
    pub(crate) account: Option<String>,
}

impl From<NewTarget> for Target {
    fn from(new: NewTarget) -> Self {
        Self {
            principal: new.principal,
            group: new.group,
            repository: new.repository,
            account: new.account,
        }
    }
}

/// Where the text of a policy is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Text {
    /// The file with the policy, or `-` for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// A template, instead of a file; see `landfall policy template list`
    #[arg(long, value_name = "NAME")]
    pub(crate) template: Option<String>,
}

/// Where the text of a policy is, if there is one.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct OptionalText {
    /// The file with the policy, or `-` for standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["delete", "template"])]
    pub(crate) file: Option<PathBuf>,
    /// A template, instead of a file; see `landfall policy template list`
    #[arg(long, value_name = "NAME")]
    pub(crate) template: Option<String>,
}

impl From<OptionalText> for Text {
    fn from(text: OptionalText) -> Self {
        Self {
            file: text.file,
            template: text.template,
        }
    }
}

/// May this principal do that to this?
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// Who: a principal, or `anonymous`
    #[arg(long, value_name = "NAME")]
    pub(crate) principal: String,
    /// What: `pull`, `push`, `delete` or another action of the schema
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: String,
    /// The repository or account that it is done to
    #[arg(value_name = "RESOURCE")]
    pub(crate) resource: Option<String>,
    /// The tag that is pushed or deleted
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// The address that the request comes from
    #[arg(long, value_name = "IP")]
    pub(crate) source: Option<std::net::IpAddr>,
}
