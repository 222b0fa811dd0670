//! Blobs whose bytes go, or become others, while the server runs.

use std::{fs, os::unix::fs::FileExt, path::PathBuf};

use landfall_oci::Digest;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    client,
    content::Image,
    shop::{REPOSITORY, Shop, expect, names},
    verify,
};
use crate::server::Options;

/// A server with an image, on a directory of its own.
struct Damaged {
    shop: Shop,
    image: Image,
    folder: TempDir,
}

impl Damaged {
    fn new() -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let options = Options::default().set("LANDFALL_GC_INTERVAL", "0");
        let mut shop = Shop::open(&folder.path().join("data"), &options);
        let image = shop.push_image(10, "1.0");
        Self {
            shop,
            image,
            folder,
        }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("data/blobs")
    }

    /// The file of a blob.
    fn file(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let files = verify::files(&self.store().join("blobs"));
        let of = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&hex))
        };
        files.into_iter().find(of).expect("the file of the blob")
    }

    /// Runs `fsck`, and tells whether it was content, and what it found.
    fn fsck(&self, more: &[&str]) -> (bool, Value) {
        let words = ["fsck", "--output", "json"].iter().chain(more);
        let output = self.shop.server.landfall(words);
        let run: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.success(), run["report"].clone())
    }

    /// The blob answers as if it were not there, and the next push heals it.
    fn heals(&mut self, index: usize) {
        let blob = self.image.blobs[index];
        let path = client::blob(REPOSITORY, &blob.digest);
        let head = self.shop.client.head(&path);
        expect(&self.shop.ask(head), 404);
        expect(&self.shop.get(&blob.digest), 404);
        // The image can still be seen, and does not take its tag along.
        assert_eq!(self.shop.status(&client::manifest(REPOSITORY, "1.0")), 200);
        // A manifest can't refer to it meanwhile.
        let other = Image::new(self.image.blobs[0], &self.image.blobs);
        expect(
            &self
                .shop
                .ask(self.shop.client.push_manifest(REPOSITORY, "x", &other)),
            400,
        );
        expect(&self.shop.push(&blob), 201);
        self.shop.everything_is_there();
        self.shop.is_clean();
    }
}

#[test]
fn a_blob_whose_file_is_gone_is_404_until_it_is_pushed_again() {
    let mut damaged = Damaged::new();
    let blob = damaged.image.blobs[1];
    fs::remove_file(damaged.file(&blob.digest)).expect("removed");
    expect(&damaged.shop.get(&blob.digest), 404);
    damaged.heals(1);
}

#[test]
fn a_blob_whose_file_was_cut_is_404_until_it_is_pushed_again() {
    let mut damaged = Damaged::new();
    let blob = damaged.image.blobs[1];
    let file = fs::OpenOptions::new()
        .write(true)
        .open(damaged.file(&blob.digest));
    file.and_then(|file| file.set_len(blob.size - 1))
        .expect("cut");
    expect(&damaged.shop.get(&blob.digest), 404);
    damaged.heals(1);
}

#[test]
fn a_flipped_bit_is_found_by_fsck_and_repaired_by_the_next_push() {
    let mut damaged = Damaged::new();
    let blob = damaged.image.blobs[1];
    let path = damaged.file(&blob.digest);
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .expect("a file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, 33_333).expect("a byte");
    file.write_all_at(&[byte[0] ^ 1], 33_333).expect("written");

    // Looking only at sizes can't find it.
    assert!(damaged.fsck(&["--quick"]).0);
    let (clean, report) = damaged.fsck(&[]);
    assert!(!clean);
    assert_eq!(
        (&report["problem_count"], &report["repaired"]),
        (&1.into(), &0.into())
    );
    assert_eq!(report["problems"][0]["kind"], "blob-corrupt");
    let detail = report["problems"][0]["detail"].to_string();
    assert!(detail.contains(&blob.digest.to_string()), "{detail}");
    assert!(path.exists(), "looking changes nothing");

    let (clean, report) = damaged.fsck(&["--repair"]);
    assert!(!clean);
    assert_eq!(report["repaired"], 1);
    assert!(!path.exists());
    let quarantined = names(&damaged.store().join("quarantine"));
    assert!(quarantined.len() == 1 && quarantined[0].contains(&blob.digest.hex()));
    let (clean, report) = damaged.fsck(&[]);
    assert!(!clean, "it waits to be pushed");
    assert_eq!(report["problems"][0]["kind"], "blob-damaged");
    damaged.heals(1);
    let quarantined = names(&damaged.store().join("quarantine"));
    assert_eq!(quarantined.len(), 1, "what was damaged is left to a person");
}

#[test]
fn fsck_finds_files_that_are_gone_or_cut_and_the_next_pushes_heal_them() {
    let mut damaged = Damaged::new();
    let [_, gone, cut] = [0, 1, 2].map(|index| damaged.image.blobs[index]);
    fs::remove_file(damaged.file(&gone.digest)).expect("removed");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(damaged.file(&cut.digest));
    file.and_then(|file| file.set_len(0)).expect("cut");
    let (clean, report) = damaged.fsck(&["--quick", "--repair"]);
    assert!(!clean);
    let problems = report["problems"].as_array().expect("problems");
    let mut kinds: Vec<_> = problems
        .iter()
        .map(|problem| problem["kind"].as_str())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [Some("blob-corrupt"), Some("blob-missing")]);
    assert_eq!(report["repaired"], 2);
    expect(&damaged.shop.push(&gone), 201);
    damaged.heals(2);
}
