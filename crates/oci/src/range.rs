//! Ranges of bytes: those that a reader asks for, and those that an upload
//! chunk says it is.
//!
//! Sources: RFC 9110 sections 14.1.2 and 14.2 for `Range`; the OCI
//! distribution specification 1.1, "Pushing a blob in chunks", for
//! `Content-Range`, which there is `<first>-<last>` without a unit.

use std::{fmt, ops};

use crate::shorten::shorten;

/// A range of at least one byte. Both ends are inclusive, as they are in every
/// header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteRange {
    first: u64,
    last: u64,
}

/// What a `Range` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestedRange {
    /// Everything: the header is malformed, has an unknown unit, or asks for
    /// several ranges, and RFC 9110 section 14.2 lets a server ignore those.
    Whole,
    /// One part.
    Part(ByteRange),
    /// Something that lies behind the end of the content.
    Unsatisfiable,
}

/// A `Content-Range` that doesn't say where a chunk belongs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no range of a chunk: `<first>-<last>` is expected, as in `0-1023`")]
pub struct InvalidContentRange {
    /// What was given, shortened.
    pub given: String,
}

impl ByteRange {
    /// The range from the byte at `first` to the byte at `last`, both
    /// included; nothing if it would be empty, or reach beyond `i64::MAX`.
    pub fn new(first: u64, last: u64) -> Option<Self> {
        (first <= last && last < i64::MAX.unsigned_abs()).then_some(Self { first, last })
    }

    /// The offset of the first byte.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The offset of the last byte.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// How many bytes there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub const fn len(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Reads the value of a `Range` header for content of `size` bytes.
    ///
    /// Numbers may be larger than any content; they mean its end. A suffix of
    /// empty content is the whole content, because no range can say "nothing".
    pub fn requested(header: &str, size: u64) -> RequestedRange {
        let Some((unit, set)) = header.split_once('=') else {
            return RequestedRange::Whole;
        };
        if !unit.trim_matches(OWS).eq_ignore_ascii_case("bytes") {
            return RequestedRange::Whole;
        }
        let mut specs = set
            .split(',')
            .map(|spec| spec.trim_matches(OWS))
            .filter(|s| !s.is_empty());
        let (Some(spec), None) = (specs.next(), specs.next()) else {
            return RequestedRange::Whole;
        };
        let Some((first, last)) = spec.split_once('-') else {
            return RequestedRange::Whole;
        };
        match (saturating(first), saturating(last)) {
            (Some(first), Some(last)) if first > last => RequestedRange::Whole,
            (Some(first), Some(last)) => part(first, last, size),
            (Some(first), None) if last.is_empty() => part(first, u64::MAX, size),
            (None, Some(_)) if first.is_empty() && size == 0 => RequestedRange::Whole,
            (None, Some(length)) if first.is_empty() => {
                part(size.saturating_sub(length), u64::MAX, size)
            }
            _ => RequestedRange::Whole,
        }
    }

    /// Reads the value of the `Content-Range` header of an upload chunk.
    ///
    /// Besides the form of the specification, `<first>-<last>`, it takes
    /// `bytes=<first>-<last>` and the form of RFC 9110 section 14.4,
    /// `bytes <first>-<last>/<size>` with a number or `*` for the size.
    pub fn of_chunk(header: &str) -> Result<Self, InvalidContentRange> {
        chunk(header.trim_matches(OWS)).ok_or_else(|| InvalidContentRange {
            given: shorten(header),
        })
    }

    /// The value of `Content-Range` in an answer that carries this part of
    /// `size` bytes: `bytes 0-99/1000`.
    pub fn content_range(&self, size: u64) -> String {
        format!("bytes {self}/{size}")
    }

    /// The value of `Content-Range` in an answer to a range that content of
    /// `size` bytes can't satisfy: `bytes */1000`.
    pub fn unsatisfied(size: u64) -> String {
        format!("bytes */{size}")
    }
}

/// The optional white space of RFC 9110 section 5.6.3.
const OWS: [char; 2] = [' ', '\t'];

/// A number of digits; `u64::MAX` if it is larger.
fn saturating(digits: &str) -> Option<u64> {
    is_number(digits).then(|| digits.parse().unwrap_or(u64::MAX))
}

fn is_number(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn part(first: u64, last: u64, size: u64) -> RequestedRange {
    if first >= size {
        return RequestedRange::Unsatisfiable;
    }
    match ByteRange::new(first, last.min(size - 1)) {
        Some(range) => RequestedRange::Part(range),
        // Only for content that no store can hold.
        None => RequestedRange::Whole,
    }
}

fn chunk(text: &str) -> Option<ByteRange> {
    let (unit, rest) = text.split_at_checked(5).unwrap_or(("", text));
    let (range, size) = if unit.eq_ignore_ascii_case("bytes") {
        match rest.strip_prefix('=') {
            Some(range) => (range, None),
            None => match rest.strip_prefix(' ')?.split_once('/') {
                Some((range, size)) => (range, Some(size)),
                None => (&rest[1..], None),
            },
        }
    } else {
        (text, None)
    };
    let (first, last) = range.split_once('-')?;
    if !is_number(first) || !is_number(last) {
        return None;
    }
    let range = ByteRange::new(first.parse().ok()?, last.parse().ok()?)?;
    match size {
        None | Some("*") => Some(range),
        Some(size) => saturating(size)
            .filter(|size| range.last < *size)
            .map(|_| range),
    }
}

/// `0-99`, without a unit.
impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// The same bytes as a half-open range.
impl From<ByteRange> for ops::Range<u64> {
    fn from(range: ByteRange) -> Self {
        range.first..range.last + 1
    }
}
