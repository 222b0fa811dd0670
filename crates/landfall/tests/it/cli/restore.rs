//! What `landfall restore` refuses, and that a refusal changes nothing.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{Ran, World, landfall};
use crate::{
    server::Server,
    session::{Image, Session},
};

/// A stopped server with an image, and a backup of it.
struct Saved {
    directory: tempfile::TempDir,
    file: PathBuf,
    data: PathBuf,
}

async fn saved() -> Saved {
    let world = World::start();
    world
        .session
        .push("acme/web", "v1", &Image::new(1, 2))
        .await;
    let file = world.directory.path().join("landfall.tar");
    world.run(&["backup", &file.display().to_string()]).ok();
    world
        .session
        .push("acme/web", "after", &Image::new(1, 3))
        .await;
    let World {
        server, directory, ..
    } = world;
    let data = server.data.clone();
    assert!(server.stop(), "the server did not end well");
    Saved {
        directory,
        file,
        data,
    }
}

/// Restores on a machine that has the master key.
fn restore(data: &Path, file: &Path, flags: &[&str]) -> Ran {
    let beside = file.parent().map(|folder| folder.join("data/keys/master"));
    let key = beside.and_then(|key| fs::read_to_string(key).ok());
    let (data, file) = (data.display().to_string(), file.display().to_string());
    let mut words = vec!["restore", "--data", &data, &file];
    words.extend(flags);
    let mut command = landfall(&words);
    command.env("LANDFALL_MASTER_KEY", key.unwrap_or_default());
    command.output().expect("the program runs").into()
}

/// The files of a data folder, without the lock, with what is in them.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if !path.ends_with("landfall.lock") {
            all.insert(path.clone(), fs::read(&path).expect("a file"));
        }
    }
    all
}

/// Writes a copy of the backup with another description.
fn redescribe(saved: &Saved, change: impl Fn(&mut serde_json::Value)) -> PathBuf {
    let path = saved.directory.path().join("changed.tar");
    let mut archive = tar::Archive::new(File::open(&saved.file).expect("the backup"));
    let mut changed = tar::Builder::new(File::create(&path).expect("a file"));
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its content");
        if name == Path::new("landfall-backup.json") {
            let mut description = serde_json::from_slice(&content).expect("JSON");
            change(&mut description);
            content = description.to_string().into_bytes();
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        changed
            .append_data(&mut header, &name, &content[..])
            .expect("written");
    }
    changed.finish().expect("written");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_not_touched() {
    let saved = saved().await;
    let server = Server::start(&saved.data);
    let error = restore(&saved.data, &saved.file, &["--force"]).error();
    assert!(
        error.contains("is used by another `landfall` process"),
        "{error}"
    );
    let session = Session::of(&server);
    session
        .assert_pulls("acme/web", "after", &Image::new(1, 3))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_there_is_replaced_only_by_force_and_kept_aside() {
    let saved = saved().await;
    let before = files(&saved.data);
    let error = restore(&saved.data, &saved.file, &[]).error();
    assert!(
        error.contains("landfall.db` is there already; `--force`"),
        "{error}"
    );
    assert_eq!(files(&saved.data), before);

    let printed = restore(&saved.data, &saved.file, &["--force", "--output", "json"]).json();
    assert!(
        printed["store"].is_string() && printed["created"].is_string(),
        "{printed}"
    );
    let old = before.get(&saved.data.join("landfall.db"));
    let kept = files(&saved.data).into_iter().find(|(path, _)| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("landfall.db.replaced-") && !name.contains("-wal"))
    });
    assert_eq!(kept.as_ref().map(|(_, content)| content), old);
    let server = Server::start(&saved.data);
    let session = Session::of(&server);
    session
        .assert_pulls("acme/web", "v1", &Image::new(1, 2))
        .await;
    let after = session.get("/v2/acme/web/manifests/after").await;
    assert_eq!(after.status(), 404, "it was pushed after the backup");
    let fsck = Ran::from(server.landfall(["fsck"]));
    assert_eq!(fsck.code, 0, "{fsck:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_backup_is_refused_and_leaves_nothing() {
    let saved = saved().await;
    let whole = fs::read(&saved.file).expect("the backup");
    let fresh = saved.directory.path().join("fresh");
    let broken = saved.directory.path().join("broken.tar");
    let before = files(&saved.data);
    let cuts = [
        0,
        1,
        511,
        512,
        700,
        1024,
        1536,
        2000,
        whole.len() / 2,
        whole.len() - 2048,
    ];
    for cut in cuts {
        fs::write(&broken, &whole[..cut]).expect("writable");
        for (data, flags) in [(&fresh, &[][..]), (&saved.data, &["--force"])] {
            let error = restore(data, &broken, flags).error();
            assert!(
                error.contains("is no whole backup"),
                "cut at {cut}: {error}"
            );
        }
        assert_eq!(files(&fresh), BTreeMap::new(), "cut at {cut}");
        assert_eq!(files(&saved.data), before, "cut at {cut}");
    }
    fs::write(&broken, vec![b'x'; 10_000]).expect("writable");
    let error = restore(&fresh, &broken, &[]).error();
    assert!(error.contains("is no whole backup"), "{error}");
    let error = restore(&fresh, &saved.directory.path().join("none.tar"), &[]).error();
    assert!(
        error.contains("none.tar") && error.contains("No such file"),
        "{error}"
    );

    // Bytes that are not those of a database.
    let mut garbled = whole.clone();
    garbled[2048..].fill(0x5a);
    fs::write(&broken, &garbled).expect("writable");
    restore(&fresh, &broken, &[]).error();
    assert_eq!(files(&fresh), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_newer_landfall_is_refused_with_the_way_out() {
    let saved = saved().await;
    let fresh = saved.directory.path().join("fresh");
    let newer = redescribe(&saved, |description| description["format"] = json!(2));
    let error = restore(&fresh, &newer, &[]).error();
    assert!(
        error.contains("it has the form 2") && error.contains("use a newer one"),
        "{error}"
    );
    assert_eq!(files(&fresh), BTreeMap::new());
    let same = redescribe(&saved, |_| ());
    restore(&fresh, &same, &[]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_left_alone_is_not_played_into_the_restored_database() {
    use std::os::unix::fs::PermissionsExt;
    let saved = saved().await;
    let database = saved.data.join("landfall.db");
    // As after a crash, when somebody has moved the database out of the way.
    fs::remove_file(&database).expect("removed");
    fs::write(
        saved.data.join("landfall.db-wal"),
        b"frames of another database",
    )
    .expect("log");
    assert_eq!(restore(&saved.data, &saved.file, &[]).code, 0);
    assert!(!saved.data.join("landfall.db-wal").exists());
    let mode = fs::metadata(&database)
        .expect("restored")
        .permissions()
        .mode();
    assert_eq!(
        mode & 0o777,
        0o600,
        "others may read the hashes of passwords"
    );
    let server = Server::start(&saved.data);
    let session = Session::of(&server);
    session
        .assert_pulls("acme/web", "v1", &Image::new(1, 2))
        .await;
}
