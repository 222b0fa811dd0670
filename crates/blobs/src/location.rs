//! The opaque name of stored bytes.
//!
//! A location is chosen by the store when bytes are promoted, is kept in a
//! row of the metadata database, and is handed back to the store as it was.
//! Nobody else looks into it. One location names one object for ever: it is
//! never used a second time, not even for the same content, so deleting it
//! can never delete something that was stored later.

use std::{fmt, str::FromStr};

use landfall_ids::UploadId;

/// Where bytes lie in a store: `sha256/ab/<hex>.<upload id>` on a local disk.
///
/// The text has one to eight segments with `/` between them, each of
/// lowercase letters, digits, `.` and `-`, starting with a letter or a digit,
/// and 255 bytes at most. No such text leaves the directory that it is
/// resolved in. A store accepts only its own form on top of that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location(Box<str>);

/// The longest location, in bytes.
const LONGEST: usize = 255;

/// The most segments of a location.
const MOST_SEGMENTS: usize = 8;

/// A text that is no location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no location in a blob store")]
pub struct InvalidLocation {
    /// What was given, shortened.
    pub given: String,
}

impl Location {
    /// The text, as it is stored in a row.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whose bytes these are, where the location is `<upload>.<token>`: of a
    /// store that makes objects of an upload before it has ended.
    pub fn upload(&self) -> Option<UploadId> {
        let (upload, token) = self.0.split_once('.')?;
        token.parse::<u64>().ok()?;
        upload.parse().ok()
    }
}

fn is_segment(text: &str) -> bool {
    let is_letter_or_digit = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.as_bytes().first().is_some_and(is_letter_or_digit)
        && text
            .bytes()
            .all(|byte| is_letter_or_digit(&byte) || matches!(byte, b'.' | b'-'))
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        let valid = text.len() <= LONGEST
            && text.split('/').count() <= MOST_SEGMENTS
            && text.split('/').all(is_segment);
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidLocation {
                given: text.chars().take(64).collect(),
            })
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_could_leave_its_directory_is_refused() {
        for text in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../../x",
            "a//b",
            "a/",
            "./a",
            ".hidden",
            "a/.b",
            "a\0b",
            "a\\b",
            "A/b",
            "a b",
            "a/\u{2024}./b",
            "-rf",
            "a/b/c/d/e/f/g/h/i",
        ] {
            assert!(text.parse::<Location>().is_err(), "`{text}` was accepted");
        }
        assert!("a".repeat(255).parse::<Location>().is_ok());
        assert!("a".repeat(256).parse::<Location>().is_err());
    }

    #[test]
    fn only_an_upload_and_a_token_name_an_upload() {
        let upload = UploadId::new_at(1);
        let named = |text: String| text.parse::<Location>().expect("a location").upload();
        assert_eq!(named(format!("{upload}.17")), Some(upload));
        assert_eq!(named(format!("{upload}.17.1")), None);
        assert_eq!(named(format!("sha256/ab/cd.{upload}")), None);
        assert_eq!(named("ab.17".to_owned()), None);
    }

    proptest! {
        #[test]
        fn every_location_stays_inside_of_its_directory(text in "[a-z0-9./-]{0,40}") {
            if let Ok(location) = text.parse::<Location>() {
                prop_assert_eq!(location.to_string(), &*text);
                prop_assert!(
                    Path::new(&text).components().all(|c| matches!(c, Component::Normal(_)))
                );
            }
        }
    }
}
