//! Hashing a stream, with a state that outlives the process.
//!
//! An upload may arrive in many requests, with a restart of the server between
//! them. [`Hasher::save`] turns the state between two updates into bytes that
//! are stored beside the upload's offset, and [`Hasher::restore`] goes on from
//! there, so nothing is read back and hashed twice.
//!
//! A saved state is, in this order: one byte of version (1), one byte of
//! algorithm (1 = SHA-256, 2 = SHA-512), the number of bytes hashed (`u64`,
//! little-endian), and the state of the `sha2` crate (104 or 208 bytes), which
//! that crate keeps stable for every 0.11 version. A change of that layout
//! needs a new version here; a test holds a saved state of each algorithm.

use sha2::{
    Digest as _, Sha256, Sha512,
    digest::common::hazmat::{SerializableState, SerializedState},
};

use crate::{Algorithm, Digest};

/// The first byte of every saved state.
const VERSION: u8 = 1;

/// Version, algorithm, and the number of bytes hashed.
const HEADER: usize = 2 + 8;

/// Computes the digest of bytes that arrive one piece after the other.
#[derive(Clone)]
pub struct Hasher {
    state: State,
    hashed: u64,
}

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

/// Stored bytes that are not the state of a [`Hasher`]: cut off, damaged, or
/// saved by a later Landfall. The upload they belong to has to be hashed from
/// its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored state of a hash is damaged or of an unknown version")]
pub struct InvalidHasherState;

impl Hasher {
    /// A hasher that has seen nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        };
        Self { state, hashed: 0 }
    }

    /// Adds the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
        self.hashed = self.hashed.saturating_add(bytes.len() as u64);
    }

    /// The digest of everything that was added.
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha256(state) => Digest::of_sha256(&state.finalize().0),
            State::Sha512(state) => Digest::of_sha512(state.finalize().0),
        }
    }

    /// The algorithm this hasher computes.
    pub const fn algorithm(&self) -> Algorithm {
        match self.state {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// How many bytes were added so far, over all restores: the offset in the
    /// stream that a restored hasher goes on at.
    pub const fn hashed(&self) -> u64 {
        self.hashed
    }

    /// The state as bytes to store.
    ///
    /// They reveal up to 127 bytes of the stream's end, so they are kept as
    /// carefully as the stream itself.
    pub fn save(&self) -> Vec<u8> {
        let (code, state) = match &self.state {
            State::Sha256(state) => (1, state.serialize().to_vec()),
            State::Sha512(state) => (2, state.serialize().to_vec()),
        };
        let mut saved = vec![VERSION, code];
        saved.extend(self.hashed.to_le_bytes());
        saved.extend(state);
        saved
    }

    /// The hasher whose state [`Hasher::save`] gave.
    pub fn restore(saved: &[u8]) -> Result<Self, InvalidHasherState> {
        let (header, bytes) = saved.split_at_checked(HEADER).ok_or(InvalidHasherState)?;
        let [VERSION, code, hashed @ ..] = header else {
            return Err(InvalidHasherState);
        };
        let hashed = hashed
            .try_into()
            .map(u64::from_le_bytes)
            .map_err(|_| InvalidHasherState)?;
        let state = match code {
            1 => State::Sha256(restore::<Sha256>(bytes, hashed, 32, 8, 64)?),
            2 => State::Sha512(restore::<Sha512>(bytes, hashed, 64, 16, 128)?),
            _ => return Err(InvalidHasherState),
        };
        Ok(Self { state, hashed })
    }
}

/// The state of one algorithm, after its count of whole blocks and its partial
/// block were found to agree with `hashed`. The count stands after `words`
/// bytes and takes `counter` bytes, little-endian; the byte after it says how
/// much of a block of `block` bytes is waiting.
///
/// Without the comparison a damaged count could overflow inside of `sha2`.
fn restore<S: SerializableState>(
    bytes: &[u8],
    hashed: u64,
    words: usize,
    counter: usize,
    block: u64,
) -> Result<S, InvalidHasherState> {
    let state = SerializedState::<S>::try_from(bytes).map_err(|_| InvalidHasherState)?;
    let mut count = vec![0; counter];
    count[..8].copy_from_slice(&(hashed / block).to_le_bytes());
    let agrees = bytes.get(words..words + counter) == Some(&count)
        && bytes.get(words + counter).copied().map(u64::from) == Some(hashed % block);
    // A count of bits must fit into 64 bits, with room for more to come.
    if !agrees || hashed > u64::MAX / 16 {
        return Err(InvalidHasherState);
    }
    S::deserialize(&state).map_err(|_| InvalidHasherState)
}

impl std::fmt::Debug for Hasher {
    /// Leaves the state out: it holds the end of the stream.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher")
            .field("algorithm", &self.algorithm())
            .field("hashed", &self.hashed)
            .finish_non_exhaustive()
    }
}
