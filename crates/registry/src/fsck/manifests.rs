//! Manifests against their digests, and references against manifests.

use landfall_oci::{Digest, Manifest};

use super::{FsckReport, Problem};
use crate::{Registry, Result, store::manifests};

/// Manifests that are read at once.
const PAGE: usize = 100;

impl Registry {
    pub(super) async fn check_manifests(&self, report: &mut FsckReport) -> Result<()> {
        let mut last = None;
        loop {
            let (count, end, found) = self
                .database
                .read_long(move |tx| {
                    let page = manifests::manifest_page(tx, last, PAGE)?;
                    let mut found = Vec::new();
                    for row in &page {
                        let references = manifests::manifest_references(tx, row.id)?;
                        if let Some(reason) = defect(row, references) {
                            found.push(Problem::ManifestCorrupt {
                                repository: row.repository.clone(),
                                digest: row.digest.to_string(),
                                reason,
                            });
                        }
                    }
                    let end = page.last().map(|row| row.id);
                    Ok::<_, landfall_database::Error>((page.len(), end, found))
                })
                .await?;
            report.manifests += count as u64;
            for problem in found {
                report.tell(problem);
            }
            if end.is_none() {
                return Ok(());
            }
            last = end;
        }
    }
}

/// What is wrong with a manifest, if anything.
fn defect(
    row: &manifests::ManifestRow,
    (blobs, children): (Vec<Digest>, Vec<Digest>),
) -> Option<String> {
    let actual = Digest::of(row.digest.algorithm(), &row.content);
    if actual != row.digest {
        return Some(format!("the content has the digest {actual}"));
    }
    let manifest = match Manifest::parse(&row.content, None) {
        Ok(manifest) => manifest,
        Err(error) => return Some(format!("the content is no manifest: {error}")),
    };
    let lost = |needed: &Digest, kept: &[Digest]| kept.binary_search(needed).is_err();
    for blob in manifest.required_blobs() {
        if lost(&blob.digest, &blobs) {
            return Some(format!("nothing keeps its blob {}", blob.digest));
        }
    }
    for child in manifest.required_manifests() {
        if lost(&child.digest, &children) {
            return Some(format!("nothing keeps its manifest {}", child.digest));
        }
    }
    None
}
