//! Manifests: pushed with what they need, or not at all.

use bytes::Bytes;
use landfall_oci::{Algorithm, Descriptor, Digest, MediaType};
use landfall_registry::{Error, PushTarget, Settings};

use crate::{
    documents::{described, digests, image, index, referrer, written},
    world::{SETTINGS, World, content, digest, reference, repository, tag},
};

on_both!(
    a_manifest_reads_back_byte_for_byte_by_digest_and_by_each_tag,
    all_missing_blobs_are_named_and_nothing_is_left,
    a_refused_manifest_makes_no_repository,
    a_manifest_that_lies_about_a_size_is_invalid,
    layers_that_are_not_to_be_distributed_are_not_demanded,
    an_index_needs_its_images_in_its_own_repository,
    an_index_of_layers_keeps_those_that_are_there,
    a_manifest_may_be_named_by_sha512,
    a_manifest_under_a_wrong_digest_is_refused,
    what_is_no_manifest_or_too_large_is_refused,
    a_large_manifest_is_taken_like_a_small_one,
    a_push_tells_the_subject_that_it_refers_to,
    a_deleted_manifest_is_shown_again_when_it_is_pushed_again,
    a_manifest_whose_blob_was_deleted_meanwhile_is_not_revived,
);

const NAME: &str = "acme/web";

async fn a_manifest_reads_back_byte_for_byte_by_digest_and_by_each_tag() {
    let world = World::new().await;
    let (name, config, layer) = (repository(NAME), content(1, 10), content(2, 20));
    world.push(&name, &config).await;
    world.push(&name, &layer).await;
    let document = String::from_utf8(written(&image(&config, &[&layer])).to_vec());
    // White space and unknown fields are the client's own.
    let document = document.expect("JSON").replacen('{', "{\n \"x\": 1,  ", 1);
    let document = Bytes::from(document);
    let put = world.put(&name, &["v1", "latest", "v1.0"], &document).await;
    let put = put.expect("pushed");
    assert_eq!((put.digest, put.subject), (digest(&document), None));
    for by in [
        put.digest.to_string(),
        "v1".into(),
        "latest".into(),
        "v1.0".into(),
    ] {
        let found = world.manifest_get(&name, &reference(&by)).await;
        let found = found.unwrap_or_else(|error| panic!("by {by}: {error}"));
        assert_eq!(found.content, document);
        assert_eq!(found.digest, put.digest);
        assert_eq!(found.media_type, MediaType::OCI_MANIFEST);
    }
    let other = world.manifest_get(&name, &reference("v2")).await;
    assert!(matches!(other, Err(Error::ManifestUnknown(text)) if text == "v2"));
    let elsewhere = world
        .manifest_get(&repository("acme/other"), &reference("v1"))
        .await;
    assert!(matches!(elsewhere, Err(Error::ManifestUnknown(_))));
}

async fn all_missing_blobs_are_named_and_nothing_is_left() {
    let world = World::new().await;
    let name = repository(NAME);
    let (config, here) = (content(1, 10), content(2, 20));
    let (gone, never) = (content(3, 30), content(4, 40));
    world.push(&name, &here).await;
    let gone_digest = world.push(&name, &gone).await;
    world.blob_delete(&name, &gone_digest).await.expect("gone");
    world.push(&repository("acme/other"), &never).await;
    let document = written(&image(&config, &[&here, &gone, &never, &never]));
    match world.put(&name, &["v1"], &document).await {
        Err(Error::ManifestBlobsUnknown(missing)) => {
            assert_eq!(missing, digests(&[&config, &gone, &never]));
        }
        other => panic!("{other:?}"),
    }
    let tagged = world.manifest_get(&name, &reference("v1")).await;
    assert!(matches!(tagged, Err(Error::ManifestUnknown(_))));
    for table in ["manifest", "manifest_blob", "tag"] {
        let rows = world.count(&format!("select count(*) from {table}")).await;
        assert_eq!(rows, 0, "{table}");
    }
    for bytes in [&config, &gone, &never] {
        world.push(&name, bytes).await;
    }
    world.put(&name, &["v1"], &document).await.expect("whole");
}

async fn a_refused_manifest_makes_no_repository() {
    let world = World::new().await;
    let document = written(&image(&content(1, 10), &[]));
    let put = world.put(&repository(NAME), &["v1"], &document).await;
    assert!(matches!(put, Err(Error::ManifestBlobsUnknown(missing)) if missing.len() == 1));
    assert_eq!(world.count("select count(*) from repository").await, 0);
}

async fn a_manifest_that_lies_about_a_size_is_invalid() {
    let world = World::new().await;
    let (name, config, layer) = (repository(NAME), content(1, 10), content(2, 20));
    world.push(&name, &config).await;
    world.push(&name, &layer).await;
    let mut lying = image(&config, &[&layer]);
    for descriptor in &mut lying.layers {
        descriptor.size += 1;
    }
    match world.put(&name, &["v1"], &written(&lying)).await {
        Err(Error::ManifestInvalid(reason)) => {
            assert!(reason.contains("has 21 bytes, but it has 20"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

async fn layers_that_are_not_to_be_distributed_are_not_demanded() {
    let world = World::new().await;
    let (name, config) = (repository(NAME), content(1, 10));
    world.push(&name, &config).await;
    let mut foreign = image(&config, &[]);
    foreign.layers = vec![Descriptor {
        urls: vec!["https://example.org/layer".to_owned()],
        ..described(MediaType::DOCKER_FOREIGN_LAYER, &content(2, 20))
    }];
    world
        .put(&name, &["v1"], &written(&foreign))
        .await
        .expect("pushed");
}

async fn an_index_needs_its_images_in_its_own_repository() {
    let world = World::new().await;
    let (name, other) = (repository(NAME), repository("acme/other"));
    let (config, second) = (content(1, 10), content(2, 10));
    let images = [written(&image(&config, &[])), written(&image(&second, &[]))];
    let document = written(&index(&[&images[0], &images[1]]));
    for blob in [&config, &second] {
        world.push(&name, blob).await;
        world.push(&other, blob).await;
    }
    world.put(&name, &[], &images[0]).await.expect("pushed");
    world.put(&other, &[], &images[1]).await.expect("pushed");
    match world.put(&name, &["all"], &document).await {
        Err(Error::ManifestBlobsUnknown(missing)) => assert_eq!(missing, digests(&[&images[1]])),
        other => panic!("{other:?}"),
    }
    world.put(&name, &[], &images[1]).await.expect("pushed");
    world.put(&name, &["all"], &document).await.expect("whole");
    let found = world.manifest_get(&name, &reference("all")).await;
    assert_eq!(found.expect("the index").media_type, MediaType::OCI_INDEX);
}

async fn an_index_of_layers_keeps_those_that_are_there() {
    let world = World::new().await;
    let (name, here, missing) = (repository(NAME), content(1, 10), content(2, 10));
    let kept = world.push(&name, &here).await;
    let mut cache = index(&[]);
    cache.manifests = vec![
        described(MediaType::OCI_LAYER_ZSTD, &here),
        described(MediaType::OCI_LAYER_ZSTD, &missing),
    ];
    let put = world.put(&name, &["cache"], &written(&cache)).await;
    put.expect("the missing one is not demanded");
    world.advance(crate::world::LONG);
    world.collect().await;
    assert!(world.holds(&name, &kept).await);
}

async fn a_manifest_may_be_named_by_sha512() {
    let world = World::new().await;
    let (name, config) = (repository(NAME), content(1, 10));
    world.push(&name, &config).await;
    let document = written(&image(&config, &[]));
    let wanted = Digest::of(Algorithm::Sha512, &document);
    let target = PushTarget {
        digest: Some(wanted),
        tags: vec![tag("v1")],
    };
    let put = world.manifest_put(&name, world.account, target, None, document.clone());
    assert_eq!(put.await.expect("pushed").digest, wanted);
    for by in [wanted.to_string(), "v1".to_owned()] {
        let found = world.manifest_get(&name, &reference(&by)).await;
        assert_eq!(found.expect("found").digest, wanted);
    }
    let other = world
        .manifest_get(&name, &reference(&digest(&document)))
        .await;
    assert!(matches!(other, Err(Error::ManifestUnknown(_))));
}

async fn a_manifest_under_a_wrong_digest_is_refused() {
    let world = World::new().await;
    let (name, config) = (repository(NAME), content(1, 10));
    world.push(&name, &config).await;
    let document = written(&image(&config, &[]));
    let target = PushTarget {
        digest: Some(digest(b"another")),
        tags: Vec::new(),
    };
    let put = world.manifest_put(&name, world.account, target, None, document.clone());
    match put.await {
        Err(Error::DigestMismatch { expected, actual }) => {
            assert_eq!((expected, actual), (digest(b"another"), digest(&document)));
        }
        other => panic!("{other:?}"),
    }
}

async fn what_is_no_manifest_or_too_large_is_refused() {
    let world = World::with(Settings {
        max_manifest_size: 500,
        ..SETTINGS
    })
    .await;
    let (name, config) = (repository(NAME), content(1, 10));
    world.push(&name, &config).await;
    let nonsense = world.put(&name, &[], &Bytes::from_static(b"{]")).await;
    assert!(
        matches!(nonsense, Err(Error::ManifestInvalid(_))),
        "{nonsense:?}"
    );
    let large = Bytes::from(vec![b' '; 501]);
    let large = world.put(&name, &[], &large).await;
    assert!(
        matches!(large, Err(Error::ManifestTooLarge { limit: 500 })),
        "{large:?}"
    );
    let mut document = written(&image(&config, &[])).to_vec();
    document.resize(500, b' ');
    let most = world.put(&name, &[], &Bytes::from(document)).await;
    most.expect("as large as it may be");
}

async fn a_large_manifest_is_taken_like_a_small_one() {
    let world = World::with(Settings {
        max_manifest_size: 1024 * 1024,
        ..SETTINGS
    })
    .await;
    let (name, config) = (repository(NAME), content(1, 10));
    world.push(&name, &config).await;
    let mut document = image(&config, &[]);
    document
        .annotations
        .insert("note".to_owned(), "x".repeat(200_000));
    let document = written(&document);
    let put = world.put(&name, &["v1"], &document).await.expect("pushed");
    let found = world.manifest_get(&name, &reference(&put.digest)).await;
    assert_eq!(found.expect("found").content, document);
}

async fn a_push_tells_the_subject_that_it_refers_to() {
    let world = World::new().await;
    let (name, config) = (repository(NAME), content(1, 10));
    world.push(&name, &config).await;
    let base = written(&image(&config, &[]));
    let about = written(&referrer("application/x.note", &base, &config));
    let put = world.put(&name, &[], &about).await.expect("pushed");
    assert_eq!(put.subject, Some(digest(&base)), "though it is not there");
}

async fn a_deleted_manifest_is_shown_again_when_it_is_pushed_again() {
    let world = World::new().await;
    let (name, config) = (repository(NAME), content(1, 10));
    world.push(&name, &config).await;
    let document = written(&image(&config, &[]));
    let put = world.put(&name, &["v1"], &document).await.expect("pushed");
    world
        .manifest_delete(&name, &put.digest)
        .await
        .expect("deleted");
    world.advance(crate::world::LONG);
    world.collect().await;
    world.put(&name, &["v2"], &document).await.expect("revived");
    let found = world.manifest_get(&name, &reference("v2")).await;
    assert_eq!(found.expect("found").content, document);
    let old = world.manifest_get(&name, &reference("v1")).await;
    assert!(
        matches!(old, Err(Error::ManifestUnknown(_))),
        "the old tag stays away"
    );
    world.advance(crate::world::UNDO * 2);
    world.collect().await;
    let found = world.manifest_get(&name, &reference("v2")).await;
    found.expect("its deletion is forgotten");
    assert!(world.holds(&name, &digest(&config)).await);
    world.tables_agree().await;
}

async fn a_manifest_whose_blob_was_deleted_meanwhile_is_not_revived() {
    let world = World::new().await;
    let (name, config) = (repository(NAME), content(1, 10));
    let blob = world.push(&name, &config).await;
    let document = written(&image(&config, &[]));
    let put = world.put(&name, &["v1"], &document).await.expect("pushed");
    world
        .manifest_delete(&name, &put.digest)
        .await
        .expect("deleted");
    world.blob_delete(&name, &blob).await.expect("not needed");
    let again = world.put(&name, &["v1"], &document).await;
    assert!(matches!(again, Err(Error::ManifestBlobsUnknown(missing)) if missing == [blob]));
    world.push(&name, &config).await;
    world.put(&name, &["v1"], &document).await.expect("revived");
    world.tables_agree().await;
}
