//! One image as plain files, in the form of skopeo's `dir:`: `manifest.json`,
//! the blobs under their hex, the manifests of an index as
//! `<hex>.manifest.json`, and `version`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use landfall_oci::{Descriptor, Digest};

use super::{files, shelf::Shelf, staging::Staging};
use crate::{
    Destination, Document, Error, Limits, Opener, Repository, Source, Stored, Wanted,
    content::ByteStream,
};

const MANIFEST: &str = "manifest.json";
const VERSION: &str = "version";
const VERSION_TEXT: &[u8] = b"Directory Transport Version: 1.1\n";
const VERSION_START: &[u8] = b"Directory Transport Version: 1.";

/// A directory that an image is read from.
pub(crate) struct DirectoryReader {
    place: String,
    shelf: Shelf,
    root: Document,
    limits: Limits,
}

fn nested(digest: &Digest) -> String {
    format!("{}.{MANIFEST}", digest.hex())
}

impl DirectoryReader {
    /// Opens a directory.
    pub(crate) async fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let (path, limits) = (path.to_owned(), limits.clone());
        files::blocking(move || {
            let place = format!("`{}`", path.display());
            let shelf = Shelf::Folder(path);
            match shelf.read(VERSION, 1 << 10) {
                Ok(version) if version.starts_with(VERSION_START) => {}
                Err(Error::Missing(_)) => {}
                Ok(_) => {
                    return Err(Error::Refused(format!(
                        "{place} is of a version of this form that is not known"
                    )));
                }
                Err(error) => return Err(error),
            }
            let bytes = shelf.read(MANIFEST, limits.manifest)?;
            Ok(Self {
                root: Document::read(&place, bytes, None, None)?,
                place,
                shelf,
                limits,
            })
        })
        .await
    }
}

#[async_trait]
impl Source for DirectoryReader {
    fn place(&self) -> String {
        self.place.clone()
    }

    async fn find(&self, wanted: &Wanted) -> Result<Document, Error> {
        match wanted {
            Wanted::Only => Ok(self.root.clone()),
            Wanted::Digest(digest) if *digest == self.root.digest => Ok(self.root.clone()),
            Wanted::Digest(digest) => {
                let bytes = self.shelf.read(&nested(digest), self.limits.manifest)?;
                Document::read(&self.place, bytes, None, Some(digest))
            }
            Wanted::Name(name) => Err(Error::Missing(format!(
                "{} holds one image without a name, so `{name}` is not in it",
                self.place
            ))),
        }
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Document, Error> {
        let found = self.find(&Wanted::Digest(descriptor.digest)).await?;
        found.described(&self.place, descriptor)
    }

    async fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<ByteStream, Error> {
        self.shelf
            .stream(&descriptor.digest.hex(), descriptor, from)
    }

    async fn names(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    async fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>, Error> {
        Ok(Vec::new())
    }
}

/// A directory that an image is written to.
pub(crate) struct DirectoryWriter {
    staging: Staging,
    /// What the image consists of. Held for single inserts, and at the end.
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    blobs: BTreeSet<Digest>,
    manifests: BTreeMap<Digest, Bytes>,
    root: Option<Digest>,
}

impl DirectoryWriter {
    /// Prepares a directory.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            staging: Staging::open(path)?,
            content: Mutex::default(),
        })
    }

    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> Result<(), Error> {
        let content = self.content();
        let Some(root) = content.root else {
            return Ok(());
        };
        let folder = self.staging.folder.join("finished");
        let _ = fs::remove_dir_all(&folder);
        files::make_folder(&folder)?;
        for digest in &content.blobs {
            let path = folder.join(digest.hex());
            fs::hard_link(self.staging.spool.path(digest), &path)
                .map_err(Error::file(&path, "can't be written"))?;
        }
        for (digest, bytes) in &content.manifests {
            let name = if *digest == root {
                MANIFEST.to_owned()
            } else {
                nested(digest)
            };
            files::write_whole(&folder, &name, bytes)?;
        }
        files::write_whole(&folder, VERSION, VERSION_TEXT)?;
        self.staging.reveal(&folder)
    }
}

#[async_trait]
impl Destination for DirectoryWriter {
    fn place(&self) -> String {
        format!("`{}`", self.staging.target.display())
    }

    async fn holds_image(&self, _: &Document) -> Result<bool, Error> {
        Ok(false)
    }

    async fn holds_blob(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        let holds = self.staging.spool.holds(descriptor).await?;
        if holds {
            self.content().blobs.insert(descriptor.digest);
        }
        Ok(holds)
    }

    async fn store_blob(&self, blob: &dyn Opener, _: Option<&Repository>) -> Result<Stored, Error> {
        let stored = self.staging.spool.store(blob).await?;
        self.content().blobs.insert(blob.descriptor().digest);
        Ok(stored)
    }

    async fn store_manifest(&self, document: &Document) -> Result<bool, Error> {
        let bytes = document.bytes.clone();
        let known = self.content().manifests.insert(document.digest, bytes);
        Ok(known.is_none())
    }

    async fn name(&self, document: &Document, _: Option<&str>) -> Result<bool, Error> {
        self.store_manifest(document).await?;
        let mut content = self.content();
        if content.root.is_some_and(|root| root != document.digest) {
            return Err(Error::Refused(
                "a directory holds one image; use `oci:PATH` for several".to_owned(),
            ));
        }
        content.root = Some(document.digest);
        Ok(true)
    }

    async fn refer(&self, _: &Digest, _: &[Descriptor]) -> Result<(), Error> {
        Err(Error::Refused(
            "a directory holds one image and no referrers; use `oci:PATH` for them".to_owned(),
        ))
    }

    async fn finish(self: Arc<Self>) -> Result<(), Error> {
        files::blocking(move || self.write()).await
    }
}
