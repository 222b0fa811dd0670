//! Pulling: manifests and blobs, found and read.

use std::{ops::Deref, sync::Arc, time::Duration};

use landfall_blobs::BlobSource;
use landfall_ids::ManifestId;
use landfall_oci::{Digest, Reference, RepositoryName};
use quick_cache::Weighter;

use crate::{
    Error, Registry, RepositoryUsage, Result, StoredBlob, StoredManifest,
    event::{self, Event},
    store::{blobs, candidates, manifests},
};

/// A larger manifest is read from the database each time.
const LARGEST_CACHED: usize = 1024 * 1024;

/// A manifest in memory, beside the counters of its repository.
#[derive(Debug)]
pub struct PulledManifest {
    manifest: StoredManifest,
    usage: Arc<RepositoryUsage>,
}

impl PulledManifest {
    /// Where an answer with the manifest is counted.
    pub fn usage(&self) -> &RepositoryUsage {
        &self.usage
    }
}

impl Deref for PulledManifest {
    type Target = StoredManifest;
    fn deref(&self) -> &StoredManifest {
        &self.manifest
    }
}

/// Weighs a manifest in memory by its bytes.
#[derive(Debug, Clone)]
pub(crate) struct ContentWeight;

impl Weighter<ManifestId, Arc<PulledManifest>> for ContentWeight {
    fn weight(&self, _: &ManifestId, manifest: &Arc<PulledManifest>) -> u64 {
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
    ) -> Result<Arc<PulledManifest>> {
        let unknown = || Error::ManifestUnknown(reference.to_string());
        let id = manifests::manifest_look_up(&self.database, name, reference)
            .await?
            .ok_or_else(unknown)?;
        if let Some(manifest) = self.manifests.get(&id) {
            return Ok(manifest);
        }
        let loaded = self
            .database
            .read(move |tx| manifests::manifest_load(tx, id))
            .await?;
        let manifest = Arc::new(PulledManifest {
            manifest: loaded.ok_or_else(unknown)?,
            usage: self.usage_of(name),
        });
        if manifest.content.len() <= LARGEST_CACHED {
            self.manifests.insert(id, Arc::clone(&manifest));
        }
        Ok(manifest)
    }

    /// The blob, for reading.
    pub async fn blob_find(&self, name: &RepositoryName, digest: &Digest) -> Result<StoredBlob> {
        let link = blobs::link_look_up(&self.database, name, digest).await?;
        link.map(|link| link.blob)
            .ok_or(Error::BlobUnknown(*digest))
    }

    /// The blob, with the promise to keep it: the answer to HEAD, after which
    /// a client skips its upload.
    pub async fn blob_promise(&self, name: &RepositoryName, digest: &Digest) -> Result<StoredBlob> {
        let digest = *digest;
        let link = blobs::link_look_up(&self.database, name, &digest).await?;
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

    /// The blob, and a URL that lets whoever has it read the bytes straight from
    /// where they lie, for as long as `lifetime`. `None` if the store has no
    /// such URLs.
    pub async fn blob_url(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        lifetime: Duration,
    ) -> Result<Option<(StoredBlob, String)>> {
        let blob = self.blob_find(name, digest).await?;
        let octets = "application/octet-stream";
        let url = self.blobs.presign(&blob.location, lifetime, octets).await?;
        Ok(url.map(|url| (blob, url)))
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
        let (digest, location, now) = (blob.digest, blob.location.clone(), self.now());
        let marked = self
            .database
            .write(move |tx| {
                let marked = blobs::blob_set_damaged(tx, &digest, &location)?;
                if marked {
                    for repository in blobs::link_holders(tx, &digest)? {
                        event::tell(
                            tx,
                            &repository,
                            None,
                            now,
                            Event::BlobDamaged { digest: &digest },
                        )?;
                    }
                }
                Ok::<_, Error>(marked)
            })
            .await?;
        Ok(marked)
    }
}
