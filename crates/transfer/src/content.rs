//! What a copy needs of the place it reads from and of the one it writes to.

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use landfall_oci::{Descriptor, Digest, Hasher};

use crate::{Document, Error, Repository};

/// Bytes of a blob, in order. They are not verified yet.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// Which image of a place is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The only one, or the one that is meant when none is named.
    Only,
    /// The one of this name: a tag in a registry.
    Name(String),
    /// The one of this digest.
    Digest(Digest),
}

/// A name of an image in its place.
pub type Named = String;

/// A repository, and the registry that it is in. Layers can be mounted from
/// one repository of a registry into another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The URL of the registry.
    pub registry: String,
    /// The repository.
    pub repository: Repository,
}

/// A place that images are read from. Everything it gives is verified: a
/// manifest by the place, a blob by whoever takes its stream.
#[async_trait]
pub trait Source: Send + Sync {
    /// The place, as messages call it.
    fn place(&self) -> String;

    /// The repository, where the place is one.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// The manifest of an image.
    async fn find(&self, wanted: &Wanted) -> Result<Document, Error>;

    /// A manifest that another one points to.
    async fn manifest(&self, descriptor: &Descriptor) -> Result<Document, Error>;

    /// The bytes of a blob from an offset on; at most as many as the
    /// descriptor says, and not yet verified.
    async fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<ByteStream, Error>;

    /// The names of all images, each once.
    async fn names(&self) -> Result<Vec<Named>, Error>;

    /// What refers to a manifest.
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error>;
}

/// How a blob came to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// Its bytes were sent.
    Copied,
    /// It was there already.
    Held,
    /// The registry took it over from another of its repositories.
    Mounted,
}

/// A place that images are written to. What is stored is durable there and
/// was verified; nothing refers to content that is not there yet.
#[async_trait]
pub trait Destination: Send + Sync {
    /// The place, as messages call it.
    fn place(&self) -> String;

    /// The repository, where the place is one.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// Whether the place has this manifest, and with it all blobs that it
    /// names. `false` where that is not sure.
    async fn holds_image(&self, document: &Document) -> Result<bool, Error>;

    /// Whether the place has this blob.
    async fn holds_blob(&self, descriptor: &Descriptor) -> Result<bool, Error>;

    /// Stores a blob, mounted from `mount` if that works.
    async fn store_blob(
        &self,
        blob: &dyn Opener,
        mount: Option<&Repository>,
    ) -> Result<Stored, Error>;

    /// Stores a manifest whose content is stored. Tells whether it was new.
    async fn store_manifest(&self, document: &Document) -> Result<bool, Error>;

    /// Gives an image its name, and stores its manifest if needed; with no
    /// name, the image is stored under its digest alone. Tells whether
    /// anything changed.
    async fn name(&self, document: &Document, name: Option<&str>) -> Result<bool, Error>;

    /// Makes sure that these stored manifests are found as referrers of
    /// `subject`.
    async fn refer(&self, subject: &Digest, referrers: &[Descriptor]) -> Result<(), Error>;

    /// Makes everything visible, where that is not done image by image.
    async fn finish(self: Arc<Self>) -> Result<(), Error> {
        Ok(())
    }
}

/// A blob that can be read from any offset, more than once.
#[async_trait]
pub trait Opener: Send + Sync {
    /// The place that it comes from, as messages call it.
    fn place(&self) -> String;

    /// What the blob is.
    fn descriptor(&self) -> &Descriptor;

    /// Its bytes from an offset on.
    async fn open(&self, from: u64) -> Result<ByteStream, Error>;

    /// So many bytes, counted from the start, are there already.
    fn resumed(&self, from: u64);
}

/// Compares a stream with the digest and the size that it should have.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    place: String,
    expected: Descriptor,
    hasher: Hasher,
}

impl Verifier {
    /// For a stream that begins at offset 0.
    pub(crate) fn new(place: String, expected: &Descriptor) -> Self {
        Self {
            place,
            hasher: Hasher::new(expected.digest.algorithm()),
            expected: expected.clone(),
        }
    }

    /// How many bytes were taken.
    pub(crate) const fn taken(&self) -> u64 {
        self.hasher.hashed()
    }

    /// Takes bytes that begin at `offset` of the stream; those that were taken
    /// before are left out.
    pub(crate) fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let known = self.taken().saturating_sub(offset);
        let new = bytes.get(known as usize..).unwrap_or_default();
        if offset > self.taken() {
            return Err(Error::Refused(format!(
                "the blob `{}` has a gap at {}",
                self.expected.digest,
                self.taken()
            )));
        }
        if self.taken().saturating_add(new.len() as u64) > self.expected.size {
            return Err(Error::Damaged(format!(
                "{} sends more than the {} bytes that the blob `{}` has",
                self.place, self.expected.size, self.expected.digest
            )));
        }
        self.hasher.update(new);
        Ok(())
    }

    /// Whether everything that came is what should have come.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let Self {
            place,
            expected,
            hasher,
        } = self;
        let (digest, size) = (expected.digest, expected.size);
        if hasher.hashed() != size {
            return Err(Error::Damaged(format!(
                "{place} ends the blob `{digest}` after {} of {size} bytes",
                hasher.hashed()
            )));
        }
        let found = hasher.finish();
        if found != digest {
            return Err(Error::Damaged(format!(
                "{place} gives other bytes for the blob `{digest}`: they have the digest `{found}`"
            )));
        }
        Ok(())
    }
}
