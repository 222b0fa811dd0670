//! `landfall backup`, while pushes go on, and back into a fresh folder.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{World, assert_narrow, landfall};
use crate::{
    server::{Options, Server},
    session::{Image, Session},
};

/// The metadata of a backup and the blobs of the old folder make a server.
fn restore(file: &Path, data: &Path, blobs: &Path) -> (String, Server) {
    let file = file.display().to_string();
    let data_flag = data.display().to_string();
    let key = blobs.with_file_name("keys").join("master");
    std::fs::create_dir_all(data.join("keys")).expect("a folder");
    std::fs::copy(key, data.join("keys/master")).expect("the master key");
    let ran = landfall(&["restore", "--data", &data_flag, &file])
        .output()
        .expect("it runs");
    let printed = super::Ran::from(ran).ok();
    let blobs = format!("file://{}", blobs.display());
    let options = Options::default().set("LANDFALL_BLOBS_URL", &blobs);
    (printed, Server::start_with(data, &options))
}

/// Pushes images one after the other until it is told to stop; `pushed` counts
/// those that were acknowledged.
async fn push_on(session: Session, stop: Arc<AtomicBool>, pushed: Arc<AtomicU64>) {
    while !stop.load(Ordering::SeqCst) {
        let number = pushed.load(Ordering::SeqCst);
        let tag = format!("v{number}");
        session.push("acme/web", &tag, &Image::new(1, number)).await;
        pushed.fetch_add(1, Ordering::SeqCst);
    }
}

async fn wait_for(pushed: &AtomicU64, count: u64) {
    while pushed.load(Ordering::SeqCst) < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_in_the_middle_of_pushes_holds_all_that_was_acknowledged_before() {
    let world = World::start();
    let (stop, pushed) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let pushing = tokio::spawn(push_on(
        world.session.clone(),
        Arc::clone(&stop),
        Arc::clone(&pushed),
    ));
    wait_for(&pushed, 10).await;
    let before = pushed.load(Ordering::SeqCst);
    let file = world.directory.path().join("landfall.tar");
    let path = file.display().to_string();
    let printed = tokio::task::block_in_place(|| world.run(&["backup", &path])).ok();
    assert!(printed.starts_with(&format!("saved {path} (")), "{printed}");
    wait_for(&pushed, before + 10).await;
    stop.store(true, Ordering::SeqCst);
    pushing.await.expect("no push failed");
    assert!(!file.with_extension("partial").exists());

    let World {
        server, directory, ..
    } = world;
    let blobs = server.data.join("blobs");
    assert!(server.stop(), "the server did not end well");
    let (printed, server) = restore(&file, &directory.path().join("fresh"), &blobs);
    assert!(printed.contains("`landfall fsck`"), "{printed}");
    let session = Session::of(&server);
    for number in 0..before {
        session
            .assert_pulls("acme/web", &format!("v{number}"), &Image::new(1, number))
            .await;
    }
    let fsck = super::Ran::from(server.landfall(["fsck"]));
    assert_eq!(fsck.code, 0, "{fsck:?}");
    // It is a registry like any other: what was lost is pushed again.
    let last = pushed.load(Ordering::SeqCst) - 1;
    session
        .push("acme/web", "again", &Image::new(1, last))
        .await;
    session
        .assert_pulls("acme/web", "again", &Image::new(1, last))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_to_a_file_or_to_standard_output_and_spoils_nothing_when_it_fails() {
    let world = World::start();
    world
        .session
        .push("acme/web", "v1", &Image::new(1, 2))
        .await;
    let file = world.directory.path().join("landfall.tar");
    let path = file.display().to_string();
    let printed = world.run(&["backup", &path]).ok();
    assert_narrow(&printed.replace(&path, "landfall.tar"));
    let saved = std::fs::read(&file).expect("the backup");
    let mode = std::os::unix::fs::MetadataExt::mode(&file.metadata().expect("the backup"));
    assert_eq!(mode & 0o777, 0o600, "it holds password hashes");

    let json = world.run(&["backup", &path, "--output", "json"]).json();
    assert_eq!(json["file"], path.as_str());
    assert_eq!(
        json["size"],
        std::fs::metadata(&file).expect("the backup").len()
    );

    let piped = world.server.landfall(["backup", "-"]);
    assert!(piped.status.success());
    assert_eq!(
        tar::Archive::new(&piped.stdout[..])
            .entries()
            .expect("entries")
            .count(),
        2
    );

    let error = world.run(&["backup", "/nowhere/landfall.tar"]).error();
    assert!(
        error.contains("`/nowhere/landfall.tar` can't be written"),
        "{error}"
    );
    let words = ["backup", &path, "--server", "http://127.0.0.1:1"];
    let before = std::fs::read(&file).expect("the backup");
    super::alone(&words).error();
    assert_eq!(std::fs::read(&file).expect("the backup"), before);
    assert_eq!(saved.len(), before.len());
}
