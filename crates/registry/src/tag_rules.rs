//! Which tags may move: the rule of a repository and its exceptions.
//!
//! A repository is mutable or immutable, and patterns name the tags for which
//! the opposite holds: an immutable repository whose `latest` and `dev-*` move,
//! or a mutable one whose `v*` stay. An immutable tag is set once. It is not
//! moved and not deleted; pushing the same image under it once more changes
//! nothing, and succeeds.

use std::{fmt, str::FromStr};

use landfall_oci::Tag;

/// Exceptions of a repository, at the most.
const MOST_EXCEPTIONS: usize = 20;
/// Characters of a pattern, at the most: as many as a tag may have.
const LONGEST_PATTERN: usize = 128;

/// The rule of a repository about its tags. The default lets every tag move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagRules {
    immutable: bool,
    exceptions: Vec<TagPattern>,
}

/// A pattern of tags: letters, digits, `_`, `.`, `-`, and `*` for any number of
/// any of them, none too. It matches the whole of a tag, case included.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagPattern(String);

/// Rules that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTagRules {
    /// A text is no pattern.
    #[error(
        "`{0}` is no pattern of tags: use up to {LONGEST_PATTERN} letters, digits, `_`, `.`, `-` \
         and `*`, such as `dev-*`"
    )]
    Pattern(String),
    /// There are too many.
    #[error("{0} exceptions are too many: a repository takes up to {MOST_EXCEPTIONS}")]
    TooMany(usize),
}

impl TagRules {
    /// Rules of these parts. Exceptions are put in order, each once.
    pub fn new(immutable: bool, mut exceptions: Vec<TagPattern>) -> Result<Self, InvalidTagRules> {
        exceptions.sort_unstable();
        exceptions.dedup();
        if exceptions.len() > MOST_EXCEPTIONS {
            return Err(InvalidTagRules::TooMany(exceptions.len()));
        }
        Ok(Self {
            immutable,
            exceptions,
        })
    }

    /// Whether tags stay where no exception says otherwise.
    pub fn is_immutable(&self) -> bool {
        self.immutable
    }

    /// The patterns of the tags for which the opposite holds, in order.
    pub fn exceptions(&self) -> &[TagPattern] {
        &self.exceptions
    }

    /// Whether this tag stays as it was set.
    pub fn holds(&self, tag: &Tag) -> bool {
        let excepted = self
            .exceptions
            .iter()
            .any(|pattern| pattern.matches(tag.as_str()));
        self.immutable != excepted
    }

    /// The exceptions as the database stores them.
    pub(crate) fn exceptions_text(&self) -> String {
        let texts: Vec<_> = self.exceptions.iter().map(|each| each.0.as_str()).collect();
        texts.join(" ")
    }

    /// What the database stored.
    pub(crate) fn stored(immutable: bool, exceptions: &str) -> Result<Self, InvalidTagRules> {
        let patterns = exceptions.split_whitespace().map(str::parse);
        Self::new(immutable, patterns.collect::<Result<_, _>>()?)
    }
}

impl TagPattern {
    /// Whether the pattern matches the whole text. In time that is linear in
    /// both lengths, whatever the pattern: after a `*` that has matched too
    /// little, only the last `*` takes one more.
    fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut at, mut of) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while of < text.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, of));
                    at += 1;
                }
                Some(byte) if *byte == text[of] => {
                    at += 1;
                    of += 1;
                }
                _ => match star {
                    Some((begin, taken)) => {
                        star = Some((begin, taken + 1));
                        at = begin + 1;
                        of = taken + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

impl FromStr for TagPattern {
    type Err = InvalidTagRules;

    fn from_str(text: &str) -> Result<Self, InvalidTagRules> {
        let fits = (1..=LONGEST_PATTERN).contains(&text.len());
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'*');
        if fits && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            let shown: String = text.chars().take(64).collect();
            Err(InvalidTagRules::Pattern(shown))
        }
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> TagPattern {
        text.parse().expect("a pattern")
    }

    #[test]
    fn a_pattern_matches_the_whole_tag() {
        for (text, yes, no) in [
            (
                "latest",
                &["latest"][..],
                &["latest1", "Latest", "a-latest"][..],
            ),
            ("dev-*", &["dev-", "dev-1", "dev-a-b"], &["dev", "xdev-1"]),
            ("*-rc", &["1-rc", "-rc", "1-rc-rc"], &["1-rc1"]),
            ("v*.*", &["v1.2", "v.", "v1.2.3"], &["v1", "1.2"]),
            ("*", &["anything"], &[]),
            ("a**b", &["ab", "axb"], &["a"]),
        ] {
            for tag in yes {
                assert!(pattern(text).matches(tag), "`{text}` matches `{tag}`");
            }
            for tag in no {
                assert!(
                    !pattern(text).matches(tag),
                    "`{text}` does not match `{tag}`"
                );
            }
        }
    }

    #[test]
    fn a_pattern_that_could_take_long_takes_no_time() {
        let hard = pattern(&"*a".repeat(60));
        let tag = "a".repeat(127) + "b";
        assert!(!hard.matches(&tag));
        assert!(hard.matches(&"a".repeat(128)));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let long = "a".repeat(129);
        for text in ["", "a b", "a/b", "ä*", "v?", long.as_str()] {
            assert!(text.parse::<TagPattern>().is_err(), "{text:?} was read");
        }
    }

    #[test]
    fn exceptions_turn_the_rule_around() {
        let tag = |text: &str| text.parse::<Tag>().expect("a tag");
        let patterns = || vec![pattern("dev-*"), pattern("latest"), pattern("latest")];
        let immutable = TagRules::new(true, patterns()).expect("rules");
        assert!(immutable.holds(&tag("v1")) && !immutable.holds(&tag("latest")));
        let mutable = TagRules::new(false, patterns()).expect("rules");
        assert!(!mutable.holds(&tag("v1")) && mutable.holds(&tag("dev-7")));
        assert!(!TagRules::default().holds(&tag("v1")));
        let stored = TagRules::stored(true, &immutable.exceptions_text());
        assert_eq!(stored, Ok(immutable));
    }

    #[test]
    fn a_repository_takes_a_bounded_number_of_exceptions() {
        let many = |count: usize| (0..count).map(|n| pattern(&format!("v{n}"))).collect();
        assert!(TagRules::new(true, many(MOST_EXCEPTIONS)).is_ok());
        let refused = TagRules::new(true, many(MOST_EXCEPTIONS + 1));
        assert_eq!(refused, Err(InvalidTagRules::TooMany(MOST_EXCEPTIONS + 1)));
    }
}
