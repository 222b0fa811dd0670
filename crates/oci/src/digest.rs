//! Digests: the names of content, `sha256:<hex>` and `sha512:<hex>`.
//!
//! The text form is the one of the OCI image specification ("Digests" in
//! `descriptor.md`), read strictly: the algorithm must be one of the two
//! registered ones, the hex must be lowercase and of the exact length. One
//! content therefore has one text per algorithm, and no text of a digest can
//! hold a path separator, a dot or a space.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Hasher, shorten::shorten};

/// The longest output of any algorithm, in bytes.
const LONGEST: usize = 64;

/// A hash algorithm that content may be named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, the usual one.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every algorithm there is.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name before the colon of a digest: `sha256`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The length of the hash in bytes; its hex is twice as long.
    pub const fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| InvalidDigest::Algorithm {
                given: shorten(text),
            })
    }
}

/// The hash of some bytes, together with the algorithm that made it.
///
/// The order of digests is the order of their texts, so rows that are locked
/// "in digest order" are locked in the same order by code and by SQL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    /// The hash, then zeros up to the length of the longest algorithm.
    bytes: [u8; LONGEST],
}

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    /// There is no colon between an algorithm and its hex.
    #[error("`{given}` is no digest: `<algorithm>:<hex>` is expected")]
    Form {
        /// What was given, shortened.
        given: String,
    },
    /// The algorithm is none of those that Landfall speaks.
    #[error("the digest algorithm `{given}` is not supported: use `sha256` or `sha512`")]
    Algorithm {
        /// The algorithm that was named, shortened.
        given: String,
    },
    /// The hex has the wrong length.
    #[error("a {algorithm} digest has {expected} hex digits, not {given}")]
    Length {
        /// The algorithm that was named.
        algorithm: Algorithm,
        /// How many hex digits it has.
        expected: usize,
        /// How many bytes of text were given.
        given: usize,
    },
    /// Something in the hex is no lowercase hex digit.
    #[error("`{given}` is no lowercase hex")]
    Hex {
        /// What was given after the colon, shortened.
        given: String,
    },
}

impl Digest {
    /// The digest of `content`.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(content);
        hasher.finish()
    }

    /// The digest whose hash is `hash`: [`Algorithm::size`] bytes, as
    /// [`Digest::as_bytes`] gave them.
    pub fn from_bytes(algorithm: Algorithm, hash: &[u8]) -> Result<Self, InvalidDigest> {
        if hash.len() != algorithm.size() {
            return Err(InvalidDigest::Length {
                algorithm,
                expected: algorithm.size() * 2,
                given: hash.len() * 2,
            });
        }
        let mut bytes = [0; LONGEST];
        for (to, from) in bytes.iter_mut().zip(hash) {
            *to = *from;
        }
        Ok(Self { algorithm, bytes })
    }

    pub(crate) const fn of_sha256(hash: &[u8; 32]) -> Self {
        let mut bytes = [0; LONGEST];
        let (head, _) = bytes.split_at_mut(32);
        head.copy_from_slice(hash);
        Self {
            algorithm: Algorithm::Sha256,
            bytes,
        }
    }

    pub(crate) const fn of_sha512(hash: [u8; 64]) -> Self {
        Self {
            algorithm: Algorithm::Sha512,
            bytes: hash,
        }
    }

    /// The algorithm that made this digest.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash itself, [`Algorithm::size`] bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.size()]
    }

    /// The hash in lowercase hex, without the algorithm.
    pub fn hex(&self) -> String {
        let mut hex = String::with_capacity(self.algorithm.size() * 2);
        self.push_hex(&mut hex);
        hex
    }

    fn push_hex(&self, to: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in self.as_bytes() {
            to.push(char::from(DIGITS[usize::from(byte >> 4)]));
            to.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }

    /// The text of the digest in one allocation.
    fn text(&self) -> String {
        let name = self.algorithm.as_str();
        let mut text = String::with_capacity(name.len() + 1 + self.algorithm.size() * 2);
        text.push_str(name);
        text.push(':');
        self.push_hex(&mut text);
        text
    }
}

/// `sha256:<hex>`.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// The value of one lowercase hex digit.
const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let (name, hex) = text.split_once(':').ok_or_else(|| InvalidDigest::Form {
            given: shorten(text),
        })?;
        let algorithm: Algorithm = name.parse()?;
        let expected = algorithm.size() * 2;
        if hex.len() != expected {
            return Err(InvalidDigest::Length {
                algorithm,
                expected,
                given: hex.len(),
            });
        }
        let mut bytes = [0; LONGEST];
        for (byte, [high, low]) in bytes.iter_mut().zip(hex.as_bytes().as_chunks().0) {
            match (nibble(*high), nibble(*low)) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => {
                    return Err(InvalidDigest::Hex {
                        given: shorten(hex),
                    });
                }
            }
        }
        Ok(Self { algorithm, bytes })
    }
}

impl TryFrom<&str> for Digest {
    type Error = InvalidDigest;

    fn try_from(text: &str) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a digest")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}
