//! Layouts and directories, written and read back.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    fake::{Fake, Reply},
    images::{Image, digest},
    world::{assert_says, copy, fail, refuse, request, run, succeed},
};

async fn source(tags: &[(&str, u64)]) -> Fake {
    let source = Fake::start().await;
    for (tag, seed) in tags {
        Image::new(*seed).put(&mut source.shelf(), "team/web", Some(tag));
    }
    source
}

fn index(layout: &Path) -> Value {
    let bytes = fs::read(layout.join("index.json")).expect("an index");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The names in a layout and their digests.
fn names(layout: &Path) -> Vec<(String, String)> {
    let index = index(layout);
    let entries = index["manifests"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    entries
        .map(|entry| {
            let name = &entry["annotations"]["org.opencontainers.image.ref.name"];
            (text(name), text(&entry["digest"]))
        })
        .collect()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn images_are_added_to_a_layout_and_moved_in_it() {
    let source = source(&[("1", 1), ("2", 2)]).await;
    let folder = folder();
    let layout = folder.path().join("new/layout");
    let to = format!("oci:{}", layout.display());
    let mut wanted = request(&source.place("team/web"), &to);
    wanted.selection.all_tags = true;
    succeed(wanted).await;
    let expected = |names: [(&str, u64); 2]| {
        names
            .map(|(name, seed)| (name.to_owned(), Image::new(seed).digest()))
            .to_vec()
    };
    let mut found = names(&layout);
    found.sort();
    assert_eq!(found, expected([("1", 1), ("2", 2)]));
    copy(&source.place("team/web:2"), &format!("{to}:1")).await;
    found = names(&layout);
    found.sort();
    assert_eq!(found, expected([("1", 2), ("2", 2)]));
    let destination = Fake::start().await;
    copy(&format!("{to}:1"), &destination.place("acme/web:back")).await;
    assert!(Image::new(2).is_in(&destination.shelf(), "acme/web", "back"));
}

#[tokio::test]
async fn what_an_index_says_besides_stays() {
    let source = source(&[("1", 1)]).await;
    let folder = folder();
    let text = r#"{"schemaVersion":2,"annotations":{"a":"b"},"x-own":[1],"manifests":[]}"#;
    fs::write(folder.path().join("index.json"), text).expect("a file");
    fs::write(
        folder.path().join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .expect("one");
    copy(
        &source.place("team/web:1"),
        &format!("oci:{}", folder.path().display()),
    )
    .await;
    let index = index(folder.path());
    assert_eq!(
        (&index["annotations"]["a"], &index["x-own"][0]),
        (&"b".into(), &1.into())
    );
    assert_eq!(names(folder.path()).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_into_one_layout_at_once_keep_each_others_images() {
    let tags: Vec<(String, u64)> = (0..8).map(|seed| (format!("t{seed}"), seed)).collect();
    let named: Vec<(&str, u64)> = tags
        .iter()
        .map(|(tag, seed)| (tag.as_str(), *seed))
        .collect();
    let source = source(&named).await;
    let folder = folder();
    let to = format!("oci:{}/layout", folder.path().display());
    let copies = tags.iter().map(|(tag, _)| {
        let wanted = request(&source.place(&format!("team/web:{tag}")), &to);
        tokio::spawn(run(wanted))
    });
    for copy in copies.collect::<Vec<_>>() {
        let report = copy.await.expect("it ends").expect("a plan");
        assert_eq!(
            report.count(landfall_transfer::Outcome::Copied),
            1,
            "{report:?}"
        );
    }
    assert_eq!(names(&folder.path().join("layout")).len(), 8);
}

#[tokio::test]
async fn a_copy_that_fails_leaves_the_layout_as_it_was() {
    let source = Fake::lying(|asked| {
        let layer = digest(&Image::new(2).layers[1]);
        asked.is("GET", &layer).then(|| Reply::new(404))
    })
    .await;
    for seed in [1, 2] {
        Image::new(seed).put(&mut source.shelf(), "team/web", Some(&seed.to_string()));
    }
    let folder = folder();
    let layout = folder.path().join("layout");
    let to = format!("oci:{}", layout.display());
    copy(&source.place("team/web:1"), &to).await;
    let before = index(&layout);
    let error = refuse(&source.place("team/web:2"), &format!("{to}:1")).await;
    assert_says(&error, &["does not have the blob"]);
    assert_eq!(index(&layout), before);
    let manifest = Image::new(2).digest().replace("sha256:", "blobs/sha256/");
    assert!(!layout.join(manifest).exists());
}

#[tokio::test]
async fn a_directory_and_an_archive_appear_whole_or_not_at_all() {
    let source = source(&[("1", 1)]).await;
    let broken = Fake::lying(|asked| {
        let layer = digest(&Image::new(1).layers[1]);
        asked.is("GET", &layer).then(|| Reply::new(404))
    })
    .await;
    Image::new(1).put(&mut broken.shelf(), "team/web", Some("1"));
    let destination = Fake::start().await;
    for form in ["dir", "oci-archive", "docker-archive"] {
        let folder = folder();
        let path = folder.path().join("result");
        let to = format!("{form}:{}", path.display());
        refuse(&broken.place("team/web:1"), &to).await;
        assert!(!path.exists(), "{form} is there and not whole");
        let report = copy(&source.place("team/web:1"), &to).await;
        assert!(path.exists(), "{form}");
        assert!(
            report.content.skipped.bytes > 0,
            "{form} began anew: {report:?}"
        );
        let left: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
        assert_eq!(left.len(), 1, "{form} left something: {left:?}");
        // What is there is not overwritten.
        let error = refuse(&source.place("team/web:1"), &to).await;
        assert_says(&error, &["is there already"]);
        let tag = destination.place(&format!("acme/web:{form}"));
        copy(&to, &tag).await;
        if form != "docker-archive" {
            assert!(Image::new(1).is_in(&destination.shelf(), "acme/web", form));
        }
    }
}

#[tokio::test]
async fn a_second_copy_into_an_archive_at_once_is_refused() {
    let source = source(&[("1", 1)]).await;
    let folder = folder();
    let to = format!("dir:{}/one", folder.path().display());
    let first = landfall_transfer::plan(request(&source.place("team/web:1"), &to)).await;
    let first = first.expect("a plan");
    let error = fail(request(&source.place("team/web:1"), &to)).await;
    assert_says(&error, &["another copy is writing"]);
    drop(first);
    copy(&source.place("team/web:1"), &to).await;
}

#[tokio::test]
async fn an_image_without_a_clear_name_is_asked_for() {
    let source = source(&[("1", 1), ("2", 2)]).await;
    let folder = folder();
    let to = format!("oci:{}", folder.path().display());
    let mut wanted = request(&source.place("team/web"), &to);
    wanted.selection.all_tags = true;
    succeed(wanted).await;
    let destination = Fake::start().await;
    let error = refuse(&to, &destination.place("acme/web")).await;
    assert_says(&error, &["several images", "`1`", "`2`"]);
    let error = refuse(&format!("{to}:3"), &destination.place("acme/web")).await;
    assert_says(&error, &["no image `3`", "it has"]);
    let mut wanted = request(&to, &destination.place("acme/web"));
    wanted.selection.all_tags = true;
    succeed(wanted).await;
    assert!(Image::new(2).is_in(&destination.shelf(), "acme/web", "2"));
}

/// Where a layout has a blob or a manifest.
fn blob(layout: &Path, bytes: &[u8]) -> PathBuf {
    layout.join(digest(bytes).replace("sha256:", "blobs/sha256/"))
}

#[tokio::test]
async fn what_a_layout_has_under_a_digest_is_not_trusted_by_its_length() {
    let source = source(&[("1", 1)]).await;
    let image = Image::new(1);
    let folder = folder();
    let layout = folder.path().join("layout");
    let to = format!("oci:{}", layout.display());
    copy(&source.place("team/web:1"), &to).await;
    let files = [&image.layers[1], &image.config, &image.manifest];
    for bytes in files {
        fs::write(blob(&layout, bytes), vec![b'x'; bytes.len()]).expect("a file");
    }
    let report = copy(&source.place("team/web:1"), &to).await;
    for bytes in files {
        let found = fs::read(blob(&layout, bytes)).expect("a file");
        assert!(found == *bytes, "{} stays wrong", digest(bytes));
    }
    assert_eq!(
        (report.content.copied.count, report.content.skipped.count),
        (2, 1),
        "{report:?}"
    );
}

#[tokio::test]
async fn what_an_interrupted_archive_has_left_is_not_trusted_by_its_length() {
    let image = Image::new(1);
    let broken = Fake::lying(|asked| {
        let layer = digest(&Image::new(1).layers[1]);
        asked.is("GET", &layer).then(|| Reply::new(404))
    })
    .await;
    image.put(&mut broken.shelf(), "team/web", Some("1"));
    let source = source(&[("1", 1)]).await;
    let folder = folder();
    let path = folder.path().join("result");
    let to = format!("dir:{}", path.display());
    refuse(&broken.place("team/web:1"), &to).await;
    let hidden = folder.path().join(".result.landfall-partial");
    let mode = fs::metadata(&hidden).expect("a folder").mode();
    assert_eq!(mode & 0o777, 0o700);
    let left = blob(&hidden, &image.layers[0]);
    assert!(left.exists(), "the small layer was not kept");
    fs::write(left, vec![b'x'; image.layers[0].len()]).expect("a file");
    // A folder of our own that was open to others is closed.
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o777)).expect("ours");
    refuse(&broken.place("team/web:1"), &to).await;
    let mode = fs::metadata(&hidden).expect("a folder").mode();
    assert_eq!(mode & 0o777, 0o700);
    copy(&source.place("team/web:1"), &to).await;
    let hex = digest(&image.layers[0]).replace("sha256:", "");
    assert!(fs::read(path.join(hex)).expect("a layer") == image.layers[0]);
}

#[tokio::test]
async fn a_hidden_folder_of_another_user_is_refused() {
    let source = source(&[("1", 1)]).await;
    let folder = folder();
    for (form, hidden) in [
        ("dir", ".result.landfall-partial"),
        ("oci", "result/.landfall-partial"),
    ] {
        let path = folder.path().join("result");
        let hidden = folder.path().join(hidden);
        fs::create_dir_all(&hidden).expect("a folder");
        if chown(&hidden, Some(65_534), None).is_err() {
            // Only root can give a folder away.
            return;
        }
        let to = format!("{form}:{}", path.display());
        let error = refuse(&source.place("team/web:1"), &to).await;
        assert_says(&error, &["belongs to another user", ".landfall-partial"]);
        let inside = fs::read_dir(&hidden).expect("a folder").count();
        assert_eq!(inside, 0, "{form} wrote into it");
    }
}
