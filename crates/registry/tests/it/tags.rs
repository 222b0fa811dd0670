//! Tags: moved, listed, taken away.

use bytes::Bytes;
use landfall_oci::RepositoryName;
use landfall_registry::Error;

use crate::{
    documents::{image, written},
    world::{World, content, reference, repository, tag},
};

on_both!(
    a_tag_moves_with_the_next_push,
    tags_are_listed_in_byte_order_page_by_page,
    tags_of_a_repository_that_is_not_there_are_an_error,
    a_deleted_tag_leaves_its_manifest_and_its_other_tags,
    the_tags_of_a_deleted_manifest_go_with_it,
);

/// Two manifests that can be pushed.
async fn two(world: &World, name: &RepositoryName) -> [Bytes; 2] {
    let (first, second) = (content(1, 10), content(2, 10));
    world.push(name, &first).await;
    world.push(name, &second).await;
    [written(&image(&first, &[])), written(&image(&second, &[]))]
}

async fn list(
    world: &World,
    name: &RepositoryName,
    last: Option<&str>,
    limit: usize,
) -> (Vec<String>, bool) {
    let page = world.tag_list(name, last, limit).await.expect("a page");
    let tags = page.entries.iter().map(ToString::to_string);
    (tags.collect(), page.more)
}

async fn a_tag_moves_with_the_next_push() {
    let world = World::new().await;
    let name = repository("acme/web");
    let [first, second] = two(&world, &name).await;
    world
        .put(&name, &["latest", "v1"], &first)
        .await
        .expect("pushed");
    world
        .put(&name, &["latest"], &second)
        .await
        .expect("pushed");
    let latest = world.manifest_get(&name, &reference("latest")).await;
    assert_eq!(latest.expect("found").content, second);
    let old = world.manifest_get(&name, &reference("v1")).await;
    assert_eq!(old.expect("found").content, first);
}

async fn tags_are_listed_in_byte_order_page_by_page() {
    let world = World::new().await;
    let name = repository("acme/web");
    let [first, second] = two(&world, &name).await;
    world
        .put(&name, &["b", "v10", "B"], &first)
        .await
        .expect("pushed");
    world
        .put(&name, &["v9", "_x", "a"], &second)
        .await
        .expect("pushed");
    let all = ["B", "_x", "a", "b", "v10", "v9"];
    assert_eq!(
        list(&world, &name, None, 10).await,
        (all.map(str::to_owned).to_vec(), false)
    );
    let mut last = None;
    let mut seen = Vec::new();
    loop {
        let (page, more) = list(&world, &name, last.as_deref(), 4).await;
        last = page.last().cloned();
        seen.extend(page);
        if !more {
            break;
        }
    }
    assert_eq!(seen, all);
    let (page, more) = list(&world, &name, Some("aa"), 2).await;
    assert_eq!((page, more), (vec!["b".to_owned(), "v10".to_owned()], true));
    let (page, more) = list(&world, &name, Some("v9"), 2).await;
    assert_eq!((page, more), (vec![], false), "nothing after the last");
    let (page, more) = list(&world, &name, None, 6).await;
    assert_eq!((page.len(), more), (6, false), "a page that just fits");
}

async fn tags_of_a_repository_that_is_not_there_are_an_error() {
    let world = World::new().await;
    let name = repository("acme/web");
    let none = world.tag_list(&name, None, 10).await;
    assert!(matches!(none, Err(Error::RepositoryUnknown(text)) if text == "acme/web"));
    world.push(&name, &content(1, 1)).await;
    assert_eq!(list(&world, &name, None, 10).await, (vec![], false));
}

async fn a_deleted_tag_leaves_its_manifest_and_its_other_tags() {
    let world = World::new().await;
    let name = repository("acme/web");
    let [first, _] = two(&world, &name).await;
    let put = world
        .put(&name, &["v1", "latest"], &first)
        .await
        .expect("pushed");
    world
        .tag_delete(&name, &tag("latest"))
        .await
        .expect("deleted");
    let latest = world.manifest_get(&name, &reference("latest")).await;
    assert!(matches!(latest, Err(Error::ManifestUnknown(_))));
    for by in [put.digest.to_string(), "v1".to_owned()] {
        world
            .manifest_get(&name, &reference(&by))
            .await
            .expect("stays");
    }
    let again = world.tag_delete(&name, &tag("latest")).await;
    assert!(matches!(again, Err(Error::ManifestUnknown(text)) if text == "latest"));
    let nowhere = world.tag_delete(&repository("acme/x"), &tag("v1")).await;
    assert!(matches!(nowhere, Err(Error::ManifestUnknown(_))));
}

async fn the_tags_of_a_deleted_manifest_go_with_it() {
    let world = World::new().await;
    let name = repository("acme/web");
    let [first, second] = two(&world, &name).await;
    let put = world
        .put(&name, &["v1", "latest"], &first)
        .await
        .expect("pushed");
    world.put(&name, &["v2"], &second).await.expect("pushed");
    world
        .manifest_delete(&name, &put.digest)
        .await
        .expect("deleted");
    assert_eq!(
        list(&world, &name, None, 10).await,
        (vec!["v2".to_owned()], false)
    );
}
