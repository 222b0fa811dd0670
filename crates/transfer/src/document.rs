//! Manifests on their way: the bytes as they came, and what they say.

use bytes::Bytes;
use landfall_oci::{Algorithm, Descriptor, Digest, Manifest, MediaType};

use crate::Error;

/// A manifest whose bytes were compared with its digest. The bytes are passed
/// on as they came, so that the digest stays.
#[derive(Debug, Clone)]
pub struct Document {
    /// The bytes.
    pub bytes: Bytes,
    /// Their digest.
    pub digest: Digest,
    /// What they say.
    pub manifest: Manifest,
}

impl Document {
    /// Reads a manifest that came from `place` as what `digest` names, or as
    /// whatever it is. The type is that of its sender where it is one of a
    /// manifest; otherwise the document says it.
    pub(crate) fn read(
        place: &str,
        bytes: Bytes,
        media_type: Option<&str>,
        digest: Option<&Digest>,
    ) -> Result<Self, Error> {
        let algorithm = digest.map_or(Algorithm::Sha256, Digest::algorithm);
        let found = Digest::of(algorithm, &bytes);
        if let Some(digest) = digest
            && *digest != found
        {
            return Err(Error::Damaged(format!(
                "{place} gives other bytes for the manifest `{digest}`: they have the digest \
                 `{found}`"
            )));
        }
        let media_type = media_type.filter(|given| {
            let essence = given.split(';').next().unwrap_or(given).trim();
            essence
                .parse::<MediaType>()
                .is_ok_and(|parsed| parsed.is_manifest())
        });
        let manifest = Manifest::parse(&bytes, media_type)
            .map_err(|error| Error::Refused(format!("{place}, manifest `{found}`: {error}")))?;
        Ok(Self {
            bytes,
            digest: found,
            manifest,
        })
    }

    /// Refuses a manifest that is not what the one that points to it says.
    pub(crate) fn described(self, place: &str, descriptor: &Descriptor) -> Result<Self, Error> {
        if self.bytes.len() as u64 != descriptor.size {
            return Err(Error::Damaged(format!(
                "{place} has {} bytes for the manifest `{}`, and {} are expected",
                self.bytes.len(),
                self.digest,
                descriptor.size
            )));
        }
        if self.manifest.media_type != descriptor.media_type {
            return Err(Error::Refused(format!(
                "{place} says that the manifest `{}` is of type `{}`, and what points to it says \
                 `{}`",
                self.digest, self.manifest.media_type, descriptor.media_type
            )));
        }
        Ok(self)
    }

    /// A manifest that was made here.
    pub(crate) fn made(manifest: Manifest) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(&manifest)
            .map_err(|error| Error::Refused(format!("no manifest can be written: {error}")))?;
        Ok(Self {
            digest: Digest::of(Algorithm::Sha256, &bytes),
            bytes: bytes.into(),
            manifest,
        })
    }

    /// What points to it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(
            self.manifest.media_type.clone(),
            self.digest,
            self.bytes.len() as u64,
        )
    }
}
