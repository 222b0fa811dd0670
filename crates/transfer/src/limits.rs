//! What is taken from outside at the most, and how patiently.

use std::time::Duration;

/// Bounds on everything that a place can make us read, keep or follow.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest manifest, in bytes.
    pub manifest: u64,
    /// The largest configuration that has to be understood, in bytes.
    pub config: u64,
    /// The largest `index.json` or list of images in an archive, in bytes.
    pub index: u64,
    /// The largest blob, in bytes.
    pub blob: u64,
    /// The most pages of one listing.
    pub pages: usize,
    /// The most names in one listing.
    pub names: usize,
    /// The most redirects of one request.
    pub redirects: usize,
    /// The most manifests of one image, its platforms and referrers included.
    pub manifests: usize,
    /// The most indexes inside of each other.
    pub depth: usize,
    /// The most entries of an archive.
    pub entries: usize,
    /// The most bytes that something compressed may unpack to.
    pub unpacked: u64,
    /// How often one blob's download may break off.
    pub breaks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest: 4 << 20,
            config: 8 << 20,
            index: 32 << 20,
            blob: 1 << 40,
            pages: 100_000,
            names: 1_000_000,
            redirects: 5,
            manifests: 10_000,
            depth: 16,
            entries: 200_000,
            unpacked: 256 << 30,
            breaks: 100,
        }
    }
}

/// How often and how long to wait for the other side.
#[derive(Debug, Clone)]
pub struct Patience {
    /// How often a request is sent at the most.
    pub attempts: u32,
    /// The wait before the second attempt; each next one is twice as long.
    pub first: Duration,
    /// The longest wait that a registry may ask for.
    pub longest: Duration,
    /// How long a silent connection is kept.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 6,
            first: Duration::from_millis(300),
            longest: Duration::from_mins(2),
            silence: Duration::from_mins(1),
        }
    }
}

impl Patience {
    /// The wait after `failed` attempts in a row, with some chance in it, so
    /// that many clients don't come back at once.
    pub(crate) fn wait(&self, failed: u32) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1 << failed.saturating_sub(1).min(16));
        doubled
            .min(self.longest)
            .mul_f64(0.5 + rand::random::<f64>() / 2.0)
    }
}
