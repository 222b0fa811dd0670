//! Layouts and archives that somebody has made to hurt.

use std::{fs, io::Write, os::unix::fs::symlink, path::Path};

use tempfile::TempDir;

use crate::{
    fake::Fake,
    images::{Image, digest, noise},
    world::{access, assert_says, copy, fail, refuse, request},
};

/// A layout with an image, and a destination.
async fn world() -> (TempDir, Image, Fake) {
    let (source, destination) = (Fake::start().await, Fake::start().await);
    let image = Image::new(1);
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let folder = tempfile::tempdir().expect("a folder");
    let to = format!("oci:{}/layout", folder.path().display());
    copy(&source.place("team/web:1"), &to).await;
    (folder, image, destination)
}

fn blob(layout: &Path, bytes: &[u8]) -> std::path::PathBuf {
    layout
        .join("blobs/sha256")
        .join(digest(bytes).replace("sha256:", ""))
}

/// What a copy out of the layout says; nothing may be named at the
/// destination.
async fn refused(layout: &Path, destination: &Fake) -> String {
    let error = refuse(
        &format!("oci:{}", layout.display()),
        &destination.place("acme/web:1"),
    )
    .await;
    assert!(destination.shelf().manifests.is_empty());
    error
}

#[tokio::test]
async fn a_blob_that_is_a_link_is_not_followed() {
    let (folder, image, destination) = world().await;
    let layout = folder.path().join("layout");
    let path = blob(&layout, &image.layers[0]);
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&path, &elsewhere).expect("moved");
    symlink(&elsewhere, &path).expect("a link");
    assert_says(
        &refused(&layout, &destination).await,
        &["is no regular file", "links"],
    );
}

#[tokio::test]
async fn folders_of_a_layout_that_are_links_are_not_followed() {
    for inner in ["blobs", "blobs/sha256"] {
        let (folder, _, destination) = world().await;
        let layout = folder.path().join("layout");
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(layout.join(inner), &elsewhere).expect("moved");
        symlink(&elsewhere, layout.join(inner)).expect("a link");
        assert_says(
            &refused(&layout, &destination).await,
            &["links are not followed"],
        );
        // Nor is anything written through them.
        let source = Fake::start().await;
        Image::new(7).put(&mut source.shelf(), "a/b", Some("1"));
        let to = format!("oci:{}", layout.display());
        assert_says(
            &refuse(&source.place("a/b:1"), &to).await,
            &["links are not followed"],
        );
        let hex = digest(&Image::new(7).layers[1]).replace("sha256:", "");
        assert!(!elsewhere.join(&hex).exists() && !elsewhere.join("sha256").join(&hex).exists());
    }
}

#[tokio::test]
async fn a_pipe_is_not_waited_for() {
    let (folder, _, destination) = world().await;
    let layout = folder.path().join("layout");
    let index = layout.join("index.json");
    fs::remove_file(&index).expect("removed");
    let made = std::process::Command::new("mkfifo").arg(&index).status();
    assert!(made.expect("mkfifo").success());
    assert_says(
        &refused(&layout, &destination).await,
        &["is no regular file"],
    );
}

#[tokio::test]
async fn a_blob_of_other_bytes_is_refused() {
    let (folder, image, destination) = world().await;
    let layout = folder.path().join("layout");
    fs::write(
        blob(&layout, &image.layers[1]),
        noise(9, image.layers[1].len()),
    )
    .expect("written");
    assert_says(
        &refused(&layout, &destination).await,
        &["gives other bytes for the blob"],
    );
    fs::write(blob(&layout, &image.layers[1]), b"short").expect("written");
    assert_says(
        &refused(&layout, &destination).await,
        &["has 5 bytes", "700000 are expected"],
    );
}

#[tokio::test]
async fn indexes_that_are_none_are_refused() {
    let (folder, image, destination) = world().await;
    let layout = folder.path().join("layout");
    let entry = |extra: &str| {
        format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json",{extra}}}]}}"#
        )
    };
    let size = image.manifest.len();
    for (text, parts) in [
        ("{".to_owned(), &["`index.json`", "JSON"][..]),
        ("[".repeat(100_000), &["65536 are taken"]),
        ("[".repeat(60_000), &["levels deep"]),
        (
            entry(&format!(
                r#""digest":"sha256:../../../../etc/passwd","size":{size}"#
            )),
            &["`manifests[0].digest`"],
        ),
        (
            entry(&format!(
                r#""digest":"{}","size":{}"#,
                image.digest(),
                size + 1
            )),
            &["bytes for the manifest"],
        ),
        (
            entry(&format!(
                r#""digest":"{}","size":{size}"#,
                digest(b"absent")
            )),
            &["is not there"],
        ),
        (
            entry(&format!(r#""digest":"{}","size":{size}"#, image.digest()))
                .replace("image.manifest", "image.index"),
            &["`Content-Type`"],
        ),
        (
            r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(),
            &["has no image"],
        ),
    ] {
        fs::write(layout.join("index.json"), text).expect("written");
        assert_says(&refused(&layout, &destination).await, parts);
    }
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"2.0.0"}"#,
    )
    .expect("written");
    assert_says(&refused(&layout, &destination).await, &["version `2.0.0`"]);
    fs::remove_file(layout.join("oci-layout")).expect("removed");
    assert_says(&refused(&layout, &destination).await, &["is no OCI layout"]);
}

#[tokio::test]
async fn a_folder_of_something_else_is_not_made_a_layout() {
    let source = Fake::start().await;
    Image::new(1).put(&mut source.shelf(), "a/b", Some("1"));
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("thesis.txt"), "text").expect("written");
    let to = format!("oci:{}", folder.path().display());
    let error = refuse(&source.place("a/b:1"), &to).await;
    assert_says(&error, &["is there already, and is no OCI layout"]);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

/// Writes an archive of these entries: name, link target or nothing, content.
fn tar(path: &Path, entries: &[(&str, Option<&str>, &[u8])]) {
    let mut tar = tar::Builder::new(fs::File::create(path).expect("a file"));
    for (name, link, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        // Names that no decent program writes.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        if let Some(link) = link {
            header.set_entry_type(tar::EntryType::Symlink);
            header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        }
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append(&header, *bytes).expect("an entry");
    }
    tar.finish().expect("an archive");
}

async fn archive_refused(path: &Path) -> String {
    let destination = Fake::start().await;
    let from = format!("docker-archive:{}", path.display());
    let error = refuse(&from, &destination.place("acme/web:1")).await;
    assert!(destination.shelf().manifests.is_empty());
    error
}

#[tokio::test]
async fn archives_whose_names_lead_out_lead_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.tar");
    let list = br#"[{"Config":"../../../../etc/passwd","Layers":[]}]"#;
    tar(
        &path,
        &[
            ("../../../../etc/passwd", None, b"{}"),
            ("manifest.json", None, list),
        ],
    );
    assert_says(
        &archive_refused(&path).await,
        &["has no file `../../../../etc/passwd`"],
    );
    let list = br#"[{"Config":"c.json","Layers":[]}]"#;
    tar(
        &path,
        &[
            ("c.json", Some("/etc/passwd"), b""),
            ("manifest.json", None, list),
        ],
    );
    assert_says(&archive_refused(&path).await, &["has no file `c.json`"]);
    tar(
        &path,
        &[
            ("c.json", Some("d.json"), b""),
            ("d.json", Some("c.json"), b""),
            ("manifest.json", None, list),
        ],
    );
    assert_says(&archive_refused(&path).await, &["has no file `c.json`"]);
}

#[tokio::test]
async fn archives_that_are_none_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.tar");
    let list = br#"[{"Config":"c.json","Layers":["l.tar"]}]"#;
    let config = br#"{"rootfs":{"type":"layers","diff_ids":[]}}"#;
    tar(
        &path,
        &[
            ("manifest.json", None, b"[]"),
            ("manifest.json", None, b"[]"),
        ],
    );
    assert_says(&archive_refused(&path).await, &["more than once"]);
    tar(&path, &[("x", None, b"y")]);
    assert_says(
        &archive_refused(&path).await,
        &["no docker archive", "`manifest.json`"],
    );
    tar(&path, &[("oci-layout", None, b"{}")]);
    assert_says(&archive_refused(&path).await, &["use `oci-archive:`"]);
    tar(&path, &[("manifest.json", None, &vec![b' '; 100_000])]);
    assert_says(&archive_refused(&path).await, &["65536 are taken"]);
    tar(
        &path,
        &[("manifest.json", None, list), ("c.json", None, config)],
    );
    assert_says(&archive_refused(&path).await, &["lists 1 layers", "has 0"]);
    tar(
        &path,
        &[("manifest.json", None, list), ("c.json", None, b"[]")],
    );
    assert_says(
        &archive_refused(&path).await,
        &["none of a container image"],
    );
    let many: Vec<(&str, Option<&str>, &[u8])> = vec![("x/", None, b""); 101];
    tar(&path, &many);
    let error = archive_refused(&path).await;
    assert!(
        error.contains("more than 100 entries") || error.contains("more than once"),
        "{error}"
    );
    fs::write(&path, noise(1, 4096)).expect("written");
    assert_says(&archive_refused(&path).await, &["wrong checksum"]);
    fs::write(&path, b"").expect("written");
    assert_says(&archive_refused(&path).await, &["too short"]);
    let whole = {
        tar(&path, &[("manifest.json", None, &[b'x'; 3000])]);
        fs::read(&path).expect("an archive")
    };
    fs::write(&path, &whole[..1024]).expect("written");
    assert_says(&archive_refused(&path).await, &["ends inside of an entry"]);
}

#[tokio::test]
async fn an_archive_that_unpacks_without_end_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bomb.tar.gz");
    let file = fs::File::create(&path).expect("a file");
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    for _ in 0..5 {
        gzip.write_all(&vec![0; 1 << 20]).expect("written");
    }
    gzip.finish().expect("a file");
    assert_says(
        &archive_refused(&path).await,
        &["unpacks to more than is taken"],
    );
    fs::write(&path, [0x1f, 0x8b, 8, 0, 1, 2]).expect("written");
    assert_says(&archive_refused(&path).await, &["can't be unpacked"]);
}

#[tokio::test]
async fn a_layer_that_is_not_what_the_configuration_says_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.tar");
    let config = format!(
        r#"{{"rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        digest(b"the layer")
    );
    let list = br#"[{"Config":"c.json","Layers":["l.tar"]}]"#;
    for layer in [&b"a layer.."[..], &gzip(b"another layer")] {
        tar(
            &path,
            &[
                ("manifest.json", None, list),
                ("c.json", None, config.as_bytes()),
                ("l.tar", None, layer),
            ],
        );
        let error = archive_refused(&path).await;
        assert_says(&error, &["digest", &digest(b"the layer")]);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("written");
    gzip.finish().expect("bytes")
}

#[tokio::test]
async fn a_layer_that_unpacks_without_end_makes_no_archive() {
    let source = Fake::start().await;
    let bomb = gzip(&vec![0; 6 << 20]);
    let image = Image::of(vec![bomb], "amd64");
    image.put(&mut source.shelf(), "a/b", Some("1"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.tar");
    let mut wanted = request(
        &source.place("a/b:1"),
        &format!("docker-archive:{}", path.display()),
    );
    wanted.source_access = access();
    assert_says(&fail(wanted).await, &["unpacks to more than is taken"]);
    assert!(!path.exists());
}
