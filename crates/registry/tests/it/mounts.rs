//! Mounts: a blob of another repository, without its bytes.

use landfall_ids::AccountId;

use crate::world::{LONG, PROMISE, World, content, digest, repository};

on_both!(
    a_mounted_blob_is_the_blob,
    a_mount_promises_to_keep_the_blob,
    what_is_not_there_is_not_mounted_and_makes_no_repository,
    sources_of_a_mount_are_those_of_the_account,
    a_mount_brings_a_deleted_blob_back,
);

on_s3!(
    a_mounted_blob_is_the_blob,
    a_mount_promises_to_keep_the_blob,
    what_is_not_there_is_not_mounted_and_makes_no_repository,
    sources_of_a_mount_are_those_of_the_account,
    a_mount_brings_a_deleted_blob_back,
);

async fn a_mounted_blob_is_the_blob() {
    let world = World::new().await;
    let (from, to, whole) = (repository("acme/a"), repository("acme/b"), content(1, 300));
    let wanted = world.push(&from, &whole).await;
    let mounted = world.blob_mount(&to, world.account, &wanted, &from).await;
    assert!(mounted.expect("an answer"));
    assert_eq!(world.read(&to, &wanted).await.expect("bytes"), whole);
    assert_eq!(world.files("blobs").len(), 1);
    world.repository_delete(&from, true).await.expect("deleted");
    world.collect_all().await;
    world.advance(PROMISE / 2);
    assert!(!world.holds(&from, &wanted).await);
}

async fn a_mount_promises_to_keep_the_blob() {
    let world = World::new().await;
    let (from, to, whole) = (repository("acme/a"), repository("acme/b"), content(1, 300));
    let wanted = world.push(&from, &whole).await;
    world.advance(PROMISE);
    let mounted = world.blob_mount(&to, world.account, &wanted, &from).await;
    assert!(mounted.expect("an answer"));
    world.repository_delete(&from, true).await.expect("deleted");
    world.advance(PROMISE);
    world.collect().await;
    assert_eq!(world.read(&to, &wanted).await.expect("bytes"), whole);
    world.advance(LONG);
    world.collect().await;
    assert!(!world.holds(&to, &wanted).await);
    world.drains().await;
}

async fn what_is_not_there_is_not_mounted_and_makes_no_repository() {
    let world = World::new().await;
    let (from, to) = (repository("acme/a"), repository("acme/b"));
    let kept = world.push(&from, &content(1, 300)).await;
    let hidden = world.push(&from, &content(2, 300)).await;
    world.blob_delete(&from, &hidden).await.expect("deleted");
    let absent = digest(b"nobody has this");
    let nowhere = repository("acme/nowhere");
    for (source, wanted) in [(&from, &absent), (&from, &hidden), (&nowhere, &kept)] {
        let mounted = world.blob_mount(&to, world.account, wanted, source).await;
        assert!(!mounted.expect("an answer"), "{wanted} from {source}");
    }
    let repositories = world.repository_names(None, 10).await.expect("names");
    assert_eq!(repositories.entries, [from]);
}

async fn sources_of_a_mount_are_those_of_the_account() {
    let world = World::new().await;
    let whole = content(1, 300);
    let stranger = AccountId::new_at(1);
    let theirs = repository("other/a");
    let wanted = world.push_as(stranger, &theirs, &whole).await;
    let sources = world.blob_sources(world.account, &wanted).await;
    assert_eq!(sources.expect("an answer"), []);
    let (first, second) = (repository("acme/a"), repository("acme/b"));
    world.push(&second, &whole).await;
    world.push(&first, &whole).await;
    let sources = world.blob_sources(world.account, &wanted).await;
    assert_eq!(sources.expect("an answer"), [first.clone(), second.clone()]);
    world.blob_delete(&first, &wanted).await.expect("deleted");
    let sources = world.blob_sources(world.account, &wanted).await;
    assert_eq!(sources.expect("an answer"), [second]);
    let sources = world.blob_sources(stranger, &wanted).await;
    assert_eq!(sources.expect("an answer"), [theirs]);
}

async fn a_mount_brings_a_deleted_blob_back() {
    let world = World::new().await;
    let (from, to, whole) = (repository("acme/a"), repository("acme/b"), content(1, 300));
    let wanted = world.push(&from, &whole).await;
    world.push(&to, &whole).await;
    world.blob_delete(&to, &wanted).await.expect("deleted");
    let mounted = world.blob_mount(&to, world.account, &wanted, &from).await;
    assert!(mounted.expect("an answer"));
    world.advance(PROMISE);
    world.collect().await;
    assert_eq!(world.read(&to, &wanted).await.expect("bytes"), whole);
}
