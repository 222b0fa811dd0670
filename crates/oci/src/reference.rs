//! What names a manifest inside of a repository: a tag or a digest.
//!
//! The grammar is that of `<reference>` in the OCI distribution specification
//! 1.1 ("Pulling manifests"). A tag can't hold a colon and a digest must, so
//! every text is read as one or the other.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Digest, InvalidDigest, shorten::shorten, text::text};

/// A tag: a name that somebody gave to a manifest, and may give to another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Cow<'static, str>);

text!(Tag);

/// A text that is no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is no tag: use up to 128 letters, digits, `_`, `.` and `-`, \
     with a letter, a digit or `_` first"
)]
pub struct InvalidTag {
    /// What was given, shortened.
    pub given: String,
}

impl Tag {
    /// The tag that stands for a reference without one.
    pub const LATEST: Self = Self(Cow::Borrowed("latest"));
}

impl FromStr for Tag {
    type Err = InvalidTag;

    /// Matches `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        let is_first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let valid = text.len() <= 128
            && text.bytes().next().is_some_and(is_first)
            && text
                .bytes()
                .all(|byte| is_first(byte) || matches!(byte, b'.' | b'-'));
        if valid {
            Ok(Self(text.to_owned().into()))
        } else {
            Err(InvalidTag {
                given: shorten(text),
            })
        }
    }
}

/// A tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By a name that may move.
    Tag(Tag),
    /// By its content.
    Digest(Digest),
}

/// A text that is neither a tag nor a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// It has no colon, so it was read as a tag.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    /// It has a colon, so it was read as a digest.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if text.contains(':') {
            Ok(Self::Digest(text.parse()?))
        } else {
            Ok(Self::Tag(text.parse()?))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}
