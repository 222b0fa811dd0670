//! A push sends what is missing, and again what was collected meanwhile.

use std::time::Duration;

use landfall_load::{
    content::digest,
    images::Image,
    push::{self, Options},
    upload,
    wire::Connection,
};

use crate::registry::{Faults, Registry};

#[test]
fn images_differ_by_seed_and_manifests_by_note() {
    let manifest = |seed, note| Image::new(seed).manifest(note).digest;
    assert_eq!(manifest(1, "a"), manifest(1, "a"));
    assert_ne!(manifest(1, "a"), manifest(1, "b"));
    assert_ne!(manifest(1, "a"), manifest(2, "a"));
}

#[test]
fn a_blob_that_is_there_is_not_sent_again() {
    let registry = Registry::start(Faults::default());
    let mut connection = Connection::open(registry.address, None).unwrap();
    let image = Image::new(3);
    assert_eq!(image.push(&mut connection, "a/b", "one").unwrap(), 0);
    assert_eq!(image.push(&mut connection, "a/b", "two").unwrap(), 0);
    assert_eq!(registry.blobs(), 3);
}

#[test]
fn blobs_that_were_collected_before_their_image_came_are_sent_again() {
    let registry = Registry::start(Faults {
        lost_blobs: 2,
        ..Faults::default()
    });
    let mut connection = Connection::open(registry.address, None).unwrap();
    assert_eq!(Image::new(3).push(&mut connection, "a/b", "t").unwrap(), 2);
    assert_eq!(registry.blobs(), 3);
}

#[test]
fn pushes_are_counted_while_they_last() {
    let registry = Registry::start(Faults::default());
    let report = push::run(&Options {
        server: registry.address,
        authorization: None,
        prefix: "a/b".to_owned(),
        repositories: 3,
        clients: 4,
        warm_up: 10,
        duration: Duration::from_millis(100),
        process: None,
    })
    .unwrap();
    assert!(report.pushes > 0, "{report:?}");
    let all = registry.blobs() as u64 / 3;
    assert!(report.pushes <= all - 10, "{report:?} of {all}");
    assert!(report.latency.p50_us > 0.0, "{report:?}");
}

#[test]
fn large_blobs_arrive_whole() {
    let registry = Registry::start(Faults::default());
    let (report, digests) = upload::run(&upload::Options {
        server: registry.address,
        authorization: None,
        repository: "a/b".to_owned(),
        size: 2 << 20,
        blobs: 2,
        piece: 100_000,
        process: None,
        seed: Some(5),
    })
    .unwrap();
    assert_eq!(report.bytes, 4 << 20);
    let mut connection = Connection::open(registry.address, None).unwrap();
    for stored in digests {
        let path = format!("/v2/a/b/blobs/{stored}");
        assert_eq!(
            connection.ask("HEAD", &path, None, b"").unwrap().status,
            200
        );
        assert_ne!(stored, digest(b""));
    }
}
