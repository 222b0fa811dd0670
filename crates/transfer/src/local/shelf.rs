//! Files by their name inside of a place: in a folder or in an archive.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use landfall_oci::{Descriptor, Digest};

use super::{files, tar_index::TarIndex};
use crate::{Error, content::ByteStream};

/// Where the files of a place are.
pub(super) enum Shelf {
    Folder(PathBuf),
    Archive(TarIndex),
}

/// Where a layout keeps a blob.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

impl Shelf {
    /// The path of a file in a folder, none of whose folders is a link.
    fn path(root: &Path, name: &str) -> Result<PathBuf, Error> {
        let mut path = root.to_owned();
        let mut parts = name.split('/').peekable();
        while let Some(part) = parts.next() {
            path.push(part);
            if parts.peek().is_some() {
                files::check_folder(&path)?;
            }
        }
        Ok(path)
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(root) => files::length(&root.join(name)).is_some(),
            Self::Archive(index) => index.has(name),
        }
    }

    /// A file, whole, where it is not longer than `most`. `name` is made by
    /// us.
    pub(super) fn read(&self, name: &str, most: u64) -> Result<Bytes, Error> {
        match self {
            Self::Folder(root) => files::read(&Self::path(root, name)?, most),
            Self::Archive(index) => index.read(name, most),
        }
    }

    /// The bytes of a file with the size of a blob.
    pub(super) fn stream(
        &self,
        name: &str,
        blob: &Descriptor,
        from: u64,
    ) -> Result<ByteStream, Error> {
        let wrong = |size: u64| {
            Error::Damaged(format!(
                "`{name}` has {size} bytes, and {} are expected",
                blob.size
            ))
        };
        match self {
            Self::Folder(root) => {
                let path = Self::path(root, name)?;
                let file = files::open(&path)?;
                let failed = Error::file(&path, "can't be read");
                let size = file.metadata().map_err(failed)?.len();
                if size != blob.size {
                    return Err(wrong(size));
                }
                let from = from.min(size);
                Ok(files::stream(path, Arc::new(file), from, size - from))
            }
            Self::Archive(index) => match index.find(name)? {
                (_, size) if size == blob.size => index.stream(name, from),
                (_, size) => Err(wrong(size)),
            },
        }
    }
}
