//! A full disk: 507, nothing lost, nothing left behind, and on it goes when
//! there is space again.

use std::collections::BTreeSet;

use tempfile::TempDir;

use super::{
    content::{Blob, Image},
    mounts::SmallDisk,
    shop::{REPOSITORY, Shop, expect, names},
};
use crate::server::Options;

const LARGE: u64 = 5_000_000;

fn options() -> Options {
    Options::default().set("LANDFALL_GC_INTERVAL", "0")
}

/// The bytes that lie in the store are those of the blobs that were
/// acknowledged.
#[track_caller]
fn nothing_is_left_behind(shop: &Shop, store: &std::path::Path) {
    let stored = names(&store.join("blobs"));
    let stored: BTreeSet<&str> = stored
        .iter()
        .filter_map(|name| name.split('.').next())
        .collect();
    let known: Vec<String> = shop.blobs.iter().map(|blob| blob.digest.hex()).collect();
    let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    assert_eq!(stored, known);
    assert_eq!(names(&store.join("staging")), Vec::<String>::new());
}

#[test]
fn a_full_disk_of_blobs_answers_507_and_takes_pushes_again_when_there_is_space() {
    let folder = TempDir::new().expect("a scratch folder");
    let disk = SmallDisk::mount(&folder.path().join("disk"), 16 << 20);
    let store = folder.path().join("disk/store");
    let url = format!("file://{}", store.display());
    let options = options().set("LANDFALL_BLOBS_URL", &url);
    let mut shop = Shop::open(&folder.path().join("data"), &options);
    let image = shop.push_image(10, "before");
    let (begun, path) = shop.ask(shop.client.start_upload(REPOSITORY));
    expect(&begun, 202);
    let chunked = Blob::new(20, LARGE);
    expect(
        &shop.ask(shop.client.patch(&path, 0, chunked.part(0, 1_000_000))),
        202,
    );

    // Space for some of them.
    let seeds = 100..110;
    let refused = seeds.clone().find(|seed| {
        let answer = shop.push(&Blob::new(*seed, LARGE));
        if answer.status != 201 {
            expect(&answer, 507);
            assert!(answer.told().contains("full"), "{}", answer.told());
        }
        answer.status != 201
    });
    assert!(
        refused.is_some_and(|seed| seed > seeds.start),
        "{refused:?}"
    );
    let ballast = disk.fill();
    expect(&shop.push(&Blob::new(30, 8_000)), 507);
    let answer = shop.ask(
        shop.client
            .patch(&path, 1_000_000, chunked.part(1_000_000, 3_000_000)),
    );
    expect(&answer, 507);
    let known = shop.ask(shop.client.push_manifest(REPOSITORY, "full", &image));
    expect(&known, 201);
    shop.says_ready(503);
    shop.everything_is_there();

    drop(ballast);
    shop.says_ready(200);
    let stands = shop.ask(shop.client.get(&path));
    expect(&stands, 204);
    let at = stands.received();
    assert!(at >= 1_000_000, "acknowledged bytes are gone: {at}");
    expect(&shop.ask(shop.client.delete(&path)), 204);
    nothing_is_left_behind(&shop, &store);
    expect(&shop.push(&Blob::new(30, 8_000)), 201);
    shop.push_image(40, "after");
    shop.everything_is_there();
    nothing_is_left_behind(&shop, &store);
    shop.is_clean();
    let shop = shop.reopen(&options, || {});
    shop.everything_is_there();
    shop.is_clean();
}

#[test]
fn an_upload_that_met_a_full_disk_goes_on_when_there_is_space() {
    let folder = TempDir::new().expect("a scratch folder");
    let disk = SmallDisk::mount(&folder.path().join("disk"), 16 << 20);
    let mut shop = Shop::open(&folder.path().join("disk/data"), &options());
    let blob = Blob::new(20, LARGE);
    let (begun, path) = shop.ask(shop.client.start_upload(REPOSITORY));
    expect(&begun, 202);
    expect(
        &shop.ask(shop.client.patch(&path, 0, blob.part(0, 1_000_000))),
        202,
    );
    let ballast = disk.fill();
    let answer = shop.ask(
        shop.client
            .patch(&path, 1_000_000, blob.part(1_000_000, 3_000_000)),
    );
    expect(&answer, 507);
    let rest = blob.part(1_000_000, LARGE);
    expect(
        &shop.ask(shop.client.finish(&path, &blob.digest, rest)),
        507,
    );
    drop(ballast);
    let stands = shop.ask(shop.client.get(&path));
    expect(&stands, 204);
    assert!(
        stands.received() >= 1_000_000,
        "acknowledged bytes are gone"
    );
    let rest = blob.part(stands.received(), LARGE);
    expect(
        &shop.ask(shop.client.finish(&path, &blob.digest, rest)),
        201,
    );
    shop.blobs.push(blob);
    shop.everything_is_there();
    nothing_is_left_behind(&shop, &folder.path().join("disk/data/blobs"));
    shop.is_clean();
}

#[test]
fn a_full_disk_of_the_database_answers_507_and_leaves_no_bytes_behind() {
    let folder = TempDir::new().expect("a scratch folder");
    let disk = SmallDisk::mount(&folder.path().join("disk"), 6 << 20);
    let url = format!(
        "sqlite://{}",
        folder.path().join("disk/landfall.db").display()
    );
    let options = options().set("LANDFALL_DATABASE_URL", &url);
    let data = folder.path().join("data");
    let mut shop = Shop::open(&data, &options);
    shop.push_image(10, "before");
    let chunked = Blob::new(20, 50_000);
    let (begun, path) = shop.ask(shop.client.start_upload(REPOSITORY));
    expect(&begun, 202);
    expect(
        &shop.ask(shop.client.patch(&path, 0, chunked.part(0, 20_000))),
        202,
    );
    let (config, layer) = (Blob::new(30, 100), Blob::new(31, 1000));
    expect(&shop.push(&config), 201);
    expect(&shop.push(&layer), 201);

    let ballast = disk.fill();
    // The log has some space that it may use again; then there is no more.
    let mut statuses = BTreeSet::new();
    for seed in 1000..1400 {
        let answer = shop.push(&Blob::new(seed, 200));
        statuses.insert(answer.status);
        if answer.status == 507 {
            break;
        }
    }
    assert!(
        statuses.contains(&507) && statuses.is_subset(&[201, 507].into()),
        "{statuses:?}"
    );
    let layers: Vec<Blob> = std::iter::repeat_n(layer, 400).collect();
    let image = Image::new(config, &layers);
    expect(&shop.push_manifest(&image, "full"), 507);
    let part = chunked.part(20_000, 40_000);
    expect(&shop.ask(shop.client.patch(&path, 20_000, part)), 507);
    shop.everything_is_there();

    drop(ballast);
    let stands = shop.ask(shop.client.get(&path));
    expect(&stands, 204);
    assert!(stands.received() >= 20_000, "acknowledged bytes are gone");
    let rest = chunked.part(stands.received(), chunked.size);
    expect(
        &shop.ask(shop.client.finish(&path, &chunked.digest, rest)),
        201,
    );
    shop.blobs.push(chunked);
    expect(&shop.push_manifest(&image, "full"), 201);
    nothing_is_left_behind(&shop, &data.join("blobs"));
    shop.push_image(40, "after");
    shop.everything_is_there();
    shop.is_clean();
    let shop = shop.reopen(&options, || {});
    shop.everything_is_there();
    shop.is_clean();
}
