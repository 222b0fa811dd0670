//! Images out of an archive that `docker save` or `podman save` wrote.
//!
//! Such an archive has no manifests, only configurations and layers. The
//! manifest is made here, and depends on them alone: an OCI manifest with the
//! configuration as it is and the layers as they lie in the archive. A layer
//! that is not compressed is verified against the configuration while it is
//! copied; one that is compressed is unpacked for that beforehand.

use std::{collections::HashMap, io, path::Path};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use landfall_oci::{Algorithm, Descriptor, Digest, Hasher, Manifest, MediaType};
use serde::Deserialize;

use super::{
    files,
    tar_index::TarIndex,
    unpack::{self, Compression},
};
use crate::{Document, Error, Limits, Source, Wanted, content::ByteStream, error::shorten};

const LIST: &str = "manifest.json";

/// The most layers of one image.
const LAYERS: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// What a configuration has to say here.
#[derive(Deserialize)]
pub(super) struct Configuration {
    pub(super) rootfs: Layers,
}

#[derive(Deserialize)]
pub(super) struct Layers {
    pub(super) diff_ids: Vec<Digest>,
}

impl Configuration {
    /// Reads the configuration of a container image.
    pub(super) fn read(place: &str, bytes: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(bytes).map_err(|error| {
            Error::Refused(format!(
                "{place} has a configuration that is none of a container image: {}",
                shorten(&error.to_string())
            ))
        })
    }
}

struct Image {
    tags: Vec<String>,
    document: Document,
}

enum Content {
    Bytes(Bytes),
    File(String),
}

/// An archive, read through.
pub(crate) struct DockerReader {
    place: String,
    index: TarIndex,
    images: Vec<Image>,
    content: HashMap<Digest, Content>,
}

impl DockerReader {
    /// Opens an archive.
    pub(crate) async fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let (path, limits) = (path.to_owned(), limits.clone());
        files::blocking(move || {
            let place = format!("`{}`", path.display());
            let index = TarIndex::open(&path, &limits)?;
            if !index.has(LIST) {
                let instead = if index.has("oci-layout") {
                    "; use `oci-archive:` for it"
                } else {
                    ""
                };
                return Err(Error::Refused(format!(
                    "{place} is no docker archive: it has no `{LIST}`{instead}"
                )));
            }
            let list = index.read(LIST, limits.index)?;
            let listed: Vec<Listed> = serde_json::from_slice(&list)
                .map_err(|error| Error::Refused(format!("{place}, `{LIST}`: {error}")))?;
            let mut reader = Self {
                place,
                index,
                images: Vec::new(),
                content: HashMap::new(),
            };
            for each in listed {
                let image = reader.image(&path, each, &limits)?;
                reader.images.push(image);
            }
            Ok(reader)
        })
        .await
    }

    fn image(&mut self, path: &Path, listed: Listed, limits: &Limits) -> Result<Image, Error> {
        let config = self.index.read(&listed.config, limits.config)?;
        let diff_ids = Configuration::read(&self.place, &config)?.rootfs.diff_ids;
        let layers = listed.layers.unwrap_or_default();
        if diff_ids.len() != layers.len() || layers.len() > LAYERS {
            return Err(Error::Refused(format!(
                "{} lists {} layers for `{}`, and its configuration has {}",
                self.place,
                layers.len(),
                shorten(&listed.config),
                diff_ids.len()
            )));
        }
        let mut manifest = Manifest {
            media_type: MediaType::OCI_MANIFEST,
            ..Manifest::index(Vec::new())
        };
        for (name, diff_id) in layers.into_iter().zip(diff_ids) {
            manifest
                .layers
                .push(self.layer(path, name, diff_id, limits)?);
        }
        let digest = Digest::of(Algorithm::Sha256, &config);
        let size = config.len() as u64;
        manifest.config = Some(Descriptor::new(MediaType::OCI_CONFIG, digest, size));
        self.content.insert(digest, Content::Bytes(config));
        Ok(Image {
            tags: listed.repo_tags.unwrap_or_default(),
            document: Document::made(manifest)?,
        })
    }

    fn layer(
        &mut self,
        path: &Path,
        name: String,
        diff_id: Digest,
        limits: &Limits,
    ) -> Result<Descriptor, Error> {
        let (_, size) = self.index.find(&name)?;
        let mut head = Vec::new();
        let reader = self.index.reader(&name)?;
        io::Read::read_to_end(&mut io::Read::take(reader, 4), &mut head)
            .map_err(Error::file(path, "can't be read"))?;
        let compression = Compression::of(&head);
        let (media_type, digest) = match compression {
            Compression::Plain => (MediaType::OCI_LAYER, diff_id),
            Compression::Gzip => (
                MediaType::OCI_LAYER_GZIP,
                self.check(path, &name, diff_id, compression, limits)?,
            ),
            Compression::Zstd => (
                MediaType::OCI_LAYER_ZSTD,
                self.check(path, &name, diff_id, compression, limits)?,
            ),
        };
        self.content.insert(digest, Content::File(name));
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// The digest of a compressed layer, whose content was compared with what
    /// the configuration says.
    fn check(
        &self,
        path: &Path,
        name: &str,
        diff_id: Digest,
        compression: Compression,
        limits: &Limits,
    ) -> Result<Digest, Error> {
        let (_, size) = self.index.find(name)?;
        let failed = || unpack::failed(path);
        let packed = hash(Algorithm::Sha256, &mut self.index.reader(name)?).map_err(failed())?;
        let mut reader =
            unpack::unpack(compression, self.index.reader(name)?, size, limits).map_err(failed())?;
        let found = hash(diff_id.algorithm(), &mut reader).map_err(failed())?;
        if found == diff_id {
            return Ok(packed);
        }
        Err(Error::Damaged(format!(
            "{} has the layer `{}` with the digest `{found}`, and its configuration says `{diff_id}`",
            self.place,
            shorten(name)
        )))
    }

    /// The image that is wanted.
    fn choose(&self, wanted: &Wanted) -> Result<&Image, Error> {
        let names: Vec<String> = self
            .images
            .iter()
            .flat_map(|image| &image.tags)
            .map(|tag| format!("`{}`", shorten(tag)))
            .take(10)
            .collect();
        let names = names.join(", ");
        let missing = |what: &str| {
            Error::Missing(format!(
                "{} has no image `{what}`: it has {names}",
                self.place
            ))
        };
        match wanted {
            Wanted::Only => match &self.images[..] {
                [] => Err(Error::Missing(format!("{} has no image", self.place))),
                [only] => Ok(only),
                _ => Err(Error::Refused(format!(
                    "{} has several images, so name one: it has {names}",
                    self.place
                ))),
            },
            Wanted::Digest(digest) => {
                let mut all = self.images.iter();
                let found = all.find(|image| image.document.digest == *digest);
                found.ok_or_else(|| missing(&digest.to_string()))
            }
            Wanted::Name(name) => {
                let has = |image: &&Image, fits: &dyn Fn(&str) -> bool| {
                    image.tags.iter().any(|tag| fits(tag))
                };
                let exact = self
                    .images
                    .iter()
                    .find(|image| has(image, &|tag| tag == name));
                let suffix = if name.contains(':') {
                    format!("/{name}")
                } else {
                    format!(":{name}")
                };
                let mut loose = self
                    .images
                    .iter()
                    .filter(|image| has(image, &|tag| tag.ends_with(&suffix)));
                let only = loose.next().filter(|_| loose.next().is_none());
                exact.or(only).ok_or_else(|| missing(name))
            }
        }
    }
}

fn hash(algorithm: Algorithm, reader: &mut dyn io::Read) -> io::Result<Digest> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[async_trait]
impl Source for DockerReader {
    fn place(&self) -> String {
        self.place.clone()
    }

    async fn find(&self, wanted: &Wanted) -> Result<Document, Error> {
        self.choose(wanted).map(|image| image.document.clone())
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Document, Error> {
        self.find(&Wanted::Digest(descriptor.digest)).await
    }

    async fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<ByteStream, Error> {
        match self.content.get(&descriptor.digest) {
            Some(Content::File(name)) => self.index.stream(name, from),
            Some(Content::Bytes(bytes)) => {
                let rest = bytes.slice((from as usize).min(bytes.len())..);
                Ok(stream::iter([Ok(rest)]).boxed())
            }
            None => Err(Error::Missing(format!(
                "{} has no blob `{}`",
                self.place, descriptor.digest
            ))),
        }
    }

    async fn names(&self) -> Result<Vec<String>, Error> {
        let tags = self.images.iter().flat_map(|image| image.tags.clone());
        Ok(tags.collect())
    }

    async fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>, Error> {
        Ok(Vec::new())
    }
}
