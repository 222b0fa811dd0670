//! Names of accounts and repositories: `<account>/<path>`.
//!
//! The grammar is that of `<name>` in the OCI distribution specification 1.1
//! ("Pulling manifests"), with one rule of our own: the first component names
//! the account that owns the repository, so a name has at least two. No
//! component can start or end with a separator, so a name holds no `..`, no
//! `//` and no leading slash, and is safe in a path.

use std::{borrow::Cow, str::FromStr};

use crate::{shorten::shorten, text::text};

/// The longest repository name, in bytes. The specification sets no limit, but
/// warns that many clients stop at 255 for host and name together.
const LONGEST: usize = 255;

/// The name of an account: the first component of a repository's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(Cow<'static, str>);

/// The full name of a repository, account included: `admin/tools/build`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Cow<'static, str>);

text!(AccountName);
text!(RepositoryName);

/// A text that is no name of a repository or an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The name would be valid, but has a single component.
    #[error("`{given}` names no account: use `<account>/<repository>`, as in `admin/{given}`")]
    MissingAccount {
        /// The name without an account, shortened.
        given: String,
    },
    /// The name is longer than 255 bytes.
    #[error("a name has at most {LONGEST} bytes, not {length}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A component does not follow the grammar, or is empty.
    #[error(
        "`{component}` in `{given}` is no part of a name: use lowercase letters and digits, \
         separated by `.`, `_`, `__` or dashes"
    )]
    Component {
        /// The whole name, shortened.
        given: String,
        /// The component that is wrong, shortened.
        component: String,
    },
}

impl RepositoryName {
    /// The account that owns the repository.
    pub fn account(&self) -> AccountName {
        AccountName(self.split().0.to_owned().into())
    }

    /// The name inside of the account: `tools/build` of `admin/tools/build`.
    pub fn path(&self) -> &str {
        self.split().1
    }

    fn split(&self) -> (&str, &str) {
        // Parsing saw to it that there is a slash.
        self.0.split_once('/').unwrap_or((&self.0, ""))
    }
}

/// Whether `text` matches `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let edges_are_words = bytes.first().is_some_and(is_word) && bytes.last().is_some_and(is_word);
    edges_are_words
        && bytes.split(is_word).all(|separator| {
            matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-')
        })
}

fn check_length(text: &str) -> Result<(), InvalidName> {
    if text.len() > LONGEST {
        Err(InvalidName::TooLong { length: text.len() })
    } else {
        Ok(())
    }
}

fn check_component(component: &str, whole: &str) -> Result<(), InvalidName> {
    if is_component(component) {
        return Ok(());
    }
    Err(InvalidName::Component {
        given: shorten(whole),
        component: shorten(component),
    })
}

impl FromStr for AccountName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        check_length(text)?;
        check_component(text, text)?;
        Ok(Self(text.to_owned().into()))
    }
}

impl FromStr for RepositoryName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        check_length(text)?;
        for component in text.split('/') {
            check_component(component, text)?;
        }
        if !text.contains('/') {
            return Err(InvalidName::MissingAccount {
                given: shorten(text),
            });
        }
        Ok(Self(text.to_owned().into()))
    }
}
