//! How much one document may hold.
//!
//! Whoever may push may send any document, so depth and number are bounded
//! before anything is built from it. The length in bytes is bounded by whoever
//! receives the bytes.

use std::cell::Cell;

use super::ManifestError;

/// The most levels of objects and arrays. Manifests have five.
const DEPTH: usize = 64;

/// The most descriptors in one document.
const DESCRIPTORS: usize = 10_000;

/// The most other list entries in one document: URLs, annotations, features.
const ENTRIES: usize = 100_000;

/// How much a document may still list.
pub(super) struct Budget {
    descriptors: Cell<usize>,
    entries: Cell<usize>,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self {
            descriptors: Cell::new(DESCRIPTORS),
            entries: Cell::new(ENTRIES),
        }
    }

    pub(super) fn take_descriptor(&self) -> Result<(), ManifestError> {
        take(&self.descriptors).ok_or(ManifestError::TooMany {
            what: "descriptors",
            limit: DESCRIPTORS,
        })
    }

    pub(super) fn take_entry(&self) -> Result<(), ManifestError> {
        take(&self.entries).ok_or(ManifestError::TooMany {
            what: "annotations and URLs",
            limit: ENTRIES,
        })
    }
}

fn take(left: &Cell<usize>) -> Option<()> {
    left.set(left.get().checked_sub(1)?);
    Some(())
}

/// Refuses a text that nests too deeply, before anything is parsed.
///
/// Brackets are counted outside of strings only, so the text needs not be
/// valid JSON.
pub(super) fn check_depth(text: &str) -> Result<(), ManifestError> {
    let mut depth = 0_usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
        if depth > DEPTH {
            return Err(ManifestError::TooDeep { limit: DEPTH });
        }
    }
    Ok(())
}

fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}
