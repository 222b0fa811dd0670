//! Pins: other parts of Landfall hold a manifest by name, for a time.
//!
//! A pin is a root for the collector, as a tag is: a scan, a deployment or a
//! pipeline that works with an image sets one, and releases it when it is done.
//! One that nobody releases ends by itself, so a crash holds nothing for ever.
//! A pin does not forbid anything: a person who deletes a pinned image by its
//! digest deletes it.

use landfall_clock::Timestamp;
use landfall_oci::{Digest, RepositoryName};

use crate::{
    Error, Registry, Result,
    store::{manifests, pins},
};

impl Registry {
    /// Holds a manifest for `owner`, until then at least. Setting a pin that is
    /// there makes it last longer, never shorter.
    pub async fn pin_set(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        owner: &str,
        until: Timestamp,
    ) -> Result<()> {
        let (name, digest, owner) = (name.clone(), *digest, owner.to_owned());
        self.database
            .write(move |tx| {
                let unknown = || Error::ManifestUnknown(digest.to_string());
                let by = digest.into();
                let id = manifests::manifest_resolve(tx, &name, &by)?.ok_or_else(unknown)?;
                // Looked at again with its row locked: whoever hides it comes
                // before or after.
                manifests::manifest_lock(tx, id)?.ok_or_else(unknown)?;
                pins::pin_upsert(tx, &owner, id, until)?;
                Ok(())
            })
            .await
    }

    /// Lets go of a manifest. Whether there was a pin.
    pub async fn pin_release(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        owner: &str,
    ) -> Result<bool> {
        let (name, digest, owner, now) = (name.clone(), *digest, owner.to_owned(), self.now());
        let released = self
            .database
            .write(move |tx| pins::pin_delete(tx, &name, &digest, &owner, now))
            .await?;
        Ok(released)
    }
}
