//! Patterns of kinds and of subjects: `*` stands for any text, also for none.

use std::{fmt, str::FromStr};

/// The longest pattern, in bytes.
const LONGEST: usize = 255;

/// A pattern: `manifest.*`, `acme/*`, `acme/web`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is no pattern: up to 255 letters, digits and `._/-` are expected, and `*` for any text"
)]
pub struct InvalidPattern {
    /// The text, shortened.
    pub given: String,
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-*:".contains(&byte);
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(fits) {
            return Err(InvalidPattern {
                given: text.chars().take(64).collect(),
            });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole text fits the pattern.
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            // No star at all: nothing may be left.
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            // The first place is the best: it leaves the most for the others.
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

/// Whether the text fits one of the patterns, or there are none.
pub(crate) fn any(patterns: &[Pattern], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let pattern: Pattern = pattern.parse().expect("a pattern");
        pattern.matches(text)
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "tag.moved"),
            ("tag.*", "tag.moved"),
            ("*.deleted", "tag.deleted"),
            ("acme/*", "acme/shop/web"),
            ("acme/*/web", "acme/shop/web"),
            ("a*b*c", "a-b-b-c"),
            ("a**c", "ac"),
            ("acme/web", "acme/web"),
        ] {
            assert!(matches(pattern, text), "`{text}` does not fit `{pattern}`");
        }
        for (pattern, text) in [
            ("tag.*", "manifest.pushed"),
            ("acme/*", "acme"),
            ("acme/web", "acme/web2"),
            ("acme/web", "acme/we"),
            ("a*bc", "abcd"),
            ("a*a", "a"),
            ("a*b*c", "a-c-b"),
        ] {
            assert!(!matches(pattern, text), "`{text}` fits `{pattern}`");
        }
    }

    #[test]
    fn what_no_name_can_hold_is_no_pattern() {
        for wrong in ["", "a b", "a?", "[ab]", &"a".repeat(256)] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong} was read");
        }
    }
}
