//! Bytes that nobody has stored yet, and their digests.

use rand::{Rng, SeedableRng, rngs::SmallRng};
use sha2::{Digest as _, Sha256};

/// Bytes of a block.
pub const BLOCK: usize = 1 << 20;

/// `sha256:` and the digest of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    named(&Sha256::digest(bytes))
}

fn named(hash: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let hex: String = digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect();
    format!("sha256:{hex}")
}

/// A hash that is fed piece by piece.
#[derive(Debug, Default, Clone)]
pub struct Hash(Sha256);

impl Hash {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// `sha256:` and the digest.
    pub fn finish(self) -> String {
        named(&self.0.finalize())
    }
}

/// `length` bytes that don't compress, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// A seed that no other run has.
pub fn fresh_seed() -> u64 {
    rand::random()
}

/// Large blobs of one size that differ only in their last block, so that a
/// thousand of them cost no memory, and their digests no time.
#[derive(Debug)]
pub struct Family {
    block: Vec<u8>,
    repeats: usize,
    /// The hash of all blocks but the last.
    prefix: Hash,
}

/// One of a [`Family`].
#[derive(Debug)]
pub struct Large {
    last: Vec<u8>,
    /// Its digest.
    pub digest: String,
}

impl Family {
    /// Blobs of `size` bytes, a multiple of [`BLOCK`].
    pub fn new(size: u64) -> Self {
        let block = noise(1, BLOCK);
        let repeats = usize::try_from(size).unwrap_or(BLOCK) / BLOCK - 1;
        let mut prefix = Hash::default();
        for _ in 0..repeats {
            prefix.update(&block);
        }
        Self {
            block,
            repeats,
            prefix,
        }
    }

    /// Bytes of each.
    pub fn size(&self) -> u64 {
        (self.repeats as u64 + 1) * BLOCK as u64
    }

    /// The one that belongs to a seed.
    pub fn member(&self, seed: u64) -> Large {
        let last = noise(seed, BLOCK);
        let mut hash = self.prefix.clone();
        hash.update(&last);
        Large {
            last,
            digest: hash.finish(),
        }
    }

    /// Its bytes, block by block.
    pub fn blocks<'a>(&'a self, large: &'a Large) -> impl Iterator<Item = &'a [u8]> {
        std::iter::repeat_n(&self.block[..], self.repeats).chain([&large.last[..]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_large_blob_is_the_one_of_its_bytes() {
        let family = Family::new(3 * BLOCK as u64);
        let (one, other) = (family.member(1), family.member(2));
        let bytes = family.blocks(&one).collect::<Vec<_>>().concat();
        assert_eq!(bytes.len() as u64, family.size());
        assert_eq!(one.digest, digest(&bytes));
        assert_ne!(one.digest, other.digest);
    }

    #[test]
    fn a_digest_is_written_as_oci_writes_it() {
        assert_eq!(
            digest(b"hello"),
            "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        );
    }
}
