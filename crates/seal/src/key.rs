//! The master key: what is derived from it, and what is sealed under it.

use std::{fmt, str};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
};
use zeroize::Zeroizing;

use crate::Error;

/// Bytes of a master key, and of each key that is derived from it.
pub(crate) const KEY: usize = 32;
const VERSION: u8 = 1;
/// Version and fingerprint.
const HEADER: usize = 1 + FINGERPRINT;
const FINGERPRINT: usize = 8;
const TAG: usize = 16;

/// Which master key it is. It may be stored and printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; FINGERPRINT]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The key that secrets are sealed under. It can't be printed.
pub struct MasterKey {
    root: Prk,
    fingerprint: Fingerprint,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.fingerprint)
    }
}

impl MasterKey {
    /// The key that these bytes are.
    pub(crate) fn new(bytes: &[u8; KEY]) -> Self {
        let root = Salt::new(HKDF_SHA256, b"landfall master key").extract(bytes);
        let mut fingerprint = [0; FINGERPRINT];
        let derived = derive(&root, "fingerprint", "");
        fingerprint.copy_from_slice(&derived[..FINGERPRINT]);
        Self {
            root,
            fingerprint: Fingerprint(fingerprint),
        }
    }

    /// The key that 64 hexadecimal digits are. `place` says where they came
    /// from, such as a variable's name: the error names it, and not the digits.
    pub fn parse(text: &str, place: &str) -> Result<Self, Error> {
        let digits = text.trim().as_bytes();
        let mut bytes = Zeroizing::new([0; KEY]);
        let malformed = || Error::Malformed {
            place: place.to_owned(),
        };
        if digits.len() != 2 * KEY || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(malformed());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = str::from_utf8(pair).map_err(|_| malformed())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| malformed())?;
        }
        Ok(Self::new(&bytes))
    }

    /// Which key it is.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Seals a secret for a purpose. The same secret never looks the same.
    pub fn seal(&self, purpose: &str, secret: &[u8]) -> Vec<u8> {
        let header = self.header();
        // Grown once: bytes that a growing vector leaves behind are not wiped.
        let mut sealed = Vec::with_capacity(secret.len() + TAG);
        sealed.extend_from_slice(secret);
        let nonce = self
            .cipher(purpose)
            .seal_in_place_append_tag(authenticated(header, purpose), &mut sealed)
            .expect("AES-256-GCM seals whatever fits into memory");
        [&header[..], nonce.as_ref(), &sealed].concat()
    }

    /// The secret that was sealed for this purpose.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (header, rest) = sealed.split_first_chunk::<HEADER>().ok_or(Error::Damaged)?;
        let (nonce, rest) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(Error::Damaged)?;
        let [VERSION, fingerprint @ ..] = *header else {
            return Err(Error::Damaged);
        };
        if fingerprint != self.fingerprint.0 {
            return Err(Error::OtherKey {
                theirs: Fingerprint(fingerprint),
                ours: self.fingerprint,
            });
        }
        let mut secret = Zeroizing::new(rest.to_vec());
        let length = self
            .cipher(purpose)
            .open_in_place(
                Nonce::from(nonce),
                authenticated(*header, purpose),
                &mut secret,
            )
            .map_err(|_| Error::Damaged)?
            .len();
        secret.truncate(length);
        Ok(secret)
    }

    fn header(&self) -> [u8; HEADER] {
        let mut header = [VERSION; HEADER];
        header[1..].copy_from_slice(&self.fingerprint.0);
        header
    }

    fn cipher(&self, purpose: &str) -> RandomizedNonceKey {
        let key = derive(&self.root, "seal", purpose);
        RandomizedNonceKey::new(&AES_256_GCM, &*key).expect("a key of 32 bytes")
    }
}

/// What the tag covers besides the secret.
fn authenticated(header: [u8; HEADER], purpose: &str) -> Aad<Vec<u8>> {
    Aad::from([&header[..], purpose.as_bytes()].concat())
}

/// A key for one use and one purpose.
fn derive(root: &Prk, usage: &str, purpose: &str) -> Zeroizing<[u8; KEY]> {
    struct Length;
    impl KeyType for Length {
        fn len(&self) -> usize {
            KEY
        }
    }
    let mut key = Zeroizing::new([0; KEY]);
    // The use has no zero byte, so no two pairs give the same information.
    let information = [usage.as_bytes(), &[0], purpose.as_bytes()];
    root.expand(&information, Length)
        .and_then(|derived| derived.fill(&mut *key))
        .expect("HKDF-SHA-256 gives 32 bytes");
    key
}
