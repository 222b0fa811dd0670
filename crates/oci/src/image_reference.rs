//! What a person writes to name an image:
//! `[host[:port]/]account/path[:tag][@digest]`.
//!
//! Whether the first component is a host is decided as container clients do:
//! it is one if it holds a dot or a colon, or is `localhost`. An account whose
//! name has a dot can therefore only be written together with a host.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use crate::{
    Digest, InvalidDigest, InvalidName, InvalidTag, Reference, RepositoryName, Tag,
    shorten::shorten,
};

/// An image as a command line names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference {
    /// The registry, with its port if one was given.
    pub host: Option<String>,
    /// The repository, account included.
    pub repository: RepositoryName,
    /// The tag, if one was given.
    pub tag: Option<Tag>,
    /// The digest, if one was given. It wins over the tag.
    pub digest: Option<Digest>,
}

/// A text that names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidImageReference {
    /// The part before the first slash looks like a host, but is none.
    #[error("`{given}` is no host: `<name>` or `<name>:<port>` is expected")]
    Host {
        /// What was given, shortened.
        given: String,
    },
    /// The repository is wrong.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The part after the last colon is wrong.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    /// The part after the `@` is wrong.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

impl ImageReference {
    /// What to ask the registry for: the digest, else the tag, else `latest`.
    pub fn reference(&self) -> Reference {
        match (self.digest, &self.tag) {
            (Some(digest), _) => Reference::Digest(digest),
            (None, Some(tag)) => Reference::Tag(tag.clone()),
            (None, None) => Reference::Tag(Tag::LATEST),
        }
    }
}

impl FromStr for ImageReference {
    type Err = InvalidImageReference;

    fn from_str(text: &str) -> Result<Self, InvalidImageReference> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        let (host, rest) = match rest.split_once('/') {
            Some((first, rest)) if looks_like_host(first) => {
                if !is_host(first) {
                    return Err(InvalidImageReference::Host {
                        given: shorten(first),
                    });
                }
                (Some(first.to_owned()), rest)
            }
            _ => (None, rest),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) => (name, Some(tag.parse()?)),
            None => (rest, None),
        };
        Ok(Self {
            host,
            repository: name.parse()?,
            tag,
            digest,
        })
    }
}

fn looks_like_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

/// Whether `text` is a DNS name, an IPv4 address or an IPv6 address in
/// brackets, with or without a port.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rfind(']') {
        Some(end) => text.split_at(end + 1),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port_is_valid = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| {
            digits.bytes().all(|b| b.is_ascii_digit())
                && digits.parse::<u16>().is_ok_and(|port| port > 0)
        });
    let name_is_valid = match name.strip_prefix('[') {
        Some(address) => address
            .strip_suffix(']')
            .is_some_and(|a| a.parse::<Ipv6Addr>().is_ok()),
        None => name.len() <= 253 && name.split('.').all(is_label),
    };
    port_is_valid && name_is_valid
}

/// Whether `text` is one label of a DNS name (RFC 1123 section 2.1).
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}/")?;
        }
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}
