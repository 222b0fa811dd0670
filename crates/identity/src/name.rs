//! Names of principals and groups: `<account>/<name>`.

use std::{fmt, str::FromStr};

use landfall_oci::AccountName;

use crate::{Error, OPERATOR_ACCOUNT};

/// The longest name of a principal or a group, in bytes, without its account.
const LONGEST: usize = 64;
/// Names that mean something else where a principal's name may stand.
const RESERVED: [&str; 2] = ["token", "anonymous"];

/// The name of a principal or of a group, with its account: `acme/alice`. The
/// account `admin` may be left out.
///
/// A name has lowercase letters, digits, and `.`, `_`, `-`, `+` or `@` between
/// them, so that it can be a part of a path and the name of HTTP's Basic
/// scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalName {
    account: String,
    name: String,
}

impl LocalName {
    /// The name of `name` in `account`.
    pub fn new(account: &str, name: &str) -> Result<Self, Error> {
        check(name)?;
        Ok(Self {
            account: account_name(account)?,
            name: name.to_owned(),
        })
    }

    /// The name of something that is stored under it.
    pub(crate) fn stored(account: &str, name: String) -> Self {
        Self {
            account: account.to_owned(),
            name,
        }
    }

    /// The account.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The name inside of the account.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for LocalName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (account, name) = text.split_once('/').unwrap_or((OPERATOR_ACCOUNT, text));
        Self::new(account, name)
    }
}

/// As it is typed at a log-in: without the account `admin`.
impl fmt::Display for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.account == OPERATOR_ACCOUNT {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.account, self.name)
        }
    }
}

/// The name of an account, if it is one.
pub(crate) fn account_name(text: &str) -> Result<String, Error> {
    let parsed = text.parse::<AccountName>();
    let name = parsed.map_err(|error| Error::invalid(error.to_string()))?;
    Ok(name.as_str().to_owned())
}

fn check(name: &str) -> Result<(), Error> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_any = |byte: u8| is_word(byte) || b"._-+@".contains(&byte);
    let bytes = name.as_bytes();
    let edges = bytes.first().is_some_and(|byte| is_word(*byte))
        && bytes.last().is_some_and(|byte| is_word(*byte));
    if !edges || bytes.len() > LONGEST || !bytes.iter().all(|byte| is_any(*byte)) {
        let shown: String = name.chars().take(LONGEST).collect();
        return Err(Error::invalid(format!(
            "`{shown}` is no name: 1 to {LONGEST} lowercase letters and digits are expected, with \
             `.`, `_`, `-`, `+` or `@` between them"
        )));
    }
    if RESERVED.contains(&name) {
        return Err(Error::invalid(format!(
            "the name `{name}` is reserved; choose another"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_an_account_and_admin_is_understood() {
        for (text, account, name, shown) in [
            ("acme/alice", "acme", "alice", "acme/alice"),
            ("admin", "admin", "admin", "admin"),
            ("admin/admin", "admin", "admin", "admin"),
            (
                "acme/a.b+c@d.example",
                "acme",
                "a.b+c@d.example",
                "acme/a.b+c@d.example",
            ),
        ] {
            let parsed: LocalName = text.parse().expect(text);
            assert_eq!((parsed.account(), parsed.name()), (account, name));
            assert_eq!(parsed.to_string(), shown);
        }
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_no_name() {
        let long = "x".repeat(65);
        for text in [
            "",
            "/",
            "acme/",
            "/alice",
            "acme/al ice",
            "acme/Alice",
            "acme/a:b",
            "acme/a/b",
            "acme/-a",
            "acme/a\0b",
            "ac me/a",
            "acme/ä",
            "acme/token",
            "token",
            "anonymous",
            &long,
        ] {
            assert!(text.parse::<LocalName>().is_err(), "{text:?} was taken");
        }
    }
}
