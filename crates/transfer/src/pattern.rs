//! Patterns of names: `*` stands for any letters, `?` for one.

use std::{fmt, str::FromStr};

/// The longest pattern, in bytes.
const LONGEST: usize = 255;

/// A pattern of the names of repositories or tags. A `*` stands for any
/// number of letters, slashes included; everything else but `?` for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is no pattern: use up to {LONGEST} letters, digits, `.`, `_`, `-` and `/`, with \
     `*` for any of them and `?` for one"
)]
pub struct InvalidPattern {
    /// What was given, shortened.
    pub given: String,
}

impl Pattern {
    /// The pattern itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `name` is one of those meant. Time grows with the product of
    /// both lengths at the worst.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut seen) = (0, 0);
        // Where to go back to: behind the last star, and what it took so far.
        let mut star = None;
        while seen < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at + 1, seen));
                    at += 1;
                }
                Some(letter) if *letter == b'?' || *letter == name[seen] => {
                    at += 1;
                    seen += 1;
                }
                _ => {
                    let Some((after, taken)) = star else {
                        return false;
                    };
                    star = Some((after, taken + 1));
                    (at, seen) = (after, taken + 1);
                }
            }
        }
        pattern[at..].iter().all(|letter| *letter == b'*')
    }

    /// What is cut from the names that match, to be replaced by the
    /// destination: everything up to the last slash before the first wildcard.
    pub fn folder(&self) -> &str {
        let literal = self.0.find(['*', '?']).unwrap_or(self.0.len());
        match self.0[..literal].rfind('/') {
            Some(slash) => &self.0[..=slash],
            None => "",
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/*?".contains(&byte);
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(is_letter) {
            return Err(InvalidPattern {
                given: crate::error::shorten(text),
            });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
