//! What breaks off goes on, and is not sent twice.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    fake::{Fake, Reply},
    images::{BIG, Image, digest, noise},
    world::{assert_says, copy, refuse, request, succeed},
};

/// Answers the first request for a blob with a half of it, and breaks off.
fn halved(bytes: Vec<u8>) -> impl Fn(&crate::fake::Asked) -> Option<Reply> + Send + Sync {
    let (path, first) = (format!("/blobs/{}", digest(&bytes)), AtomicUsize::new(0));
    move |asked| {
        let is_first = asked.is("GET", &path) && first.fetch_add(1, Ordering::Relaxed) == 0;
        is_first.then(|| Reply {
            claims: Some(bytes.len()),
            ..Reply::new(200).body(&bytes[..bytes.len() / 2])
        })
    }
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_with_a_range() {
    let image = Image::new(1);
    let source = Fake::lying(halved(image.layers[1].clone())).await;
    let destination = Fake::start().await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    copy(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    )
    .await;
    assert!(image.is_in(&destination.shelf(), "acme/web", "1"));
    let path = format!("/blobs/{}", digest(&image.layers[1]));
    let shelf = source.shelf();
    let ranges: Vec<_> = shelf
        .asked
        .iter()
        .filter(|asked| asked.is("GET", &path))
        .map(|asked| asked.headers.get("range").cloned())
        .collect();
    assert_eq!(ranges.len(), 2);
    let range = ranges[1].as_deref().expect("a range");
    let start: usize = range["bytes=".len()..range.len() - 1]
        .parse()
        .expect("a number");
    assert!((1..=BIG / 2).contains(&start), "{range}");
}

#[tokio::test]
async fn a_server_without_ranges_is_read_again_up_to_the_place() {
    let image = Image::new(1);
    let (whole, half) = (image.layers[1].clone(), halved(image.layers[1].clone()));
    let path = format!("/blobs/{}", digest(&whole));
    let source = Fake::lying(move |asked| {
        half(asked).or_else(|| {
            asked
                .is("GET", &path)
                .then(|| Reply::new(200).body(whole.clone()))
        })
    })
    .await;
    let destination = Fake::start().await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    copy(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    )
    .await;
    assert!(image.is_in(&destination.shelf(), "acme/web", "1"));
}

#[tokio::test]
async fn a_download_that_always_breaks_off_ends_with_a_sentence() {
    let image = Image::new(1);
    let layer = image.layers[0].clone();
    let path = format!("/blobs/{}", digest(&layer));
    let source = Fake::lying(move |asked| {
        asked.is("GET", &path).then(|| Reply {
            claims: Some(layer.len()),
            ..Reply::new(200)
        })
    })
    .await;
    let destination = Fake::start().await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let error = refuse(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    )
    .await;
    assert_says(&error, &[&source.host]);
    assert!(destination.shelf().manifests.is_empty());
}

#[tokio::test]
async fn an_upload_that_breaks_off_goes_on_at_the_registrys_offset() {
    let image = Image::new(1);
    let source = Fake::start().await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    // The first PATCH fails after the registry has kept some of it.
    let (kept, first) = (1000, Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&first);
    let destination = Fake::lying(move |asked| {
        if asked.method == "PATCH" && first.fetch_add(1, Ordering::Relaxed) == 0 {
            return Some(Reply::new(503));
        }
        // It kept what a later PATCH therefore must not send.
        if asked.is("GET", "/blobs/uploads/") {
            return Some(
                Reply::new(204)
                    .with("Range", format!("0-{}", kept - 1))
                    .with("Location", &asked.path),
            );
        }
        None
    })
    .await;
    // The honest part knows nothing of the kept bytes, so the end is refused:
    // what counts is what was sent.
    let error = refuse(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    )
    .await;
    assert_says(&error, &["refuses the upload"]);
    assert_eq!(seen.load(Ordering::Relaxed), 2);
    let shelf = destination.shelf();
    let last = shelf.asked.iter().rfind(|asked| asked.method == "PATCH");
    let last = last.expect("a second PATCH");
    assert_eq!(last.body, image.layers[1][kept..]);
    let range = last.headers.get("content-range").map(String::as_str);
    assert_eq!(range, Some("1000-699999"));
}

#[tokio::test]
async fn a_registry_that_asks_to_come_back_is_asked_again() {
    let image = Image::new(1);
    let first = AtomicUsize::new(0);
    let source = Fake::lying(move |asked| {
        let is_first = asked.is("GET", "/blobs/") && first.fetch_add(1, Ordering::Relaxed) == 0;
        is_first.then(|| Reply::new(429).with("Retry-After", 1))
    })
    .await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let destination = Fake::start().await;
    let begun = std::time::Instant::now();
    copy(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    )
    .await;
    assert!(begun.elapsed().as_millis() >= 1000);
    assert!(image.is_in(&destination.shelf(), "acme/web", "1"));
}

#[tokio::test]
async fn a_registry_that_asks_to_wait_for_hours_is_left() {
    let source = Fake::lying(|asked| {
        asked
            .is("GET", "/manifests/")
            .then(|| Reply::new(429).with("Retry-After", 7200))
    })
    .await;
    let destination = Fake::start().await;
    let error = refuse(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    )
    .await;
    assert_says(&error, &["asks to come back in 7200 s"]);
}

#[tokio::test]
async fn a_second_copy_finds_everything_there() {
    let image = Image::new(1);
    let (source, destination) = (Fake::start().await, Fake::start().await);
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let (from, to) = (source.place("team/web:1"), destination.place("acme/web:1"));
    copy(&from, &to).await;
    let (got, put) = (source.count("GET", "/blobs/"), destination.count("PUT", ""));
    let report = copy(&from, &to).await;
    assert_eq!(report.count(landfall_transfer::Outcome::Unchanged), 1);
    assert_eq!(
        (report.content.copied.count, report.content.skipped.count),
        (0, 3)
    );
    assert_eq!(source.count("GET", "/blobs/"), got);
    assert_eq!(destination.count("PUT", ""), put);
}

#[tokio::test]
async fn layers_are_mounted_inside_of_a_registry() {
    let image = Image::new(1);
    let registry = Fake::start().await;
    image.put(&mut registry.shelf(), "team/web", Some("1"));
    let report = copy(&registry.place("team/web:1"), &registry.place("acme/web:1")).await;
    assert_eq!(
        (report.content.mounted.count, report.content.copied.count),
        (3, 0)
    );
    assert!(image.is_in(&registry.shelf(), "acme/web", "1"));
    assert_eq!(registry.count("GET", "/blobs/sha256"), 0);
}

#[tokio::test]
async fn a_layer_of_two_repositories_is_sent_once_and_mounted_once() {
    let image = Image::new(1);
    let (source, destination) = (Fake::start().await, Fake::start().await);
    for repository in ["team/a", "team/b"] {
        image.put(&mut source.shelf(), repository, Some("1"));
    }
    let mut wanted = request(&source.place("team/*"), &destination.place("acme/"));
    wanted.jobs = 1;
    let report = succeed(wanted).await;
    assert_eq!(
        (report.content.copied.count, report.content.mounted.count),
        (3, 3)
    );
}

#[tokio::test]
async fn a_partial_file_is_continued_where_it_ends() {
    let image = Image::new(1);
    let source = Fake::start().await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let folder = tempfile::tempdir().expect("a folder");
    let partial = folder.path().join(".landfall-partial");
    fs::create_dir(&partial).expect("a folder");
    fs::write(
        folder.path().join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .expect("a file");
    let name = digest(&image.layers[1]).replace(':', "-");
    fs::write(partial.join(name), &image.layers[1][..500_000]).expect("a file");
    let to = format!("oci:{}", folder.path().display());
    let report = copy(&source.place("team/web:1"), &to).await;
    assert_eq!(report.content.skipped.bytes, 500_000);
    let path = format!("/blobs/{}", digest(&image.layers[1]));
    let shelf = source.shelf();
    let asked = shelf.asked.iter().find(|asked| asked.is("GET", &path));
    let range = asked.expect("a request").headers.get("range").cloned();
    assert_eq!(range.as_deref(), Some("bytes=500000-"));
    assert!(!partial.exists());
}

#[tokio::test]
async fn a_partial_file_that_went_bad_is_fetched_again() {
    let image = Image::new(1);
    let source = Fake::start().await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    fs::create_dir(path.join(".landfall-partial")).expect("a folder");
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");
    let name = digest(&image.layers[1]).replace(':', "-");
    fs::write(path.join(".landfall-partial").join(name), [7; 1000]).expect("a file");
    copy(
        &source.place("team/web:1"),
        &format!("oci:{}", path.display()),
    )
    .await;
    let hex = digest(&image.layers[1]).replace("sha256:", "blobs/sha256/");
    assert_eq!(
        fs::read(path.join(hex)).expect("the layer"),
        image.layers[1]
    );
}

#[tokio::test]
async fn a_registry_behind_a_limit_gets_pieces() {
    let image = Image::of(vec![noise(1, 40 << 20)], "amd64");
    let source = Fake::start().await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    let destination = Fake::lying(|asked| {
        let is_long = asked.body.len() > 16 << 20;
        is_long.then(|| Reply::new(413))
    })
    .await;
    copy(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    )
    .await;
    let shelf = destination.shelf();
    assert!(image.is_in(&shelf, "acme/web", "1"));
    let sent = shelf.asked.iter().filter(|asked| asked.method == "PATCH");
    let sent: Vec<usize> = sent.map(|asked| asked.body.len() >> 20).collect();
    assert_eq!(sent, [40, 16, 16, 8]);
}
