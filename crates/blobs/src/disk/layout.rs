//! Where things lie below the root directory.
//!
//! Every path of the store is made here, from typed identifiers or from a
//! location that was taken apart and put together again. No text from outside
//! becomes a path.

use std::path::{Path, PathBuf};

use landfall_ids::UploadId;
use landfall_oci::{Algorithm, Digest};

use crate::{Error, Location};

/// The paths below one root directory.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(super) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// The file that says which database the store belongs to.
    pub(super) fn marker(&self) -> PathBuf {
        self.root.join("store-id")
    }

    /// The file of the write test.
    pub(super) fn probe(&self) -> PathBuf {
        self.root.join("probe")
    }

    /// The staged bytes of `upload`.
    pub(super) fn staged(&self, upload: UploadId) -> PathBuf {
        self.staging().join(upload.to_string())
    }

    /// The directory of an algorithm's objects.
    pub(super) fn algorithm(&self, algorithm: Algorithm) -> PathBuf {
        self.blobs().join(algorithm.as_str())
    }

    /// The object at `location`; refuses a location of another store.
    pub(super) fn blob(&self, location: &Location) -> Result<PathBuf, Error> {
        parse(location)?;
        Ok(self.blobs().join(location.as_str()))
    }

    /// Where the object at `location` is moved when it is damaged.
    pub(super) fn quarantined(&self, location: &Location) -> Result<PathBuf, Error> {
        let (digest, upload) = parse(location)?;
        let name = format!("{}.{}.{upload}", digest.algorithm(), digest.hex());
        Ok(self.quarantine().join(name))
    }
}

/// The one of the 256 directories of an algorithm that holds `hex`.
fn fan_out(hex: &str) -> &str {
    hex.get(..2).unwrap_or(hex)
}

fn text(digest: &Digest, upload: UploadId) -> String {
    let hex = digest.hex();
    format!("{}/{}/{hex}.{upload}", digest.algorithm(), fan_out(&hex))
}

fn foreign(location: &Location) -> Error {
    Error::Foreign {
        location: location.clone(),
    }
}

/// The location of `digest` as `upload` brought it.
pub(super) fn location(digest: &Digest, upload: UploadId) -> Result<Location, Error> {
    let invalid = |error| {
        Error::io(
            "naming a blob",
            std::io::Error::other::<crate::InvalidLocation>(error),
        )
    };
    text(digest, upload).parse().map_err(invalid)
}

/// What a location of this store is made of. It is put together again and
/// compared, so that one object has one text only.
fn parse(location: &Location) -> Result<(Digest, UploadId), Error> {
    let mut parts = location.as_str().split('/');
    let (Some(algorithm), Some(_), Some(name), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(foreign(location));
    };
    let (hex, upload) = name.split_once('.').ok_or_else(|| foreign(location))?;
    let digest: Digest = format!("{algorithm}:{hex}")
        .parse()
        .map_err(|_| foreign(location))?;
    let upload: UploadId = upload.parse().map_err(|_| foreign(location))?;
    if text(&digest, upload) == location.as_str() {
        Ok((digest, upload))
    } else {
        Err(foreign(location))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::new(PathBuf::from("/data"))
    }

    fn upload() -> UploadId {
        UploadId::new_at(1_795_530_000_000_000)
    }

    #[test]
    fn a_location_is_found_again_at_its_path() {
        for algorithm in Algorithm::ALL {
            let digest = Digest::of(algorithm, b"layer");
            let upload = upload();
            let location = location(&digest, upload).expect("a location");
            let hex = digest.hex();
            assert_eq!(
                layout().blob(&location).expect("a path"),
                Path::new("/data/blobs")
                    .join(algorithm.as_str())
                    .join(&hex[..2])
                    .join(format!("{hex}.{upload}"))
            );
            assert_eq!(
                layout().quarantined(&location).expect("a path"),
                Path::new("/data/quarantine").join(format!("{algorithm}.{hex}.{upload}"))
            );
        }
    }

    #[test]
    fn a_location_of_another_form_is_foreign() {
        let hex = Digest::of(Algorithm::Sha256, b"layer").hex();
        let upload = upload();
        let prefix = &hex[..2];
        let simple = upload.to_string().replace('-', "");
        for text in [
            "staging/x".to_owned(),
            upload.to_string(),
            format!("md5/{prefix}/{hex}.{upload}"),
            format!("sha512/{prefix}/{hex}.{upload}"),
            format!("sha256/zz/{hex}.{upload}"),
            format!("sha256/{prefix}/{hex}"),
            format!("sha256/{prefix}/{hex}."),
            format!("sha256/{prefix}/{hex}.{simple}"),
            format!("sha256/{prefix}/{hex}.{upload}/x"),
            format!("sha256/{prefix}/{hex}.{upload}.x"),
            format!("sha256/{prefix}/{}.{upload}", &hex[..62]),
        ] {
            let location = text.parse::<Location>().expect("a location of some store");
            assert!(
                matches!(layout().blob(&location), Err(Error::Foreign { .. })),
                "`{text}` was accepted"
            );
        }
    }
}
