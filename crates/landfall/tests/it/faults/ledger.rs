//! What the clients of one repository know about it.
//!
//! A client writes down what it asks for before it asks (from then on it
//! *may* be so), and what it was told after it was told (from then on it *is*
//! so). So at every instant the ledger says what a server has to hold that is
//! started on what is on the disk, whatever became of the last request.

use std::collections::{BTreeMap, BTreeSet};

use landfall_oci::Digest;

use super::content::{Blob, Image};

/// What is known of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The server has acknowledged it, and nobody took it away since.
    There,
    /// The answer that decided it never came.
    Maybe,
    /// The server has acknowledged that it is gone.
    Gone,
}

use Presence::{Gone, Maybe, There};

/// An upload that was begun.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) blob: Blob,
    /// Bytes that were acknowledged.
    pub(crate) least: u64,
    /// Bytes that were sent.
    pub(crate) most: u64,
    pub(crate) presence: Presence,
}

/// The ledger of one repository. Only one client writes to it, one request at
/// a time.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    pub(crate) repository: String,
    /// Whether a blob without image is kept: not so while a collector runs
    /// that grants no grace, or with a short promise.
    pub(crate) promises_hold: bool,
    blobs: BTreeMap<Digest, (Blob, Presence)>,
    images: BTreeMap<Digest, (Image, Presence)>,
    /// What each tag may point at.
    tags: BTreeMap<String, BTreeSet<Option<Digest>>>,
    /// By the path of the session.
    uploads: BTreeMap<String, Upload>,
}

impl Ledger {
    pub(crate) fn new(repository: String) -> Self {
        Self {
            repository,
            promises_hold: true,
            blobs: BTreeMap::new(),
            images: BTreeMap::new(),
            tags: BTreeMap::new(),
            uploads: BTreeMap::new(),
        }
    }

    pub(crate) fn blobs(&self) -> Vec<Blob> {
        self.blobs.values().map(|(blob, _)| *blob).collect()
    }

    /// Images of which this is known.
    pub(crate) fn images(&self, known: &[Presence]) -> Vec<(Image, Presence)> {
        self.images
            .values()
            .filter(|(_, is)| known.contains(is))
            .cloned()
            .collect()
    }

    pub(crate) fn tags(&self) -> Vec<String> {
        self.tags.keys().cloned().collect()
    }

    /// Uploads of which this is known.
    pub(crate) fn uploads(&self, known: &[Presence]) -> Vec<(String, Upload)> {
        let uploads = self
            .uploads
            .iter()
            .filter(|(_, upload)| known.contains(&upload.presence));
        uploads
            .map(|(path, upload)| (path.clone(), upload.clone()))
            .collect()
    }

    pub(crate) fn upload(&self, path: &str) -> Option<Upload> {
        self.uploads.get(path).cloned()
    }

    /// What an answer has to say of a blob.
    pub(crate) fn blob_expected(&self, digest: &Digest) -> Presence {
        if self.needs(digest) == There {
            return There;
        }
        match self.blobs.get(digest) {
            Some((_, There)) if self.promises_hold => There,
            Some((_, There | Maybe)) => Maybe,
            Some((_, Gone)) | None => Gone,
        }
    }

    /// Whether an image needs the blob: `Maybe` if only one does that may be
    /// there.
    pub(crate) fn needs(&self, digest: &Digest) -> Presence {
        let images = self
            .images
            .values()
            .filter(|(image, _)| image.needs(digest));
        let known: Vec<Presence> = images.map(|(_, is)| *is).collect();
        let of = |presence| known.contains(&presence).then_some(presence);
        of(There).or_else(|| of(Maybe)).unwrap_or(Gone)
    }

    pub(crate) fn image_expected(&self, digest: &Digest) -> Presence {
        self.images.get(digest).map_or(Gone, |(_, is)| *is)
    }

    pub(crate) fn image(&self, digest: &Digest) -> Option<Image> {
        self.images.get(digest).map(|(image, _)| image.clone())
    }

    /// What a tag may point at.
    pub(crate) fn tag_expected(&self, tag: &str) -> BTreeSet<Option<Digest>> {
        self.tags
            .get(tag)
            .cloned()
            .unwrap_or_else(|| BTreeSet::from([None]))
    }

    pub(crate) fn blob_pushing(&mut self, blob: &Blob) {
        let (_, is) = self.blobs.entry(blob.digest).or_insert((*blob, Maybe));
        if *is == Gone {
            *is = Maybe;
        }
    }

    pub(crate) fn blob_is(&mut self, blob: &Blob, presence: Presence) {
        self.blobs.insert(blob.digest, (*blob, presence));
    }

    pub(crate) fn blob_deleting(&mut self, digest: &Digest) {
        if let Some((_, is)) = self.blobs.get_mut(digest) {
            *is = less(*is);
        }
    }

    pub(crate) fn image_pushing(&mut self, image: &Image, tag: Option<&str>) {
        let (_, is) = self
            .images
            .entry(image.digest)
            .or_insert((image.clone(), Maybe));
        if *is == Gone {
            *is = Maybe;
        }
        if let Some(tag) = tag {
            self.tag_changing(tag, Some(image.digest));
        }
    }

    pub(crate) fn image_is_there(&mut self, image: &Image) {
        self.images.insert(image.digest, (image.clone(), There));
    }

    pub(crate) fn image_deleting(&mut self, digest: &Digest) {
        if let Some((_, is)) = self.images.get_mut(digest) {
            *is = less(*is);
        }
        for may in self
            .tags
            .values_mut()
            .filter(|may| may.contains(&Some(*digest)))
        {
            may.insert(None);
        }
    }

    /// The image is gone, and its tags with it.
    pub(crate) fn image_is_gone(&mut self, digest: &Digest) {
        if let Some((_, is)) = self.images.get_mut(digest) {
            *is = Gone;
        }
        for may in self.tags.values_mut() {
            if may.remove(&Some(*digest)) {
                may.insert(None);
            }
        }
    }

    pub(crate) fn tag_changing(&mut self, tag: &str, to: Option<Digest>) {
        self.tags
            .entry(tag.to_owned())
            .or_insert_with(|| BTreeSet::from([None]))
            .insert(to);
    }

    pub(crate) fn tag_is(&mut self, tag: &str, at: Option<Digest>) {
        self.tags.insert(tag.to_owned(), BTreeSet::from([at]));
    }

    pub(crate) fn upload_begun(&mut self, path: &str, blob: &Blob) {
        let upload = Upload {
            blob: *blob,
            least: 0,
            most: 0,
            presence: There,
        };
        self.uploads.insert(path.to_owned(), upload);
    }

    /// Bytes up to `most` are on their way.
    pub(crate) fn upload_sending(&mut self, path: &str, most: u64) {
        if let Some(upload) = self.uploads.get_mut(path) {
            upload.most = upload.most.max(most);
        }
    }

    pub(crate) fn upload_stands(&mut self, path: &str, at: u64) {
        if let Some(upload) = self.uploads.get_mut(path) {
            (upload.least, upload.most, upload.presence) = (at, at, There);
        }
    }

    /// More was acknowledged, while what was sent before may still come.
    pub(crate) fn upload_has(&mut self, path: &str, least: u64) {
        if let Some(upload) = self.uploads.get_mut(path) {
            upload.least = upload.least.max(least);
        }
    }

    pub(crate) fn upload_ending(&mut self, path: &str) {
        if let Some(upload) = self.uploads.get_mut(path) {
            upload.presence = less(upload.presence);
        }
    }

    pub(crate) fn upload_is_gone(&mut self, path: &str) {
        if let Some(upload) = self.uploads.get_mut(path) {
            upload.presence = Gone;
        }
    }

    pub(crate) fn repository_deleting(&mut self) {
        let blobs = self.blobs.values_mut().map(|(_, is)| is);
        let images = self.images.values_mut().map(|(_, is)| is);
        let uploads = self.uploads.values_mut().map(|upload| &mut upload.presence);
        for is in blobs.chain(images).chain(uploads) {
            *is = less(*is);
        }
        for may in self.tags.values_mut() {
            may.insert(None);
        }
    }

    pub(crate) fn repository_is_gone(&mut self) {
        let blobs = self.blobs.values_mut().map(|(_, is)| is);
        let images = self.images.values_mut().map(|(_, is)| is);
        let uploads = self.uploads.values_mut().map(|upload| &mut upload.presence);
        for is in blobs.chain(images).chain(uploads) {
            *is = Gone;
        }
        for may in self.tags.values_mut() {
            *may = BTreeSet::from([None]);
        }
    }
}

/// What is known while somebody takes it away.
fn less(is: Presence) -> Presence {
    if is == There { Maybe } else { is }
}
