//! A disk that takes no writes: pulls go on, pushes are told to come later.

use tempfile::TempDir;

use super::{
    client,
    content::Blob,
    mounts::{FailingDisk, SmallDisk},
    shop::{REPOSITORY, Shop, expect},
};
use crate::server::Options;

fn options() -> Options {
    Options::default().set("LANDFALL_GC_INTERVAL", "0")
}

#[test]
fn with_read_only_blobs_pulls_go_on_and_pushes_get_503_until_they_are_writable_again() {
    let folder = TempDir::new().expect("a scratch folder");
    let disk = SmallDisk::mount(&folder.path().join("disk"), 32 << 20);
    let url = format!("file://{}", folder.path().join("disk/store").display());
    let options = options().set("LANDFALL_BLOBS_URL", &url);
    let mut shop = Shop::open(&folder.path().join("data"), &options);
    let image = shop.push_image(10, "before");
    let blob = Blob::new(20, 50_000);
    let (begun, path) = shop.ask(shop.client.start_upload(REPOSITORY));
    expect(&begun, 202);
    expect(
        &shop.ask(shop.client.patch(&path, 0, blob.part(0, 20_000))),
        202,
    );
    shop.says_ready(200);

    disk.set_read_only(true);
    shop.says_ready(503);
    assert_eq!(shop.status("/healthz"), 200);
    shop.everything_is_there();
    let refused = shop.push(&Blob::new(30, 3_000_000));
    expect(&refused, 503);
    assert!(
        refused.told().contains("can't be written"),
        "{}",
        refused.told()
    );
    let part = blob.part(20_000, 40_000);
    expect(&shop.ask(shop.client.patch(&path, 20_000, part)), 503);
    let rest = blob.part(20_000, 50_000);
    expect(
        &shop.ask(shop.client.finish(&path, &blob.digest, rest)),
        503,
    );
    // What needs no bytes is taken.
    expect(
        &shop.ask(shop.client.push_manifest(REPOSITORY, "other", &image)),
        201,
    );

    disk.set_read_only(false);
    shop.says_ready(200);
    let stands = shop.ask(shop.client.get(&path));
    expect(&stands, 204);
    assert_eq!(stands.received(), 20_000);
    let rest = blob.part(20_000, 50_000);
    expect(
        &shop.ask(shop.client.finish(&path, &blob.digest, rest)),
        201,
    );
    shop.blobs.push(blob);
    shop.push_image(40, "after");
    shop.everything_is_there();
    shop.is_clean();
}

#[test]
fn on_a_disk_that_the_kernel_gave_up_pulls_go_on_and_a_restart_has_everything() {
    let folder = TempDir::new().expect("a scratch folder");
    let disk = FailingDisk::mount(&folder.path().join("disk"));
    let mut shop = Shop::open(&folder.path().join("disk/data"), &options());
    let image = shop.push_image(10, "before");
    let blob = Blob::new(20, 50_000);
    let (begun, path) = shop.ask(shop.client.start_upload(REPOSITORY));
    expect(&begun, 202);
    expect(
        &shop.ask(shop.client.patch(&path, 0, blob.part(0, 20_000))),
        202,
    );

    disk.come_to_grief();
    shop.says_ready(503);
    assert_eq!(shop.status("/healthz"), 200);
    shop.everything_is_there();
    expect(&shop.push(&Blob::new(30, 1000)), 503);
    expect(
        &shop.ask(shop.client.push_manifest(REPOSITORY, "other", &image)),
        503,
    );
    expect(&shop.ask(shop.client.start_upload(REPOSITORY)).0, 503);
    let part = blob.part(20_000, 40_000);
    expect(&shop.ask(shop.client.patch(&path, 20_000, part)), 503);
    let tag = client::manifest(REPOSITORY, "before");
    expect(&shop.ask(shop.client.delete(&tag)), 503);
    shop.everything_is_there();

    let mut shop = shop.reopen(&options(), || {
        disk.unmount();
        disk.mount_again();
    });
    shop.everything_is_there();
    assert_eq!(shop.status(&tag), 200);
    let stands = shop.ask(shop.client.get(&path));
    expect(&stands, 204);
    assert_eq!(stands.received(), 20_000);
    let rest = blob.part(20_000, 50_000);
    expect(
        &shop.ask(shop.client.finish(&path, &blob.digest, rest)),
        201,
    );
    shop.blobs.push(blob);
    shop.push_image(40, "after");
    shop.everything_is_there();
    shop.is_clean();
    shop.server.kill();
}
