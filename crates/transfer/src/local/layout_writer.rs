//! Images into an OCI image layout, in a folder or in a tar archive.
//!
//! Blobs are written as [`super::spool`] says. An image becomes visible with
//! one rename of `index.json`, after everything it needs is durable, and under
//! the lock of the file `oci-layout`, so that two copies into one layout keep
//! each other's images. An archive is a layout in a hidden folder beside it,
//! until all of it is there.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use landfall_oci::{Descriptor, Digest};

use super::{
    files,
    layout_index::{self as index, Editor},
    shelf::blob_name,
    spool::Spool,
    staging::Staging,
    tar_writer::TarWriter,
};
use crate::{Destination, Document, Error, Limits, Opener, Repository, Stored};

/// Where partial files are, inside of the layout.
const PARTIAL: &str = ".landfall-partial";

/// A layout that is written to.
pub(crate) struct LayoutWriter {
    place: String,
    root: PathBuf,
    spool: Spool,
    limits: Limits,
    /// Where the layout is to become an archive.
    staging: Option<Staging>,
    /// What an archive has to hold. Held for single inserts.
    content: Mutex<BTreeSet<Digest>>,
}

impl LayoutWriter {
    /// Makes a layout in a folder, or goes on with the one that is there.
    pub(crate) fn folder(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let place = format!("`{}`", path.display());
        let marker = path.join(index::MARKER);
        match files::read(&marker, index::MARKER_SIZE) {
            Ok(bytes) => index::check_marker(&place, &bytes)?,
            Err(Error::Missing(_)) => {
                // Another copy may make the same layout right now.
                if is_used(path) && files::length(&marker).is_none() {
                    return Err(Error::Refused(format!(
                        "{place} is there already, and is no OCI layout"
                    )));
                }
                files::make_folder(path)?;
                files::write_once(path, index::MARKER, index::MARKER_TEXT)?;
            }
            Err(error) => return Err(error),
        }
        let blobs = path.join("blobs");
        files::make_folder(&blobs)?;
        files::check_folder(&blobs)?;
        Ok(Self {
            place,
            root: path.to_owned(),
            spool: Spool::new(blobs, path.join(PARTIAL)),
            limits: limits.clone(),
            staging: None,
            content: Mutex::default(),
        })
    }

    /// Prepares an archive.
    pub(crate) fn archive(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let staging = Staging::open(path)?;
        let root = staging.folder.clone();
        // The images of an earlier attempt may be others.
        let _ = fs::remove_file(root.join(index::INDEX));
        files::write_whole(&root, index::MARKER, index::MARKER_TEXT)?;
        Ok(Self {
            place: format!("`{}`", path.display()),
            spool: staging.spool.clone(),
            root,
            limits: limits.clone(),
            staging: Some(staging),
            content: Mutex::default(),
        })
    }

    fn needs(&self, digest: Digest) {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.insert(digest);
    }

    /// Changes `index.json`, and tells whether that was needed.
    async fn edit(
        &self,
        edit: impl FnOnce(&mut Editor) -> Result<(), Error> + Send + 'static,
    ) -> Result<bool, Error> {
        let (root, place, most) = (self.root.clone(), self.place.clone(), self.limits.index);
        files::blocking(move || {
            let marker = root.join(index::MARKER);
            let lock = File::open(&marker).map_err(Error::file(&marker, "can't be read"))?;
            lock.lock()
                .map_err(Error::file(&marker, "can't be locked"))?;
            let current = match files::read(&root.join(index::INDEX), most) {
                Ok(bytes) => Some(bytes),
                Err(Error::Missing(_)) => None,
                Err(error) => return Err(error),
            };
            let mut editor = Editor::new(&place, current.as_ref())?;
            edit(&mut editor)?;
            let Some(bytes) = editor.finish() else {
                return Ok(false);
            };
            files::write_whole(&root, index::INDEX, &bytes)?;
            Ok(true)
        })
        .await
    }

    fn pack(&self, staging: &Staging) -> Result<(), Error> {
        let path = staging.folder.join("archive.tar");
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let written = || -> io::Result<()> {
            let mut tar = TarWriter::create(&path)?;
            for name in [index::MARKER, index::INDEX] {
                tar.bytes(name, &fs::read(self.root.join(name))?)?;
            }
            tar.folder("blobs/")?;
            let mut algorithm = None;
            for digest in content.iter() {
                if algorithm != Some(digest.algorithm()) {
                    algorithm = Some(digest.algorithm());
                    tar.folder(&format!("blobs/{}/", digest.algorithm()))?;
                }
                let mut blob = File::open(self.spool.path(digest))?;
                tar.stream(&blob_name(digest), &mut blob)?;
            }
            tar.finish()
        };
        written().map_err(Error::file(&path, "can't be written"))?;
        staging.reveal(&path)
    }
}

/// Whether a folder holds something, apart from temporary files.
fn is_used(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|entries| {
        let mut names = entries.flatten().map(|entry| entry.file_name());
        names.any(|name| !name.as_encoded_bytes().starts_with(b"."))
    })
}

/// What the index says of an image.
fn entry(document: &Document) -> Descriptor {
    let mut entry = document.descriptor();
    entry
        .artifact_type
        .clone_from(&document.manifest.artifact_type);
    entry
}

#[async_trait]
impl Destination for LayoutWriter {
    fn place(&self) -> String {
        self.place.clone()
    }

    async fn holds_image(&self, _: &Document) -> Result<bool, Error> {
        // Whoever wrote the manifest may not have written all its blobs.
        Ok(false)
    }

    async fn holds_blob(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        let holds = self.spool.holds(descriptor).await?;
        if holds {
            self.needs(descriptor.digest);
        }
        Ok(holds)
    }

    async fn store_blob(&self, blob: &dyn Opener, _: Option<&Repository>) -> Result<Stored, Error> {
        let stored = self.spool.store(blob).await?;
        self.needs(blob.descriptor().digest);
        Ok(stored)
    }

    async fn store_manifest(&self, document: &Document) -> Result<bool, Error> {
        self.needs(document.digest);
        let (spool, document) = (self.spool.clone(), document.clone());
        files::blocking(move || spool.store_bytes(&document.digest, &document.bytes)).await
    }

    async fn name(&self, document: &Document, name: Option<&str>) -> Result<bool, Error> {
        self.store_manifest(document).await?;
        let (entry, name) = (entry(document), name.map(str::to_owned));
        self.edit(move |editor| editor.put(&entry, name.as_deref()))
            .await
    }

    async fn refer(&self, _: &Digest, referrers: &[Descriptor]) -> Result<(), Error> {
        let referrers = referrers.to_vec();
        self.edit(move |editor| referrers.iter().try_for_each(|each| editor.put(each, None)))
            .await
            .map(|_| ())
    }

    async fn finish(self: Arc<Self>) -> Result<(), Error> {
        files::blocking(move || {
            // It stays where another copy still writes to it.
            let _ = fs::remove_dir(self.root.join(PARTIAL));
            match &self.staging {
                Some(staging) => self.pack(staging),
                None => Ok(()),
            }
        })
        .await
    }
}
