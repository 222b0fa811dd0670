//! An image into an archive that `docker load` and `podman load` take.
//!
//! The format has a configuration and layers that are not compressed, and no
//! manifest, so the image's digest can't stay. What is unpacked is compared
//! with the `diff_ids` of the configuration.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use landfall_oci::{Descriptor, Digest, Hasher};
use serde_json::json;

use super::{
    docker_reader::Configuration,
    files,
    staging::Staging,
    tar_writer::TarWriter,
    unpack::{self, Compression},
};
use crate::{Destination, Document, Error, Limits, Opener, Repository, Stored};

/// An archive that is written.
pub(crate) struct DockerWriter {
    staging: Staging,
    limits: Limits,
    /// The image, once it is known, and its name. Held for one change, and at
    /// the end.
    image: Mutex<Option<(Document, Option<String>)>>,
}

impl DockerWriter {
    /// Prepares an archive.
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        Ok(Self {
            staging: Staging::open(path)?,
            limits: limits.clone(),
            image: Mutex::default(),
        })
    }

    fn write(&self) -> Result<(), Error> {
        let image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((document, name)) = &*image else {
            return Ok(());
        };
        let path = self.staging.folder.join("archive.tar");
        let failed = || Error::file(&path, "can't be written");
        let config = config_of(document)?;
        let bytes = files::read(&self.staging.spool.path(&config.digest), self.limits.config)?;
        let place = format!("the image `{}`", document.digest);
        let diff_ids = Configuration::read(&place, &bytes)?.rootfs.diff_ids;
        let layers = &document.manifest.layers;
        if diff_ids.len() != layers.len() {
            return Err(Error::Refused(format!(
                "{place} has {} layers, and its configuration says {}",
                layers.len(),
                diff_ids.len()
            )));
        }
        let mut tar = TarWriter::create(&path).map_err(failed())?;
        let mut names: Vec<String> = Vec::new();
        for (layer, diff_id) in layers.iter().zip(&diff_ids) {
            let name = format!("{}.tar", diff_id.hex());
            if !names.contains(&name) {
                self.add_layer(&mut tar, &name, layer, diff_id)?;
            }
            names.push(name);
        }
        let config_name = format!("{}.json", config.digest.hex());
        let list = json!([{
            "Config": config_name,
            "RepoTags": name.iter().collect::<Vec<_>>(),
            "Layers": names,
        }]);
        tar.bytes(&config_name, &bytes)
            .and_then(|()| tar.bytes("manifest.json", list.to_string().as_bytes()))
            .and_then(|()| tar.finish())
            .map_err(failed())?;
        self.staging.reveal(&path)
    }

    fn add_layer(
        &self,
        tar: &mut TarWriter,
        name: &str,
        layer: &Descriptor,
        diff_id: &Digest,
    ) -> Result<(), Error> {
        let path = self.staging.spool.path(&layer.digest);
        let failed = || unpack::failed(&path);
        let unreadable = || Error::file(&path, "can't be read");
        let mut head = Vec::new();
        let file = File::open(&path).map_err(unreadable())?;
        (&file)
            .take(4)
            .read_to_end(&mut head)
            .map_err(unreadable())?;
        let compression = Compression::of(&head);
        let whole = io::Cursor::new(head).chain(&file);
        let reader =
            unpack::unpack(compression, whole, layer.size, &self.limits).map_err(failed())?;
        let mut hashing = Hashing {
            inner: reader,
            hasher: Hasher::new(diff_id.algorithm()),
        };
        tar.stream(name, &mut hashing).map_err(failed())?;
        let found = hashing.hasher.finish();
        if found != *diff_id {
            return Err(Error::Damaged(format!(
                "the layer `{}` unpacks to `{found}`, and the configuration says `{diff_id}`",
                layer.digest
            )));
        }
        Ok(())
    }
}

fn config_of(document: &Document) -> Result<&Descriptor, Error> {
    document.manifest.config.as_ref().ok_or_else(|| {
        Error::Refused(
            "a docker archive holds the image of one platform; choose it with `--platform`"
                .to_owned(),
        )
    })
}

/// Hashes what is read.
struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

#[async_trait]
impl Destination for DockerWriter {
    fn place(&self) -> String {
        format!("`{}`", self.staging.target.display())
    }

    async fn holds_image(&self, document: &Document) -> Result<bool, Error> {
        // Said before anything is fetched.
        config_of(document).map(|_| false)
    }

    async fn holds_blob(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        self.staging.spool.holds(descriptor).await
    }

    async fn store_blob(&self, blob: &dyn Opener, _: Option<&Repository>) -> Result<Stored, Error> {
        self.staging.spool.store(blob).await
    }

    async fn store_manifest(&self, _: &Document) -> Result<bool, Error> {
        // The format has no place for it.
        Ok(false)
    }

    async fn name(&self, document: &Document, name: Option<&str>) -> Result<bool, Error> {
        let mut image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        if image.is_some() {
            return Err(Error::Refused(
                "a docker archive is written with one image; use `oci-archive:FILE` for several"
                    .to_owned(),
            ));
        }
        *image = Some((document.clone(), name.map(str::to_owned)));
        Ok(true)
    }

    async fn refer(&self, _: &Digest, _: &[Descriptor]) -> Result<(), Error> {
        Err(Error::Refused(
            "a docker archive has no place for referrers; use `oci-archive:FILE` for them"
                .to_owned(),
        ))
    }

    async fn finish(self: Arc<Self>) -> Result<(), Error> {
        files::blocking(move || self.write()).await
    }
}
