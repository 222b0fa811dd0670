//! Where the bytes of a world lie: in a folder, or in a bucket of an S3 server.

use std::{
    cell::Cell,
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use futures_util::TryStreamExt;
use landfall_blobs::{BlobStore, DiskStore, S3Key, S3Options, S3Store};
use landfall_services::s3::{self, S3Target};

thread_local! {
    /// Whether worlds of this thread keep their bytes in a bucket.
    static IN_BUCKET: Cell<bool> = const { Cell::new(false) };
}

/// From now on, worlds of this thread keep their bytes in a bucket.
pub(crate) fn in_bucket() {
    IN_BUCKET.set(true);
}

/// Where bytes lie.
#[derive(Debug, Clone)]
pub(crate) enum Shelf {
    /// In the folder `store` below it.
    Folder(PathBuf),
    Bucket(S3Target),
}

impl Shelf {
    /// A new shelf of the kind that worlds of this thread have.
    pub(crate) fn new(folder: &Path) -> Self {
        if IN_BUCKET.get() {
            Self::Bucket(s3::bucket())
        } else {
            Self::Folder(folder.to_owned())
        }
    }

    pub(crate) fn open(&self) -> Arc<dyn BlobStore> {
        match self {
            Self::Folder(folder) => {
                let disk = DiskStore::open(folder.join("store"));
                Arc::new(disk.expect("a store"))
            }
            Self::Bucket(target) => {
                let mut options: S3Options = target.url().parse().expect("a bucket's URL");
                options.key = Some(S3Key {
                    id: target.key.clone(),
                    secret: target.secret.clone(),
                    session: None,
                });
                Arc::new(S3Store::new(options).expect("a store"))
            }
        }
    }

    /// Objects of a bucket, as if they were files of a folder `part`: `blobs` or
    /// `staging`.
    pub(crate) fn objects(&self, part: &str) -> Vec<PathBuf> {
        let folder = Path::new("store").join(part);
        let (bucket, part) = (self.clone(), part.to_owned());
        // Callers are in a runtime and don't wait.
        let names = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let store = bucket.open();
                let names: Vec<String> = if part == "blobs" {
                    let named = store.list().map_ok(|object| object.location.to_string());
                    named.try_collect().await.expect("a listing")
                } else {
                    assert_eq!(part, "staging", "a bucket shows nothing else");
                    let named = store.list_staged();
                    let named = named.map_ok(|object| object.upload.to_string());
                    named.try_collect().await.expect("a listing")
                };
                names
            })
        });
        let names = names.join().expect("no panic");
        // An upload may have several objects.
        let names: BTreeSet<String> = names.into_iter().collect();
        names.iter().map(|name| folder.join(name)).collect()
    }
}
