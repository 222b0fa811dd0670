//! One server and one client of it, for tests that do one thing after the other.

use std::path::{Path, PathBuf};

use landfall_oci::Digest;
use tokio::runtime::Runtime;

use super::{
    client::{self, Answer, Client, Lost},
    content::{Blob, Image},
    verify,
};
use crate::server::{Options, Server};

pub(crate) const REPOSITORY: &str = "faults/images";

/// The server, and what its client was told.
pub(crate) struct Shop {
    runtime: Runtime,
    pub(crate) client: Client,
    pub(crate) server: Server,
    /// Blobs that were acknowledged.
    pub(crate) blobs: Vec<Blob>,
    /// Images that were acknowledged.
    pub(crate) images: Vec<Image>,
}

impl Shop {
    pub(crate) fn open(data: &Path, options: &Options) -> Self {
        let server = Server::start_with(data, options);
        Self {
            runtime: Runtime::new().expect("a runtime"),
            client: Client::new(&server.url),
            server,
            blobs: Vec::new(),
            images: Vec::new(),
        }
    }

    /// The same, with a new server, after the earlier one was killed and
    /// `between` was done.
    pub(crate) fn reopen(self, options: &Options, between: impl FnOnce()) -> Self {
        let Self {
            blobs,
            images,
            server,
            ..
        } = self;
        let data = server.data.clone();
        server.kill();
        between();
        Self {
            blobs,
            images,
            ..Self::open(&data, options)
        }
    }

    /// The answer to a request; it has to come.
    #[track_caller]
    pub(crate) fn ask<T>(&self, request: impl Future<Output = Result<T, Lost>>) -> T {
        match self.runtime.block_on(request) {
            Ok(answer) => answer,
            Err(lost) => panic!("{lost}\n{}", self.server.log()),
        }
    }

    /// Pushes a blob in one request; the answer.
    #[track_caller]
    pub(crate) fn push(&mut self, blob: &Blob) -> Answer {
        let answer = self.ask(self.client.push_whole(REPOSITORY, blob));
        if answer.status == 201 {
            self.blobs.push(*blob);
        }
        answer
    }

    /// Pushes the manifest of an image whose blobs are there; the answer.
    #[track_caller]
    pub(crate) fn push_manifest(&mut self, image: &Image, tag: &str) -> Answer {
        let answer = self.ask(self.client.push_manifest(REPOSITORY, tag, image));
        if answer.status == 201 {
            self.images.push(image.clone());
        }
        answer
    }

    /// Pushes an image of its own.
    #[track_caller]
    pub(crate) fn push_image(&mut self, seed: u64, tag: &str) -> Image {
        let layers = [Blob::new(seed, 70_000), Blob::new(seed + 1, 2_000)];
        let image = Image::new(Blob::new(seed + 2, 300), &layers);
        for blob in &*image.blobs {
            expect(&self.push(blob), 201);
        }
        expect(&self.push_manifest(&image, tag), 201);
        image
    }

    /// The answer to GET of a blob.
    #[track_caller]
    pub(crate) fn get(&self, digest: &Digest) -> Answer {
        self.ask(self.client.get(&client::blob(REPOSITORY, digest)))
    }

    /// The status of a path.
    #[track_caller]
    pub(crate) fn status(&self, path: &str) -> u16 {
        self.ask(self.client.get(path)).status
    }

    /// Waits until the server says so of itself; it looks once in a second.
    #[track_caller]
    pub(crate) fn says_ready(&self, status: u16) {
        for _ in 0..500 {
            if self.status("/readyz") == status {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("/readyz is never answered with {status}");
    }

    /// Everything that was acknowledged can be pulled.
    #[track_caller]
    pub(crate) fn everything_is_there(&self) {
        for blob in &self.blobs {
            self.ask(verify::pull_blob(&self.client, REPOSITORY, blob));
        }
        for image in &self.images {
            let path = client::manifest(REPOSITORY, &image.digest.to_string());
            let answer = self.ask(self.client.get(&path));
            expect(&answer, 200);
            assert!(answer.body == image.manifest, "a manifest has other bytes");
        }
    }

    #[track_caller]
    pub(crate) fn is_clean(&self) {
        assert_eq!(verify::fsck(&self.server), Vec::<String>::new());
        assert_eq!(verify::panics(&self.server.log()), Vec::<String>::new());
    }
}

#[track_caller]
pub(crate) fn expect(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.told());
}

/// The files in a folder of the store, by their names.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let name = |path: PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
    verify::files(folder).into_iter().filter_map(name).collect()
}
