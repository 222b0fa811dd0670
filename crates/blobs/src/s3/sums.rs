//! MD5, by which S3 names contents. It guards against broken connections and
//! tells objects apart; nothing here relies on it against an attacker.

use bytes::Bytes;
use md5::{Digest, Md5};
use tokio::task::spawn_blocking;

use super::state::Part;
use crate::Error;

const HASHING: &str = "hashing an upload";

/// Bytes and what the server will call them.
#[derive(Debug, Clone)]
pub(super) struct Summed {
    pub(super) bytes: Bytes,
    pub(super) md5: [u8; 16],
}

impl Summed {
    /// Sums the bytes where it stops nobody, and `also` does something with them.
    pub(super) async fn with<T, F>(bytes: Bytes, also: F) -> Result<(Self, T), Error>
    where
        T: Send + 'static,
        F: FnOnce(&[u8]) -> T + Send + 'static,
    {
        let work = move || {
            let also = also(&bytes);
            let md5 = Md5::digest(&bytes).into();
            (Self { bytes, md5 }, also)
        };
        spawn_blocking(work)
            .await
            .map_err(|error| Error::io(HASHING, std::io::Error::other(error)))
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    for (number, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(2 * number..2 * number + 2)?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

/// The entity tag of an object that is completed from `parts`; `None` if theirs
/// are no MD5 (an encrypted bucket), so that it can't be told.
pub(super) fn completed(parts: &[Part]) -> Option<String> {
    let mut sum = Md5::new();
    for part in parts {
        sum.update(unhex(&part.etag)?);
    }
    Some(format!("{}-{}", hex(&sum.finalize()), parts.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completed_object_is_named_by_its_parts() {
        let part = |etag: &str| Part {
            size: 1,
            etag: etag.to_owned(),
        };
        // md5(md5("a") ++ md5("b"))
        let parts = [
            part("0cc175b9c0f1b6a831c399e269772661"),
            part("92eb5ffee6ae2fec3ad71c777531578f"),
        ];
        let expected = "96e024ba2074fe77e8e965ba43a704be-2";
        assert_eq!(completed(&parts).as_deref(), Some(expected));
        assert_eq!(completed(&[part("not an md5")]), None);
    }
}
