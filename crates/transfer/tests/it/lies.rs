//! A registry that lies is refused with a sentence, and nothing of the lie is
//! stored.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    fake::{Asked, Fake, Reply, part},
    images::{BIG, Image, MANIFEST, digest, index, noise},
    world::{assert_says, copy, fail, refuse, request},
};

/// A source that lies, with an image in it, and a destination.
async fn world(
    image: &Image,
    lie: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static,
) -> (Fake, Fake) {
    let (source, destination) = (Fake::lying(lie).await, Fake::start().await);
    image.put(&mut source.shelf(), "team/web", Some("1"));
    (source, destination)
}

/// What copying the image says; nothing of it may be named at the destination.
async fn refused(source: &Fake, destination: &Fake) -> String {
    let error = refuse(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    )
    .await;
    let shelf = destination.shelf();
    assert!(shelf.manifests.is_empty(), "a manifest was stored: {error}");
    let lied = shelf
        .blobs
        .iter()
        .find(|((_, name), bytes)| digest(bytes) != *name);
    assert!(lied.is_none(), "bytes of another digest were stored");
    error
}

#[tokio::test]
async fn an_honest_registry_is_copied_whole() {
    let image = Image::new(1);
    let (source, destination) = world(&image, |_| None).await;
    let report = copy(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    )
    .await;
    assert!(image.is_in(&destination.shelf(), "acme/web", "1"));
    assert_eq!(report.content.copied.count, 3);
    assert_eq!(
        report.images[0].digest.expect("a digest").to_string(),
        image.digest()
    );
}

#[tokio::test]
async fn a_layer_of_other_bytes_is_not_committed() {
    for length in [3000, BIG] {
        let image = Image::new(1);
        let wrong = noise(99, length);
        let layer = image.layers.iter().find(|layer| layer.len() == length);
        let lied = format!("/blobs/{}", digest(layer.expect("a layer")));
        let (source, destination) = world(&image, move |asked| {
            asked.is("GET", &lied).then(|| part(asked, &wrong))
        })
        .await;
        let error = refused(&source, &destination).await;
        assert_says(&error, &["gives other bytes for the blob", &source.host]);
        assert!(!destination.shelf().has("acme/web", layer.expect("a layer")));
        assert_eq!(
            destination.count("PUT", &digest(layer.expect("a layer"))),
            0
        );
    }
}

#[tokio::test]
async fn a_layer_of_another_size_is_refused_before_it_is_read() {
    let image = Image::new(1);
    let lied = format!("/blobs/{}", digest(&image.layers[1]));
    let (source, destination) = world(&image, move |asked| {
        asked
            .is("GET", &lied)
            .then(|| part(asked, &noise(7, BIG + 1)))
    })
    .await;
    let error = refused(&source, &destination).await;
    assert_says(&error, &["has 700001 bytes", "its manifest says 700000"]);
}

#[tokio::test]
async fn a_body_without_an_end_is_cut_at_its_size() {
    let image = Image::new(1);
    let lied = format!("/blobs/{}", digest(&image.layers[0]));
    let (source, destination) = world(&image, move |asked| {
        asked.is("GET", &lied).then(|| Reply {
            is_endless: true,
            ..Reply::new(200)
        })
    })
    .await;
    let error = refused(&source, &destination).await;
    assert_says(&error, &["sends more than the 3000 bytes"]);
}

#[tokio::test]
async fn a_manifest_of_another_digest_is_refused() {
    let image = Image::new(1);
    let other = Image::new(2);
    let listed = index(&[(&image, "amd64")]);
    let lied = format!("/manifests/{}", image.digest());
    let (source, destination) = world(&image, move |asked| {
        asked.is("GET", &lied).then(|| {
            Reply::new(200)
                .with("Content-Type", MANIFEST)
                .body(other.manifest.clone())
        })
    })
    .await;
    source
        .shelf()
        .put_manifest("team/web", Some("1"), crate::images::INDEX, &listed);
    let error = refused(&source, &destination).await;
    assert_says(
        &error,
        &["gives other bytes for the manifest", &image.digest()],
    );
}

#[tokio::test]
async fn a_tag_whose_header_names_another_digest_is_refused() {
    let image = Image::new(1);
    let told = digest(b"something else");
    let bytes = image.manifest.clone();
    let (source, destination) = world(&image, move |asked| {
        asked.is("GET", "/manifests/1").then(|| {
            Reply::new(200)
                .with("Content-Type", MANIFEST)
                .with("Docker-Content-Digest", &told)
                .body(bytes.clone())
        })
    })
    .await;
    let error = refused(&source, &destination).await;
    assert_says(&error, &["gives other bytes for the manifest"]);
}

#[tokio::test]
async fn a_manifest_of_another_type_than_announced_is_refused() {
    let image = Image::new(1);
    let bytes = image.manifest.clone();
    let (source, destination) = world(&image, move |asked| {
        asked.is("GET", "/manifests/1").then(|| {
            Reply::new(200)
                .with("Content-Type", crate::images::INDEX)
                .body(bytes.clone())
        })
    })
    .await;
    let error = refused(&source, &destination).await;
    assert_says(&error, &["`Content-Type`", "manifest"]);
}

#[tokio::test]
async fn a_giant_manifest_is_not_read() {
    let image = Image::new(1);
    let (source, destination) = world(&image, |asked| {
        asked.is("GET", "/manifests/1").then(|| Reply {
            is_endless: true,
            ..Reply::new(200).with("Content-Type", MANIFEST)
        })
    })
    .await;
    let error = refused(&source, &destination).await;
    assert_says(&error, &["more than 65536 bytes", "team/web:1"]);
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let image = Image::new(1);
    let (source, destination) = world(&image, |asked| {
        asked
            .is("GET", "/blobs/")
            .then(|| Reply::new(307).with("Location", &asked.path))
    })
    .await;
    let error = refused(&source, &destination).await;
    assert_says(&error, &["redirects more than 3 times"]);
}

#[tokio::test]
async fn a_redirect_to_no_web_address_is_refused() {
    let image = Image::new(1);
    let (source, destination) = world(&image, |asked| {
        asked
            .is("GET", "/blobs/")
            .then(|| Reply::new(307).with("Location", "file:///etc/passwd"))
    })
    .await;
    let error = refused(&source, &destination).await;
    assert_says(&error, &["sends us to `file://"]);
}

#[tokio::test]
async fn a_catalog_that_goes_in_a_circle_ends() {
    let image = Image::new(1);
    let (source, destination) = world(&image, |asked| {
        asked.is("GET", "/_catalog").then(|| {
            Reply::new(200)
                .with("Link", "</v2/_catalog?last=a>; rel=\"next\"")
                .body(r#"{"repositories":["team/web"]}"#)
        })
    })
    .await;
    let error = refuse(&source.place("*"), &destination.place("")).await;
    assert_says(&error, &["lists its catalog in a circle"]);
}

#[tokio::test]
async fn a_catalog_without_an_end_is_left() {
    let image = Image::new(1);
    let page = Arc::new(AtomicUsize::new(0));
    let (source, destination) = world(&image, move |asked| {
        asked.is("GET", "/_catalog").then(|| {
            let page = page.fetch_add(1, Ordering::Relaxed);
            Reply::new(200)
                .with("Link", format!("</v2/_catalog?last=r{page}>; rel=\"next\""))
                .body(format!(r#"{{"repositories":["team/r{page}"]}}"#))
        })
    })
    .await;
    let error = refuse(&source.place("*"), &destination.place("")).await;
    assert_says(&error, &["on more pages than are taken"]);
}

#[tokio::test]
async fn names_that_are_none_are_refused() {
    let image = Image::new(1);
    let (source, destination) = world(&image, |asked| {
        asked
            .is("GET", "/tags/list")
            .then(|| Reply::new(200).body(r#"{"tags":["../../escape"]}"#))
    })
    .await;
    let mut wanted = request(&source.place("team/web"), &destination.place("acme/web"));
    wanted.selection.all_tags = true;
    assert_says(
        &fail(wanted).await,
        &["lists a tag of `team/web` that can't be one"],
    );
}

#[tokio::test]
async fn a_destination_that_stores_something_else_is_noticed() {
    let image = Image::new(1);
    let source = Fake::start().await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let other = digest(b"other");
    let destination = Fake::lying(move |asked| {
        asked
            .is("PUT", "/manifests/")
            .then(|| Reply::new(201).with("Docker-Content-Digest", &other))
    })
    .await;
    let error = refuse(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    )
    .await;
    assert_says(&error, &[&destination.host, "stored the manifest"]);
}
