//! `landfall tag`: what can be typed.

use std::str::FromStr;

use clap::Subcommand;
use landfall_oci::{ImageReference, Reference, RepositoryName, Tag};

/// What is done with tags.
#[derive(Debug, Subcommand)]
pub(crate) enum TagCommand {
    /// List the tags of a repository
    #[command(after_help = "Examples:
  landfall tag list acme/web
  landfall tag list --deleted acme/web")]
    List {
        /// The repository
        name: RepositoryName,
        /// List the tags that were deleted and can be brought back
        #[arg(long)]
        deleted: bool,
    },
    /// Show one tag
    #[command(after_help = "Example:\n  landfall tag show acme/web:prod")]
    Show {
        /// The tag: `acme/web:prod`
        #[arg(value_name = "TAG")]
        tag: TagName,
    },
    /// Show what happened to a tag, the newest first
    #[command(after_help = "Examples:
  landfall tag history acme/web:prod
  landfall tag history --limit 5 acme/web:prod --output json")]
    History {
        /// The tag, there or deleted: `acme/web:prod`
        #[arg(value_name = "TAG")]
        tag: TagName,
        /// How many entries to show
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: usize,
    },
    /// Point a tag at an image, without a push; it is made or moved
    #[command(after_help = "Examples:
  landfall tag create acme/web:prod :1.2
  landfall tag create acme/web:prod acme/web@sha256:...")]
    Create {
        /// The tag: `acme/web:prod`
        #[arg(value_name = "TAG")]
        tag: TagName,
        /// The image, of the same repository: `:1.2`, `acme/web:1.2`,
        /// `@sha256:...`
        #[arg(value_name = "IMAGE")]
        image: Target,
    },
    /// Take a tag away; the image stays
    #[command(after_help = "Example:\n  landfall tag delete acme/web:old")]
    Delete {
        /// The tag: `acme/web:old`
        #[arg(value_name = "TAG")]
        tag: TagName,
    },
    /// Turn back what happened to a tag last: a move, a deletion, an undo
    #[command(after_help = "Example:\n  landfall tag undo acme/web:prod

Possible until the server's undo window ends, 24 hours unless it is set.
Restore the image where the tag went with its image.")]
    Undo {
        /// The tag: `acme/web:prod`
        #[arg(value_name = "TAG")]
        tag: TagName,
    },
}

/// A tag with its repository.
#[derive(Debug, Clone)]
pub(crate) struct TagName {
    pub(crate) repository: RepositoryName,
    pub(crate) tag: Tag,
}

impl FromStr for TagName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<ImageReference>() {
            Ok(ImageReference {
                host: None,
                repository,
                tag: Some(tag),
                digest: None,
            }) => Ok(Self { repository, tag }),
            Ok(_) => {
                Err("a tag with its repository is expected, such as `acme/web:prod`".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

impl std::fmt::Display for TagName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// The image that a tag shall point at.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The repository, if it was said.
    pub(crate) repository: Option<RepositoryName>,
    pub(crate) reference: Reference,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix(':').or_else(|| text.strip_prefix('@'));
        if let Some(reference) = bare {
            let reference: Result<Reference, landfall_oci::InvalidReference> = reference.parse();
            return Ok(Self {
                repository: None,
                reference: reference.map_err(|error| error.to_string())?,
            });
        }
        match text.parse::<ImageReference>() {
            Ok(image) if image.host.is_none() => Ok(Self {
                reference: image.reference(),
                repository: Some(image.repository),
            }),
            Ok(_) => Err("an image of the same repository is expected, without a host".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}
