//! Deleting: hidden at once.

use bytes::Bytes;
use landfall_oci::{Digest, RepositoryName};
use landfall_registry::Error;

use crate::{
    documents::{digests, image, index, referrer, written},
    world::{LONG, PROMISE, UNDO, World, content, digest, reference, repository},
};

on_both!(
    a_deleted_manifest_is_unknown_at_once,
    a_deleted_blob_is_unknown_at_once_and_elsewhere_it_stays,
    a_blob_that_a_manifest_needs_is_not_deleted,
    a_deleted_repository_is_unknown_at_once_with_all_that_is_in_it,
    a_repository_made_anew_has_nothing_of_the_deleted_one,
    deleting_an_image_by_tag_takes_its_manifest_when_nothing_else_holds_it,
    deleting_an_index_takes_along_the_images_that_only_it_held,
    an_image_that_an_index_holds_loses_its_tag_only,
    without_purge_a_deleted_image_keeps_its_blobs_for_the_undo_window,
    with_purge_a_deleted_image_keeps_its_blobs_for_a_promise,
    a_subject_takes_no_referrer_along,
);

const NAME: &str = "acme/web";

async fn is_there(world: &World, name: &RepositoryName, by: impl ToString) -> bool {
    match world.manifest_get(name, &reference(&by)).await {
        Ok(_) => true,
        Err(Error::ManifestUnknown(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Pushes an image with a configuration of its own.
async fn push_image(world: &World, name: &RepositoryName, seed: u8, tags: &[&str]) -> Bytes {
    let config = content(seed, 10);
    world.push(name, &config).await;
    let document = written(&image(&config, &[]));
    world.put(name, tags, &document).await.expect("pushed");
    document
}

async fn a_deleted_manifest_is_unknown_at_once() {
    let world = World::new().await;
    let name = repository(NAME);
    let document = push_image(&world, &name, 1, &["v1"]).await;
    let wanted = digest(&document);
    assert!(is_there(&world, &name, wanted).await);
    world
        .manifest_delete(&name, &wanted)
        .await
        .expect("deleted");
    assert!(!is_there(&world, &name, wanted).await);
    assert!(!is_there(&world, &name, "v1").await);
    let again = world.manifest_delete(&name, &wanted).await;
    assert!(matches!(again, Err(Error::ManifestUnknown(text)) if text == wanted.to_string()));
    let nowhere = world.manifest_delete(&repository("acme/x"), &wanted).await;
    assert!(matches!(nowhere, Err(Error::ManifestUnknown(_))));
}

async fn a_deleted_blob_is_unknown_at_once_and_elsewhere_it_stays() {
    let world = World::new().await;
    let (name, other, whole) = (repository(NAME), repository("acme/b"), content(1, 50));
    let wanted = world.push(&name, &whole).await;
    world.push(&other, &whole).await;
    world.blob_delete(&name, &wanted).await.expect("deleted");
    assert!(!world.holds(&name, &wanted).await);
    let promised = world.blob_promise(&name, &wanted).await;
    assert!(matches!(promised, Err(Error::BlobUnknown(digest)) if digest == wanted));
    let opened = world.blob_open(&name, &wanted).await;
    assert!(matches!(opened, Err(Error::BlobUnknown(_))));
    let again = world.blob_delete(&name, &wanted).await;
    assert!(matches!(again, Err(Error::BlobUnknown(_))));
    world.collect().await;
    assert_eq!(world.read(&other, &wanted).await.expect("bytes"), whole);
}

async fn a_blob_that_a_manifest_needs_is_not_deleted() {
    let world = World::new().await;
    let name = repository(NAME);
    let document = push_image(&world, &name, 1, &["v1"]).await;
    let config = digest(&content(1, 10));
    let refused = world.blob_delete(&name, &config).await;
    assert!(matches!(refused, Err(Error::BlobInUse(digest)) if digest == config));
    assert!(world.holds(&name, &config).await);
    world
        .manifest_delete(&name, &digest(&document))
        .await
        .expect("deleted");
    world.blob_delete(&name, &config).await.expect("free now");
    assert!(!world.holds(&name, &config).await);
    world.tables_agree().await;
}

async fn a_deleted_repository_is_unknown_at_once_with_all_that_is_in_it() {
    let world = World::new().await;
    let name = repository(NAME);
    let document = push_image(&world, &name, 1, &["v1"]).await;
    let config = digest(&content(1, 10));
    world.repository_delete(&name, true).await.expect("deleted");
    assert!(!is_there(&world, &name, "v1").await);
    assert!(!is_there(&world, &name, digest(&document)).await);
    assert!(!world.holds(&name, &config).await);
    let shown = world.repository_show(&name).await;
    assert!(matches!(shown, Err(Error::RepositoryUnknown(_))));
    let again = world.repository_delete(&name, true).await;
    assert!(matches!(again, Err(Error::RepositoryUnknown(text)) if text == NAME));
}

async fn a_repository_made_anew_has_nothing_of_the_deleted_one() {
    let world = World::new().await;
    let name = repository(NAME);
    let document = push_image(&world, &name, 1, &["v1"]).await;
    let config = content(1, 10);
    world.repository_delete(&name, true).await.expect("deleted");
    world.push(&name, &content(2, 10)).await;
    assert!(!is_there(&world, &name, "v1").await);
    assert!(!world.holds(&name, &digest(&config)).await);
    let put = world.put(&name, &["v1"], &document).await;
    assert!(matches!(put, Err(Error::ManifestBlobsUnknown(_))));
    world.push(&name, &config).await;
    world.put(&name, &["v1"], &document).await.expect("pushed");
    world.collect_all().await;
    assert!(is_there(&world, &name, "v1").await);
    assert_eq!(
        world.read(&name, &digest(&config)).await.expect("bytes"),
        config
    );
    world.tables_agree().await;
}

async fn deleting_an_image_by_tag_takes_its_manifest_when_nothing_else_holds_it() {
    let world = World::new().await;
    let name = repository(NAME);
    let document = push_image(&world, &name, 1, &["v1", "latest"]).await;
    let wanted = digest(&document);
    let gone = world.image_delete(&name, &reference("latest"), false).await;
    assert_eq!(gone.expect("the tag"), [], "another tag holds the manifest");
    assert!(!is_there(&world, &name, "latest").await);
    assert!(is_there(&world, &name, "v1").await);
    let gone = world.image_delete(&name, &reference("v1"), false).await;
    assert_eq!(gone.expect("the image"), [wanted]);
    assert!(!is_there(&world, &name, wanted).await);
    for by in ["v1".to_owned(), wanted.to_string()] {
        let again = world.image_delete(&name, &reference(&by), false).await;
        assert!(matches!(again, Err(Error::ManifestUnknown(text)) if text == by));
    }
}

async fn deleting_an_index_takes_along_the_images_that_only_it_held() {
    let world = World::new().await;
    let name = repository(NAME);
    let alone = push_image(&world, &name, 1, &[]).await;
    let tagged = push_image(&world, &name, 2, &["keep"]).await;
    let shared = push_image(&world, &name, 3, &[]).await;
    let pinned = push_image(&world, &name, 4, &[]).await;
    let deep = push_image(&world, &name, 5, &[]).await;
    let inner = written(&index(&[&deep, &alone]));
    world.put(&name, &[], &inner).await.expect("pushed");
    let mut outer = index(&[&alone, &tagged, &shared, &pinned]);
    outer.manifests.push(crate::documents::described(
        landfall_oci::MediaType::OCI_INDEX,
        &inner,
    ));
    let outer = written(&outer);
    world.put(&name, &["all"], &outer).await.expect("pushed");
    let other = written(&index(&[&shared]));
    world.put(&name, &["other"], &other).await.expect("pushed");
    pin(&world, &digest(&pinned)).await;

    let gone = world.image_delete(&name, &reference("all"), false).await;
    let mut gone = gone.expect("the index");
    gone.sort_unstable();
    assert_eq!(gone, digests(&[&outer, &inner, &deep, &alone]));
    for kept in [&tagged, &shared, &pinned, &other] {
        assert!(is_there(&world, &name, digest(kept)).await);
    }
    for gone in gone {
        assert!(!is_there(&world, &name, gone).await);
    }
    world.tables_agree().await;
}

async fn pin(world: &World, manifest: &Digest) {
    let sql = format!(
        "insert into pin(owner, manifest, until)
         select 'a test', id, 9000000000000000 from manifest where digest = '{manifest}'"
    );
    world.change(&sql).await;
}

async fn an_image_that_an_index_holds_loses_its_tag_only() {
    let world = World::new().await;
    let name = repository(NAME);
    let child = push_image(&world, &name, 1, &["child"]).await;
    let parent = written(&index(&[&child]));
    world.put(&name, &["all"], &parent).await.expect("pushed");
    let gone = world.image_delete(&name, &reference("child"), false).await;
    assert_eq!(gone.expect("the tag"), []);
    assert!(is_there(&world, &name, digest(&child)).await);
    let gone = world
        .image_delete(&name, &reference(&digest(&child)), false)
        .await;
    let gone = gone.expect("named by digest it goes, whoever holds it");
    assert_eq!(gone, [digest(&child)]);
    assert!(is_there(&world, &name, "all").await);
}

async fn without_purge_a_deleted_image_keeps_its_blobs_for_the_undo_window() {
    let world = World::new().await;
    let name = repository(NAME);
    let document = push_image(&world, &name, 1, &["v1"]).await;
    let config = digest(&content(1, 10));
    let gone = world.image_delete(&name, &reference("v1"), false).await;
    assert_eq!(gone.expect("the image"), [digest(&document)]);
    world.advance(UNDO.saturating_sub(PROMISE / 4));
    world.collect().await;
    assert!(world.holds(&name, &config).await, "it may be undone");
    world.advance(PROMISE);
    assert_eq!(world.collect().await.manifests, 1);
    assert!(!world.holds(&name, &config).await);
}

async fn with_purge_a_deleted_image_keeps_its_blobs_for_a_promise() {
    let world = World::new().await;
    let name = repository(NAME);
    push_image(&world, &name, 1, &["v1"]).await;
    let config = digest(&content(1, 10));
    world.advance(LONG);
    let gone = world.image_delete(&name, &reference("v1"), true).await;
    assert_eq!(gone.expect("the image").len(), 1);
    world.advance(PROMISE);
    assert_eq!(world.collect().await.manifests, 1);
    assert!(
        world.holds(&name, &config).await,
        "a push that counts on it may be under way"
    );
    world.advance(LONG.saturating_sub(PROMISE));
    world.collect().await;
    assert!(!world.holds(&name, &config).await);
}

async fn a_subject_takes_no_referrer_along() {
    let world = World::new().await;
    let name = repository(NAME);
    let subject = push_image(&world, &name, 1, &["v1"]).await;
    let about = written(&referrer("application/x.note", &subject, &content(1, 10)));
    world.put(&name, &[], &about).await.expect("pushed");
    let gone = world.image_delete(&name, &reference("v1"), false).await;
    assert_eq!(gone.expect("the image"), [digest(&subject)]);
    assert!(is_there(&world, &name, digest(&about)).await);
}
