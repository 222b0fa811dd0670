//! `fsck`: every row has its bytes, and all bytes have their digest.
//!
//! It runs while everything goes on. A blob that was collected while it was
//! read is no problem; one whose row still names bytes that are gone or wrong
//! is. With `repair`, wrong bytes are moved aside and the blob is marked as
//! damaged, so that the next push heals it. A row that something refers to is
//! never deleted.

mod blobs;
mod manifests;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Registry, Result, store};

/// How to check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FsckOptions {
    /// Quarantine what is damaged, so that it can heal.
    pub repair: bool,
    /// Compare sizes only, and read no bytes.
    pub quick: bool,
}

/// How far a check is; it may be read while the check goes on.
#[derive(Debug, Default)]
pub struct FsckProgress {
    total_blobs: AtomicU64,
    total_bytes: AtomicU64,
    blobs: AtomicU64,
    bytes: AtomicU64,
}

impl FsckProgress {
    /// Blobs that were checked, and how many there were at the start.
    pub fn blobs(&self) -> (u64, u64) {
        (
            self.blobs.load(Ordering::Relaxed),
            self.total_blobs.load(Ordering::Relaxed),
        )
    }

    /// Bytes of the blobs that were checked, and of all at the start.
    pub fn bytes(&self) -> (u64, u64) {
        (
            self.bytes.load(Ordering::Relaxed),
            self.total_bytes.load(Ordering::Relaxed),
        )
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The bytes of a blob are gone.
    BlobMissing {
        /// The blob.
        digest: String,
    },
    /// The bytes of a blob are not those of its digest.
    BlobCorrupt {
        /// The blob.
        digest: String,
        /// What is wrong.
        reason: String,
    },
    /// The blob was marked as damaged before, and no push has healed it yet.
    BlobDamaged {
        /// How many of them there are.
        count: u64,
    },
    /// The content of a manifest is not that of its digest, or its references
    /// are not those of its content.
    ManifestCorrupt {
        /// The repository that holds it.
        repository: String,
        /// The manifest.
        digest: String,
        /// What is wrong.
        reason: String,
    },
    /// Bytes that no row names, and that are old enough to be no upload.
    Orphan {
        /// Where they lie.
        location: String,
        /// How many they are.
        size: u64,
    },
}

impl Problem {
    /// What a person reads.
    pub fn sentence(&self) -> String {
        match self {
            Self::BlobMissing { digest } => format!("blob {digest}: the bytes are gone"),
            Self::BlobCorrupt { digest, reason } => format!("blob {digest}: {reason}"),
            Self::BlobDamaged { count } => format!("{count} damaged blobs wait to be pushed again"),
            Self::ManifestCorrupt {
                repository,
                digest,
                reason,
            } => {
                format!("manifest {repository}@{digest}: {reason}")
            }
            Self::Orphan { location, size } => {
                format!("orphan {location}: {size} bytes that nothing names")
            }
        }
    }

    /// The kind of problem, one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BlobMissing { .. } => "blob-missing",
            Self::BlobCorrupt { .. } => "blob-corrupt",
            Self::BlobDamaged { .. } => "blob-damaged",
            Self::ManifestCorrupt { .. } => "manifest-corrupt",
            Self::Orphan { .. } => "orphan",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// Blobs that were checked.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Manifests that were checked.
    pub manifests: u64,
    /// What is not as it should be; the first thousand.
    pub problems: Vec<Problem>,
    /// How many problems there are.
    pub problem_count: u64,
    /// How many of them were repaired.
    pub repaired: u64,
}

/// Problems that are told one by one.
const TOLD: usize = 1000;

impl FsckReport {
    fn tell(&mut self, problem: Problem) {
        self.problem_count += 1;
        if self.problems.len() < TOLD {
            self.problems.push(problem);
        }
    }
}

impl Registry {
    /// Checks everything once. Only one check goes on at a time.
    pub async fn fsck(&self, options: FsckOptions, progress: &FsckProgress) -> Result<FsckReport> {
        let _running = self.checking.try_lock().map_err(|_| Error::RunGoingOn)?;
        let (blobs, bytes, damaged) = self.database.read_long(store::blobs::blob_totals).await?;
        progress.total_blobs.store(blobs, Ordering::Relaxed);
        progress.total_bytes.store(bytes, Ordering::Relaxed);
        let mut report = FsckReport::default();
        if damaged > 0 {
            report.tell(Problem::BlobDamaged { count: damaged });
        }
        self.check_blobs(options, progress, &mut report).await?;
        self.check_manifests(&mut report).await?;
        self.check_orphans(options, &mut report).await?;
        tracing::info!(
            blobs = report.blobs,
            problems = report.problem_count,
            repaired = report.repaired,
            "the store was checked"
        );
        Ok(report)
    }
}
