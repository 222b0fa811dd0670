//! Docker archives: unpacked, without manifests, the same each time.

use std::{fs, io::Write};

use serde_json::json;

use crate::{
    fake::Fake,
    images::{Image, MANIFEST, descriptor, digest, index, noise},
    world::{assert_says, copy, fail, refuse, request, succeed},
};

/// An image whose layers are compressed by gzip and by zstd.
fn compressed() -> (Image, Vec<Vec<u8>>) {
    let plain = vec![noise(1, 5000), noise(2, 300_000)];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain[0]).expect("written");
    let layers = vec![
        gzip.finish().expect("bytes"),
        zstd::encode_all(&plain[1][..], 3).expect("bytes"),
    ];
    let config = Image::of(plain.clone(), "amd64").config;
    let kinds = ["gzip", "zstd"];
    let entries = layers.iter().zip(kinds).map(|(layer, kind)| {
        descriptor(
            &format!("application/vnd.oci.image.layer.v1.tar+{kind}"),
            layer,
        )
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": entries.collect::<Vec<_>>(),
    });
    let manifest = manifest.to_string().into_bytes();
    (
        Image {
            config,
            layers,
            manifest,
        },
        plain,
    )
}

#[tokio::test]
async fn layers_are_unpacked_into_an_archive_and_come_out_of_it_the_same_each_time() {
    let (image, plain) = compressed();
    let (source, destination) = (Fake::start().await, Fake::start().await);
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut written = Vec::new();
    let mut digests = Vec::new();
    for name in ["a", "b"] {
        let path = folder.path().join(format!("{name}.tar"));
        let place = format!("docker-archive:{}", path.display());
        copy(&source.place("team/web:1"), &format!("{place}:web:9")).await;
        written.push(fs::read(&path).expect("an archive"));
        let report = copy(&place, &destination.place(&format!("acme/web:{name}"))).await;
        digests.push(report.images[0].digest);
    }
    assert_eq!(written[0], written[1]);
    assert_eq!(digests[0], digests[1]);
    let shelf = destination.shelf();
    for blob in plain.iter().chain([&image.config]) {
        assert!(shelf.has("acme/web", blob));
    }
    let stored = shelf.manifest("acme/web", "a").expect("a manifest");
    let stored: serde_json::Value = serde_json::from_slice(stored).expect("JSON");
    assert_eq!(stored["config"]["digest"], digest(&image.config));
    assert_eq!(stored["layers"][1]["digest"], digest(&plain[1]));
    assert_eq!(
        stored["layers"][1]["mediaType"],
        "application/vnd.oci.image.layer.v1.tar"
    );
}

#[tokio::test]
async fn a_compressed_archive_is_read_as_the_plain_one() {
    let (image, _) = compressed();
    let (source, destination) = (Fake::start().await, Fake::start().await);
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let folder = tempfile::tempdir().expect("a folder");
    let (plain, packed) = (folder.path().join("a.tar"), folder.path().join("a.tar.gz"));
    copy(
        &source.place("team/web:1"),
        &format!("docker-archive:{}", plain.display()),
    )
    .await;
    let file = fs::File::create(&packed).expect("a file");
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gzip.write_all(&fs::read(&plain).expect("an archive"))
        .expect("written");
    gzip.finish().expect("a file");
    let mut found = Vec::new();
    for path in [&plain, &packed] {
        let from = format!("docker-archive:{}", path.display());
        found.push(copy(&from, &destination.place("acme/web:1")).await.images[0].digest);
    }
    assert_eq!(found[0], found[1]);
}

#[tokio::test]
async fn an_archive_of_an_index_wants_a_platform() {
    let images = [
        Image::of(vec![noise(1, 90)], "amd64"),
        Image::of(vec![noise(2, 90)], "arm64"),
    ];
    let source = Fake::start().await;
    for image in &images {
        image.put(&mut source.shelf(), "team/web", None);
    }
    let list = index(&[(&images[0], "amd64"), (&images[1], "arm64")]);
    source
        .shelf()
        .put_manifest("team/web", Some("1"), crate::images::INDEX, &list);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.tar");
    let to = format!("docker-archive:{}", path.display());
    let error = refuse(&source.place("team/web:1"), &to).await;
    assert_says(&error, &["one platform", "`--platform`"]);
    assert_eq!(source.count("GET", "/blobs/"), 0);
    let mut wanted = request(&source.place("team/web:1"), &to);
    wanted.platform = Some("linux/arm64".parse().expect("a platform"));
    succeed(wanted).await;
    assert!(path.exists());
}

#[tokio::test]
async fn images_of_an_archive_are_chosen_by_their_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("two.tar");
    let images = [
        Image::of(vec![noise(1, 90)], "amd64"),
        Image::of(vec![noise(2, 90)], "amd64"),
    ];
    let mut tar = tar::Builder::new(fs::File::create(&path).expect("a file"));
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).expect("an entry");
    };
    let mut list = Vec::new();
    for (image, name) in images.iter().zip(["one", "two"]) {
        add(&format!("{name}.json"), &image.config);
        add(&format!("{name}/layer.tar"), &image.layers[0]);
        list.push(
            json!({ "Config": format!("{name}.json"), "Layers": [format!("{name}/layer.tar")],
            "RepoTags": [format!("example.org/{name}:1")] }),
        );
    }
    add(
        "manifest.json",
        serde_json::Value::from(list).to_string().as_bytes(),
    );
    tar.finish().expect("an archive");
    let destination = Fake::start().await;
    let from = format!("docker-archive:{}", path.display());
    let to = destination.place("acme/web");
    let error = refuse(&from, &to).await;
    assert_says(
        &error,
        &[
            "several images",
            "`example.org/one:1`",
            "`example.org/two:1`",
        ],
    );
    copy(&format!("{from}:two:1"), &to).await;
    assert!(destination.shelf().has("acme/web", &images[1].layers[0]));
    assert!(!destination.shelf().has("acme/web", &images[0].layers[0]));
    let mut wanted = request(&from, &to);
    wanted.selection.all_tags = true;
    assert_says(&fail(wanted).await, &["would both become"]);
}
