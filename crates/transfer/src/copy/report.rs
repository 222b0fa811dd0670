//! What a copy did, and what it does right now.

use std::ops::AddAssign;

use landfall_oci::Digest;
use serde::Serialize;

use crate::Stored;

/// So many things of so many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Counted {
    pub(super) const fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

impl AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

/// Where the content of images came from. Blobs are layers and configurations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Blobs that were sent. Bytes that an interrupted copy had sent before
    /// count as skipped.
    pub copied: Counted,
    /// Blobs that were there already.
    pub skipped: Counted,
    /// Blobs that the destination took over from another repository.
    pub mounted: Counted,
    /// Blobs that their owner doesn't allow to be distributed, left out.
    pub foreign: Counted,
    /// Manifests that were sent.
    pub manifests: Counted,
    /// Manifests that were there already.
    pub manifests_skipped: Counted,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.copied += other.copied;
        self.skipped += other.skipped;
        self.mounted += other.mounted;
        self.foreign += other.foreign;
        self.manifests += other.manifests;
        self.manifests_skipped += other.manifests_skipped;
    }
}

/// How it ended for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is at the destination, and was not before, or not under this name.
    Copied,
    /// It was there already.
    Unchanged,
    /// It is not there, or not all of it.
    Failed,
}

/// One image of a copy.
#[derive(Debug, Clone, Serialize)]
pub struct ImageReport {
    /// Where it came from.
    pub source: String,
    /// Where it went.
    pub destination: String,
    /// What was found there.
    pub digest: Option<Digest>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed.
    pub error: Option<String>,
    /// Its content.
    pub content: Tally,
}

/// A copy that has ended.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Each image, in the order in which they ended.
    pub images: Vec<ImageReport>,
    /// All content.
    pub content: Tally,
}

impl Report {
    /// How many images ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        let all = self.images.iter();
        all.filter(|image| image.outcome == outcome).count()
    }
}

/// What happens right now.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A blob is about to be sent.
    BlobBegins {
        /// Which.
        digest: &'a Digest,
        /// How many bytes it has.
        size: u64,
    },
    /// A blob goes on at this offset.
    BlobAt {
        /// Which.
        digest: &'a Digest,
        /// The offset.
        at: u64,
    },
    /// So many more bytes of a blob were read.
    BlobMoves {
        /// Which.
        digest: &'a Digest,
        /// How many.
        bytes: u64,
    },
    /// A blob is done, or has failed.
    BlobEnds {
        /// Which.
        digest: &'a Digest,
        /// How it came to its place; nothing if it failed.
        stored: Option<Stored>,
    },
    /// An image is done, or has failed.
    ImageEnds(&'a ImageReport),
    /// Something that is worth knowing, and no failure.
    Note(&'a str),
}

/// Who looks on. It is called often, so it should be quick.
pub trait Watch: Send + Sync {
    /// Something happens.
    fn event(&self, event: Event<'_>);
}
