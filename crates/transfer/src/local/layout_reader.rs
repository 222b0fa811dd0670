//! Images out of an OCI image layout, in a folder or in a tar archive.

use std::{collections::HashMap, path::Path, sync::Arc};

use async_trait::async_trait;
use landfall_oci::{Descriptor, Digest};
use tokio::sync::OnceCell;

use super::{
    files, layout_index as index,
    shelf::{Shelf, blob_name},
    tar_index::TarIndex,
};
use crate::{Document, Error, Limits, Source, Wanted, content::ByteStream, registry::fallback_tag};

/// A layout. Its index is read once.
pub(crate) struct LayoutReader {
    place: String,
    shelf: Arc<Shelf>,
    entries: Arc<Vec<Descriptor>>,
    limits: Limits,
    /// What refers to what, by the subjects that the index's entries name.
    referrers: OnceCell<HashMap<Digest, Vec<Descriptor>>>,
}

impl LayoutReader {
    /// Opens a folder.
    pub(crate) async fn folder(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let (path, limits) = (path.to_owned(), limits.clone());
        files::blocking(move || Self::open(&path, Shelf::Folder(path.clone()), limits)).await
    }

    /// Opens an archive.
    pub(crate) async fn archive(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let (path, limits) = (path.to_owned(), limits.clone());
        files::blocking(move || {
            let index = TarIndex::open(&path, &limits)?;
            Self::open(&path, Shelf::Archive(index), limits)
        })
        .await
    }

    fn open(path: &Path, shelf: Shelf, limits: Limits) -> Result<Self, Error> {
        let place = format!("`{}`", path.display());
        let marker = shelf.read(index::MARKER, index::MARKER_SIZE);
        let marker = marker.map_err(|error| match error {
            Error::Missing(_) if path.exists() => Error::Refused(format!(
                "{place} is no OCI layout: it has no `{}`",
                index::MARKER
            )),
            other => other,
        })?;
        index::check_marker(&place, &marker)?;
        let entries = index::entries(&place, &shelf.read(index::INDEX, limits.index)?)?;
        Ok(Self {
            place,
            shelf: Arc::new(shelf),
            entries: Arc::new(entries),
            limits,
            referrers: OnceCell::new(),
        })
    }

    /// The manifest under a digest, as the blob says it.
    async fn read(&self, descriptor: &Descriptor) -> Result<Document, Error> {
        let (files_of, place, most) = (
            Arc::clone(&self.shelf),
            self.place.clone(),
            self.limits.manifest,
        );
        let descriptor = descriptor.clone();
        files::blocking(move || read(&files_of, &place, &descriptor, most)).await
    }

    async fn referrer_map(&self) -> Result<&HashMap<Digest, Vec<Descriptor>>, Error> {
        let (files_of, place, most) = (
            Arc::clone(&self.shelf),
            self.place.clone(),
            self.limits.manifest,
        );
        let entries = Arc::clone(&self.entries);
        let made = self.referrers.get_or_try_init(|| {
            files::blocking(move || {
                let mut map: HashMap<Digest, Vec<Descriptor>> = HashMap::new();
                for entry in entries
                    .iter()
                    .filter(|entry| entry.media_type.is_manifest())
                {
                    let document = read(&files_of, &place, entry, most)?;
                    if let Some(subject) = &document.manifest.subject {
                        map.entry(subject.digest)
                            .or_default()
                            .push(document.descriptor());
                    }
                }
                Ok(map)
            })
        });
        made.await
    }
}

fn read(shelf: &Shelf, place: &str, descriptor: &Descriptor, most: u64) -> Result<Document, Error> {
    let bytes = shelf.read(&blob_name(&descriptor.digest), most)?;
    let media_type = Some(descriptor.media_type.as_str());
    let document = Document::read(place, bytes, media_type, Some(&descriptor.digest))?;
    document.described(place, descriptor)
}

#[async_trait]
impl Source for LayoutReader {
    fn place(&self) -> String {
        self.place.clone()
    }

    async fn find(&self, wanted: &Wanted) -> Result<Document, Error> {
        let chosen = index::choose(&self.place, &self.entries, wanted);
        let entry = match (chosen, wanted) {
            (Ok(entry), _) => entry,
            // A manifest need not be listed to be there.
            (Err(_), Wanted::Digest(digest)) if self.shelf.has(&blob_name(digest)) => {
                let bytes = self.shelf.read(&blob_name(digest), self.limits.manifest)?;
                return Document::read(&self.place, bytes, None, Some(digest));
            }
            (Err(error), _) => return Err(error),
        };
        self.read(entry).await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Document, Error> {
        self.read(descriptor).await
    }

    async fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<ByteStream, Error> {
        self.shelf
            .stream(&blob_name(&descriptor.digest), descriptor, from)
    }

    async fn names(&self) -> Result<Vec<String>, Error> {
        let names = self.entries.iter().filter_map(index::name_of);
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let mut all = self
            .referrer_map()
            .await?
            .get(subject)
            .cloned()
            .unwrap_or_default();
        let listed = Wanted::Name(fallback_tag(subject));
        match index::choose(&self.place, &self.entries, &listed) {
            Ok(entry) => all.extend(self.read(entry).await?.manifest.manifests),
            Err(_) => return Ok(all),
        }
        Ok(all)
    }
}
