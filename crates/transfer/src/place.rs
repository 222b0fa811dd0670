//! Places: what a person writes to say where images come from or go to.
//!
//! | text | place |
//! | --- | --- |
//! | `docker://host[:port]/repository[:tag][@digest]` | a registry |
//! | `account/path[:tag][@digest]` | the registry that the caller calls home |
//! | `oci:PATH[:name]` | a folder in the OCI image layout |
//! | `oci-archive:FILE[:name]` | the same as a tar archive |
//! | `docker-archive:FILE[:reference]` | what `docker save` writes |
//! | `dir:PATH` | one image as plain files, as skopeo writes it |
//!
//! As in other tools a path ends at the first colon. A repository with a
//! wildcard is a pattern, and one that ends with a slash is everything below.

use std::{fmt, path::PathBuf, str::FromStr};

use landfall_oci::{Digest, ImageReference, InvalidName, RepositoryName, Tag};

use crate::{InvalidPattern, Pattern, Wanted, error::shorten};

/// Where images come from or go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A registry.
    Registry(RegistryPlace),
    /// A folder in the OCI image layout, and the name of an image in it.
    Layout {
        /// The folder.
        path: PathBuf,
        /// The name: the annotation `org.opencontainers.image.ref.name`.
        name: Option<String>,
    },
    /// The same in a tar archive.
    LayoutArchive {
        /// The file.
        path: PathBuf,
        /// As for a layout.
        name: Option<String>,
    },
    /// An archive as `docker save` writes it.
    DockerArchive {
        /// The file.
        path: PathBuf,
        /// `name:tag` of an image in it.
        reference: Option<String>,
    },
    /// A folder with the files of one image.
    Directory {
        /// The folder.
        path: PathBuf,
    },
}

/// One or more repositories of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryPlace {
    /// The host with its port; the caller's home where none was given.
    pub host: Option<String>,
    /// Which repositories.
    pub names: Names,
    /// The tag, if one was given.
    pub tag: Option<Tag>,
    /// The digest, if one was given. It wins over the tag.
    pub digest: Option<Digest>,
}

/// Which repositories of a registry are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// This one.
    One(Repository),
    /// All that match.
    Matching(Pattern),
    /// All below this prefix, which is empty or ends with a slash.
    Below(String),
}

/// The name of a repository of any registry: one component or more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlace {
    /// The word before the colon is none of the known forms.
    #[error(
        "`{given}` is no place that images are copied from or to: use `docker://HOST/REPOSITORY`, \
         `ACCOUNT/REPOSITORY`, `oci:PATH`, `oci-archive:FILE`, `docker-archive:FILE` or `dir:PATH`"
    )]
    Form {
        /// What was given, shortened.
        given: String,
    },
    /// There is no path after the colon.
    #[error("`{given}` has no path: `{form}:PATH` is expected")]
    Path {
        /// What was given, shortened.
        given: String,
        /// The word before the colon.
        form: &'static str,
    },
    /// A bare name begins with a host.
    #[error("`{given}` begins with a host: write `docker://{given}`")]
    Host {
        /// What was given, shortened.
        given: String,
    },
    /// The host, the repository, the tag or the digest is wrong.
    #[error("`{given}`: {reason}")]
    Name {
        /// What was given, shortened.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A pattern is wrong.
    #[error(transparent)]
    Pattern(#[from] InvalidPattern),
}

/// Docker's registry as people call it, and its repositories without a user.
const HUB: &str = "docker.io";
const HUB_LIBRARY: &str = "library/";

impl Repository {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Repository {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A name of ours needs an account, that of other registries does not;
        // each component follows the same grammar.
        match text.parse::<RepositoryName>() {
            Ok(_) | Err(InvalidName::MissingAccount { .. }) => Ok(Self(text.to_owned())),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Place {
    /// A word for the kind of place.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Registry(_) => "registry",
            Self::Layout { .. } => "layout",
            Self::LayoutArchive { .. } => "layout archive",
            Self::DockerArchive { .. } => "docker archive",
            Self::Directory { .. } => "directory",
        }
    }
}

impl RegistryPlace {
    /// What to ask for in a repository.
    pub(crate) fn wanted(&self) -> Wanted {
        match (self.digest, &self.tag) {
            (Some(digest), _) => Wanted::Digest(digest),
            (None, Some(tag)) => Wanted::Name(tag.to_string()),
            (None, None) => Wanted::Only,
        }
    }
}

/// A path, and what stands behind its first colon.
fn path(
    given: &str,
    rest: &str,
    form: &'static str,
) -> Result<(PathBuf, Option<String>), InvalidPlace> {
    let (path, name) = match rest.split_once(':') {
        Some((path, name)) => (path, Some(name.to_owned())),
        None => (rest, None),
    };
    if path.is_empty() || name.as_ref().is_some_and(String::is_empty) {
        return Err(InvalidPlace::Path {
            given: shorten(given),
            form,
        });
    }
    Ok((path.into(), name))
}

/// The names, tag and digest behind a host.
fn registry(given: &str, host: Option<&str>, rest: &str) -> Result<RegistryPlace, InvalidPlace> {
    let wrong = |reason: String| InvalidPlace::Name {
        given: shorten(given),
        reason,
    };
    let (rest, digest) = match rest.split_once('@') {
        Some((rest, digest)) => {
            let digest = digest.parse().map_err(|error| wrong(format!("{error}")));
            (rest, Some(digest?))
        }
        None => (rest, None),
    };
    let (name, tag) = match rest.split_once(':') {
        Some((name, tag)) => {
            let tag = tag.parse::<Tag>();
            (name, Some(tag.map_err(|error| wrong(error.to_string()))?))
        }
        None => (rest, None),
    };
    let is_many = name.is_empty() || name.ends_with('/') || name.contains(['*', '?']);
    if is_many && (tag.is_some() || digest.is_some()) {
        return Err(wrong(
            "several repositories take no tag or digest; choose tags with `--tags`".to_owned(),
        ));
    }
    let names = if name.contains(['*', '?']) {
        Names::Matching(name.parse()?)
    } else if let Some(prefix) = name.strip_suffix('/') {
        prefix.parse::<Repository>().map_err(wrong)?;
        Names::Below(name.to_owned())
    } else if name.is_empty() {
        Names::Below(String::new())
    } else if host == Some(HUB) && !name.contains('/') {
        Names::One(format!("{HUB_LIBRARY}{name}").parse().map_err(wrong)?)
    } else {
        Names::One(name.parse().map_err(wrong)?)
    };
    Ok(RegistryPlace {
        host: host.map(str::to_owned),
        names,
        tag,
        digest,
    })
}

/// Whether the first component of a name is a host, as container clients see
/// it.
fn looks_like_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        if let Some(rest) = text.strip_prefix("docker://") {
            let (first, name) = rest.split_once('/').unwrap_or((rest, ""));
            // Without a slash, a colon stands before a tag.
            let is_tagged = !rest.contains('/') && !looks_like_host(name_of(first));
            if is_tagged || !looks_like_host(first) {
                return Ok(Self::Registry(registry(text, Some(HUB), rest)?));
            }
            if !rest.contains('/') {
                return Err(InvalidPlace::Name {
                    given: shorten(text),
                    reason: "no repository is named; `/` at the end means all of them".to_owned(),
                });
            }
            // The host is checked by the one who knows what hosts look like.
            let probe: Result<ImageReference, _> = format!("{first}/a/b").parse();
            if let Err(error) = probe {
                return Err(InvalidPlace::Name {
                    given: shorten(text),
                    reason: error.to_string(),
                });
            }
            return Ok(Self::Registry(registry(text, Some(first), name)?));
        }
        let Some((form, rest)) = text.split_once(':') else {
            return bare(text);
        };
        match form {
            "oci" => path(text, rest, "oci").map(|(path, name)| Self::Layout { path, name }),
            "oci-archive" => path(text, rest, "oci-archive")
                .map(|(path, name)| Self::LayoutArchive { path, name }),
            "docker-archive" => path(text, rest, "docker-archive")
                .map(|(path, reference)| Self::DockerArchive { path, reference }),
            "dir" if rest.is_empty() => Err(InvalidPlace::Path {
                given: shorten(text),
                form: "dir",
            }),
            "dir" => Ok(Self::Directory { path: rest.into() }),
            _ => bare(text),
        }
    }
}

/// What stands before a colon.
fn name_of(text: &str) -> &str {
    text.split(':').next().unwrap_or(text)
}

/// A name without a form: a repository at home.
fn bare(text: &str) -> Result<Place, InvalidPlace> {
    let given = shorten(text);
    let (first, _) = text.split_once('/').unwrap_or((text, ""));
    if text.contains("://") || !text.contains('/') || first.is_empty() || first == "." {
        return Err(InvalidPlace::Form { given });
    }
    if looks_like_host(first) {
        return Err(InvalidPlace::Host { given });
    }
    registry(text, None, text).map(Place::Registry)
}
