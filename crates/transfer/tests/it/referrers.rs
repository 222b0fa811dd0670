//! Indexes, platforms, and what refers to images.

use serde_json::{Value, json};

use crate::{
    fake::{Fake, Reply},
    images::{INDEX, Image, MANIFEST, descriptor, digest, index, noise, referrer},
    world::{assert_says, copy, fail, refuse, request, succeed},
};

fn images() -> [Image; 2] {
    ["amd64", "arm64"].map(|architecture| {
        Image::of(
            vec![
                noise(architecture.len() as u64, 500),
                noise(u64::from(architecture.as_bytes()[1]), 700),
            ],
            architecture,
        )
    })
}

/// A source with an index of two images.
async fn source() -> (Fake, [Image; 2], Vec<u8>) {
    let (source, images) = (Fake::start().await, images());
    for image in &images {
        image.put(&mut source.shelf(), "team/web", None);
    }
    let list = index(&[(&images[0], "amd64"), (&images[1], "arm64")]);
    source
        .shelf()
        .put_manifest("team/web", Some("all"), INDEX, &list);
    (source, images, list)
}

#[tokio::test]
async fn an_index_is_copied_with_all_its_platforms_and_stored_last() {
    let (source, images, list) = source().await;
    let destination = Fake::start().await;
    let report = copy(
        &source.place("team/web:all"),
        &destination.place("acme/web:all"),
    )
    .await;
    assert_eq!(report.content.manifests.count, 3);
    let shelf = destination.shelf();
    assert_eq!(shelf.manifest("acme/web", "all"), Some(&list[..]));
    for image in &images {
        assert!(image.is_in(&shelf, "acme/web", &image.digest()));
    }
    let puts: Vec<&str> = shelf
        .asked
        .iter()
        .filter(|asked| asked.is("PUT", "/manifests/"))
        .filter_map(|asked| asked.path.rsplit('/').next())
        .collect();
    assert_eq!((puts.len(), puts.last()), (3, Some(&"all")));
}

#[tokio::test]
async fn nested_indexes_are_followed_up_to_a_limit() {
    let (source, _, mut list) = source().await;
    let destination = Fake::start().await;
    for level in 0..5 {
        let outer = json!({ "schemaVersion": 2, "mediaType": INDEX,
            "manifests": [descriptor(INDEX, &list)] });
        list = outer.to_string().into_bytes();
        let tag = format!("n{level}");
        source
            .shelf()
            .put_manifest("team/web", Some(&tag), INDEX, &list);
    }
    copy(
        &source.place("team/web:n1"),
        &destination.place("acme/web:n1"),
    )
    .await;
    let error = refuse(
        &source.place("team/web:n4"),
        &destination.place("acme/web:n4"),
    )
    .await;
    assert_says(&error, &["more than 4 levels deep"]);
    assert!(destination.shelf().manifest("acme/web", "n4").is_none());
}

#[tokio::test]
async fn one_platform_is_copied_alone() {
    let (source, images, _) = source().await;
    let destination = Fake::start().await;
    let mut wanted = request(
        &source.place("team/web:all"),
        &destination.place("acme/web:arm"),
    );
    wanted.platform = Some("linux/arm64/v8".parse().expect("a platform"));
    succeed(wanted).await;
    let shelf = destination.shelf();
    assert!(images[1].is_in(&shelf, "acme/web", "arm"));
    assert!(shelf.manifest("acme/web", &images[0].digest()).is_none());
}

#[tokio::test]
async fn a_platform_that_is_missing_is_never_ignored() {
    let (source, images, _) = source().await;
    let destination = Fake::start().await;
    images[0].put(&mut source.shelf(), "team/web", Some("one"));
    for tag in ["all", "one"] {
        let from = source.place(&format!("team/web:{tag}"));
        let mut wanted = request(&from, &destination.place("acme/web:x"));
        wanted.platform = Some("linux/riscv64".parse().expect("a platform"));
        assert_says(
            &fail(wanted).await,
            &["no image for `linux/riscv64`", "`linux/amd64`"],
        );
    }
}

#[tokio::test]
async fn an_image_that_the_source_lacks_is_named() {
    let (source, images, _) = source().await;
    let destination = Fake::start().await;
    let key = ("team/web".to_owned(), images[1].digest());
    source.shelf().manifests.remove(&key);
    let error = refuse(
        &source.place("team/web:all"),
        &destination.place("acme/web:all"),
    )
    .await;
    assert_says(
        &error,
        &[&images[1].digest(), "an index lists it", "`--platform`"],
    );
    assert!(destination.shelf().manifest("acme/web", "all").is_none());
}

/// An image with a referrer that a client listed, a note of cosign, and a list
/// of referrers that the registry gives itself.
async fn referred() -> (Fake, Image, [Vec<u8>; 2], Image) {
    let image = Image::new(1);
    let (tagged, listed) = (
        referrer(&image.manifest, "a/tagged"),
        referrer(&image.manifest, "a/listed"),
    );
    let signature = Image::new(5);
    let fallback = json!({ "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [descriptor(MANIFEST, &tagged), descriptor(MANIFEST, &listed)] });
    let source = Fake::start().await;
    {
        let mut shelf = source.shelf();
        image.put(&mut shelf, "team/web", Some("1"));
        shelf.put_blob("team/web", b"{}");
        shelf.put_manifest("team/web", None, MANIFEST, &tagged);
        shelf.put_manifest("team/web", None, MANIFEST, &listed);
        let tag = image.digest().replace(':', "-");
        let list = fallback.to_string().into_bytes();
        shelf.put_manifest("team/web", Some(&tag), INDEX, &list);
        signature.put(&mut shelf, "team/web", Some(&format!("{tag}.sig")));
    }
    (source, image, [tagged, listed], signature)
}

#[tokio::test]
async fn referrers_and_signatures_come_along_when_they_are_wanted() {
    let (source, image, referrers, signature) = referred().await;
    let destination = Fake::start().await;
    let (from, to) = (source.place("team/web:1"), destination.place("acme/web:1"));
    copy(&from, &to).await;
    assert!(
        destination
            .shelf()
            .manifest("acme/web", &digest(&referrers[0]))
            .is_none()
    );
    let mut wanted = request(&from, &to);
    wanted.referrers = true;
    succeed(wanted).await;
    let shelf = destination.shelf();
    for referrer in &referrers {
        let stored = shelf.manifest("acme/web", &digest(referrer));
        assert_eq!(stored, Some(&referrer[..]));
    }
    let tag = image.digest().replace(':', "-");
    assert!(signature.is_in(&shelf, "acme/web", &format!("{tag}.sig")));
    // The destination keeps no list itself, so there is one under the tag.
    let list: Value =
        serde_json::from_slice(shelf.manifest("acme/web", &tag).expect("a list")).expect("JSON");
    let types = list["manifests"].as_array().expect("a list").iter();
    let types: Vec<_> = types.map(|entry| entry["artifactType"].clone()).collect();
    assert_eq!(types, ["a/tagged", "a/listed"]);
}

#[tokio::test]
async fn referrers_go_into_a_layout_and_out_of_it() {
    let (source, image, referrers, _) = referred().await;
    let folder = tempfile::tempdir().expect("a folder");
    let layout = format!("oci:{}/layout", folder.path().display());
    let mut wanted = request(&source.place("team/web:1"), &layout);
    wanted.referrers = true;
    succeed(wanted).await;
    let destination = Fake::start().await;
    let mut wanted = request(&format!("{layout}:1"), &destination.place("acme/web:1"));
    wanted.referrers = true;
    succeed(wanted).await;
    let shelf = destination.shelf();
    assert!(image.is_in(&shelf, "acme/web", "1"));
    for referrer in &referrers {
        assert!(shelf.manifest("acme/web", &digest(referrer)).is_some());
    }
}

#[tokio::test]
async fn what_is_listed_as_a_referrer_and_is_none_is_left() {
    let image = Image::new(1);
    let stranger = Image::new(9);
    let list = json!({ "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [descriptor(MANIFEST, &stranger.manifest)] });
    let source = Fake::lying(move |asked| {
        asked.is("GET", "/referrers/").then(|| {
            Reply::new(200)
                .with("Content-Type", INDEX)
                .body(list.to_string())
        })
    })
    .await;
    image.put(&mut source.shelf(), "team/web", Some("1"));
    stranger.put(&mut source.shelf(), "team/web", None);
    let destination = Fake::start().await;
    let mut wanted = request(
        &source.place("team/web:1"),
        &destination.place("acme/web:1"),
    );
    wanted.referrers = true;
    succeed(wanted).await;
    let shelf = destination.shelf();
    assert!(shelf.manifest("acme/web", &stranger.digest()).is_none());
}

#[tokio::test]
async fn an_index_waits_for_a_child_that_another_index_began() {
    let image = Image::of(vec![noise(5, 500)], "amd64");
    let layer = digest(&image.layers[0]);
    let failures = std::sync::atomic::AtomicUsize::new(0);
    // The child is on its way for long enough that the other index finds it.
    let source = Fake::lying(move |asked| {
        let is_early = asked.is("GET", &layer)
            && failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 6;
        is_early.then(|| Reply::new(503))
    })
    .await;
    let wrapped = |of: &[u8], media_type: &str, note: &str| {
        let list = json!({ "schemaVersion": 2, "mediaType": INDEX,
            "annotations": { "note": note }, "manifests": [descriptor(media_type, of)] });
        list.to_string().into_bytes()
    };
    let first = wrapped(&image.manifest, MANIFEST, "first");
    let second = wrapped(&image.manifest, MANIFEST, "second");
    let deeper = wrapped(&second, INDEX, "deeper");
    let root = json!({ "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [descriptor(INDEX, &first), descriptor(INDEX, &deeper)] });
    let root = root.to_string().into_bytes();
    {
        let mut shelf = source.shelf();
        image.put(&mut shelf, "team/web", None);
        for list in [&first, &second, &deeper] {
            shelf.put_manifest("team/web", None, INDEX, list);
        }
        shelf.put_manifest("team/web", Some("all"), INDEX, &root);
    }
    let destination = Fake::start().await;
    let mut wanted = request(
        &source.place("team/web:all"),
        &destination.place("acme/web:all"),
    );
    wanted.source_access.patience.attempts = 10;
    let report = succeed(wanted).await;
    assert_eq!(report.content.manifests.count, 5);
    let shelf = destination.shelf();
    let puts: Vec<&str> = shelf
        .asked
        .iter()
        .filter(|asked| asked.is("PUT", "/manifests/"))
        .filter_map(|asked| asked.path.rsplit('/').next())
        .collect();
    let at = |bytes: &[u8]| puts.iter().position(|put| *put == digest(bytes));
    assert_eq!((puts.len(), puts.last()), (5, Some(&"all")), "{puts:?}");
    assert_eq!(at(&image.manifest), Some(0), "{puts:?}");
    assert!(at(&second) < at(&deeper), "{puts:?}");
}
