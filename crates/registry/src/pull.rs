//! Pulling: manifests and blobs, found and read.

use std::sync::Arc;

use landfall_blobs::BlobSource;
use landfall_ids::ManifestId;
use landfall_oci::{Digest, Reference, RepositoryName};
use quick_cache::Weighter;

use crate::{
    Error, Registry, Result, StoredBlob, StoredManifest,
    store::{blobs, candidates, manifests},
};

/// A larger manifest is read from the database each time.
const LARGEST_CACHED: usize = 1024 * 1024;

/// Weighs a manifest in memory by its bytes.
#[derive(Debug, Clone)]
pub(crate) struct ContentWeight;

impl Weighter<ManifestId, Arc<StoredManifest>> for ContentWeight {
    fn weight(&self, _: &ManifestId, manifest: &Arc<StoredManifest>) -> u64 {
        manifest.content.len() as u64 + 256
    }
}

impl Registry {
    /// The manifest that a tag or a digest names.
    ///
    /// What a tag points at, and whether the repository still shows the
    /// manifest, is read from the database every time; the content behind a
    /// manifest's identity never changes, and is kept in memory.
    pub async fn manifest_get(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Arc<StoredManifest>> {
        let unknown = || Error::ManifestUnknown(reference.to_string());
        let (wanted, by) = (name.clone(), reference.clone());
        let id = self
            .database
            .read(move |tx| manifests::manifest_resolve(tx, &wanted, &by))
            .await?
            .ok_or_else(unknown)?;
        if let Some(manifest) = self.manifests.get(&id) {
            return Ok(manifest);
        }
        let loaded = self
            .database
            .read(move |tx| manifests::manifest_load(tx, id))
            .await?;
        let manifest = Arc::new(loaded.ok_or_else(unknown)?);
        if manifest.content.len() <= LARGEST_CACHED {
            self.manifests.insert(id, Arc::clone(&manifest));
        }
        Ok(manifest)
    }

    /// The blob, for reading.
    pub async fn blob_find(&self, name: &RepositoryName, digest: &Digest) -> Result<StoredBlob> {
        let (wanted, of) = (name.clone(), *digest);
        let link = self
            .database
            .read(move |tx| blobs::link_find(tx, &wanted, &of))
            .await?;
        link.map(|link| link.blob)
            .ok_or(Error::BlobUnknown(*digest))
    }

    /// The blob, with the promise to keep it: the answer to HEAD, after which
    /// a client skips its upload.
    pub async fn blob_promise(&self, name: &RepositoryName, digest: &Digest) -> Result<StoredBlob> {
        let digest = *digest;
        let wanted = name.clone();
        let link = self
            .database
            .read(move |tx| blobs::link_find(tx, &wanted, &digest))
            .await?;
        let link = link.ok_or(Error::BlobUnknown(digest))?;
        let now = self.now();
        if link.referenced || self.promise().is_covered(link.keep_until, now) {
            return Ok(link.blob);
        }
        let (repository, keep_until) = (link.repository, self.promise().given(now));
        let kept = self
            .database
            .write(move |tx| {
                let kept = blobs::link_extend(tx, repository, &digest, keep_until)?;
                if kept {
                    candidates::candidate_insert(tx, &digest, keep_until, now)?;
                }
                Ok::<_, Error>(kept)
            })
            .await?;
        if kept {
            Ok(link.blob)
        } else {
            Err(Error::BlobUnknown(digest))
        }
    }

    /// Opens the bytes of a blob.
    ///
    /// The row may have been collected, and the bytes deleted, after the row
    /// was read; then it is asked once more. Bytes that are missing although
    /// the row still names them are damage: the blob is marked, answers as
    /// unknown from now on, and the next push heals it.
    pub async fn blob_open(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<(StoredBlob, BlobSource)> {
        let mut blob = self.blob_find(name, digest).await?;
        loop {
            let damage = match self.blobs.open(&blob.location).await {
                Ok(source) if source.size() == blob.size => return Ok((blob, source)),
                Ok(source) => format!("{} bytes instead of {}", source.size(), blob.size),
                Err(landfall_blobs::Error::NotFound { .. }) => "no bytes".to_owned(),
                Err(error) => return Err(error.into()),
            };
            let again = self.blob_find(name, digest).await?;
            if again.location == blob.location {
                tracing::error!(blob.digest = %digest, blob.location = %blob.location, damage, "a blob is damaged");
                self.blob_mark_damaged(&blob).await?;
                return Err(Error::BlobUnknown(*digest));
            }
            blob = again;
        }
    }

    /// Marks a blob as damaged, if its row still names the same location.
    ///
    /// Not if the store has lost its mark: then its disk has gone, or another
    /// has come, and that is no damage of one blob.
    pub(crate) async fn blob_mark_damaged(&self, blob: &StoredBlob) -> Result<bool> {
        let mark = self.blobs.store_id().await?;
        if mark != Some(self.store) {
            return Err(Error::StoreMismatch(
                "the blob store does not carry the mark of this store any more; check its disk"
                    .to_owned(),
            ));
        }
        let (digest, location) = (blob.digest, blob.location.clone());
        let marked = self
            .database
            .write(move |tx| blobs::blob_set_damaged(tx, &digest, &location))
            .await?;
        Ok(marked)
    }
}
