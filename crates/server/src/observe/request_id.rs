//! Ids of requests.

use std::{
    fmt,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use http::{HeaderName, HeaderValue};

/// Id of a request: the client's, if it sent a sane one, or ours. Every request
/// carries it as an extension, every answer as `X-Request-Id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The header that carries it, both ways.
    pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

    /// The longest id that is taken over from a client, in bytes.
    const LONGEST: usize = 64;

    /// Takes over a client's id if it is short and plain: letters, digits,
    /// `.`, `_` and `-`. Anything else could confuse whoever reads the logs.
    pub fn accept(sent: &HeaderValue) -> Option<Self> {
        let bytes = sent.as_bytes();
        let sane = (1..=Self::LONGEST).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        sane.then(|| Self(sent.clone()))
    }

    /// Makes an id that no other request of this process has, and very
    /// likely none of another: 16 hexadecimal digits.
    pub fn generate() -> Self {
        static START: LazyLock<u64> = LazyLock::new(rand::random);
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // A counter through a bijection (the finaliser of splitmix64): unique
        // like a counter, spread like a random number.
        let mut bits = START.wrapping_add(COUNT.fetch_add(1, Relaxed));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let mut digits = [0; 16];
        for (index, digit) in digits.iter_mut().enumerate() {
            let nibble = (bits >> (60 - 4 * index)) & 0xf;
            *digit = b"0123456789abcdef"[nibble as usize];
        }
        Self(HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("unknown")))
    }

    /// The id as it stands in the header.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn generated_ids_are_distinct_and_acceptable() {
        let ids: HashSet<String> = (0..1000)
            .map(|_| RequestId::generate().to_string())
            .collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            let header = HeaderValue::from_str(&id).expect("a header");
            assert_eq!(RequestId::accept(&header).expect("sane").as_str(), id);
        }
    }

    #[test]
    fn odd_ids_of_clients_are_not_taken_over() {
        let long = "a".repeat(65);
        for odd in ["", "a b", "a\"b", "{id}", long.as_str()] {
            let header = HeaderValue::from_str(odd).expect("a header");
            assert_eq!(RequestId::accept(&header), None, "{odd}");
        }
        let bytes = HeaderValue::from_bytes(b"caf\xe9").expect("a header");
        assert_eq!(RequestId::accept(&bytes), None);
    }
}
