//! Images as a person looks at them: lists, trees, histories.

use bytes::Bytes;
use landfall_oci::{Manifest, RepositoryName};
use landfall_registry::Error;

use crate::{
    documents::{for_linux, image, index, referrer, written},
    world::{World, content, digest, reference, repository},
};

on_both!(
    images_are_listed_with_tags_sizes_and_relations,
    a_tree_shows_children_with_their_platforms_and_all_referrers,
    a_history_matches_steps_with_the_layers_they_made,
    the_history_of_an_index_is_that_of_the_platform,
    an_image_without_a_readable_configuration_has_no_history,
);

const NAME: &str = "acme/web";

async fn push(world: &World, name: &RepositoryName, tags: &[&str], manifest: &Manifest) -> Bytes {
    let document = written(manifest);
    world.put(name, tags, &document).await.expect("pushed");
    document
}

async fn images_are_listed_with_tags_sizes_and_relations() {
    let world = World::new().await;
    let (name, config, layer) = (repository(NAME), content(1, 10), content(2, 200));
    world.push(&name, &config).await;
    world.push(&name, &layer).await;
    let base = push(&world, &name, &["v1", "latest"], &image(&config, &[&layer])).await;
    let about = referrer("application/x.note", &base, &config);
    let about = push(&world, &name, &[], &about).await;
    let gone = push(&world, &name, &["old"], &image(&config, &[])).await;
    world
        .manifest_delete(&name, &digest(&gone))
        .await
        .expect("deleted");

    let page = world.image_list(&name, None, 10).await.expect("a page");
    assert!(!page.more);
    assert!(page.entries.is_sorted_by_key(|image| image.digest));
    assert_eq!(page.entries.len(), 2);
    for entry in &page.entries {
        let tags: Vec<_> = entry.tags.iter().map(ToString::to_string).collect();
        if entry.digest == digest(&base) {
            assert_eq!(tags, ["latest", "v1"]);
            assert_eq!(entry.size, base.len() as u64 + 210);
            assert_eq!(entry.subject, None);
        } else {
            assert_eq!(entry.digest, digest(&about));
            assert!(tags.is_empty());
            assert_eq!(entry.size, about.len() as u64 + 10);
            assert_eq!(entry.subject, Some(digest(&base)));
            assert_eq!(entry.artifact_type.as_deref(), Some("application/x.note"));
        }
    }
    let first = world.image_list(&name, None, 1).await.expect("a page");
    assert!(first.more);
    let last = first.entries[0].digest.to_string();
    let second = world.image_list(&name, Some(&last), 1).await;
    let second = second.expect("a page");
    assert!(!second.more);
    assert_eq!(
        [first.entries, second.entries].concat(),
        page.entries,
        "page by page it is the same"
    );
    let unknown = world.image_list(&repository("acme/x"), None, 1).await;
    assert!(matches!(unknown, Err(Error::RepositoryUnknown(_))));
}

async fn a_tree_shows_children_with_their_platforms_and_all_referrers() {
    let world = World::new().await;
    let (name, config, layer) = (repository(NAME), content(1, 10), content(2, 200));
    world.push(&name, &config).await;
    world.push(&name, &layer).await;
    let intel = push(&world, &name, &[], &image(&config, &[&layer])).await;
    let arm = push(&world, &name, &[], &image(&config, &[])).await;
    let mut all = index(&[]);
    all.manifests = vec![for_linux(&intel, "amd64"), for_linux(&arm, "arm64")];
    let all = push(&world, &name, &["all"], &all).await;
    let note = referrer("application/x.note", &intel, &config);
    let note = push(&world, &name, &[], &note).await;
    let signature = referrer("application/x.signature", &note, &config);
    let signature = push(&world, &name, &[], &signature).await;

    let tree = world.image_tree(&name, &reference("all")).await;
    let tree = tree.expect("a tree");
    assert_eq!(tree.image.digest, digest(&all));
    assert!(tree.config.is_none() && tree.layers.is_empty() && tree.referrers.is_empty());
    let [first, second] = &tree.children[..] else {
        panic!("two children: {tree:?}")
    };
    assert_eq!(first.image.digest, digest(&intel));
    assert_eq!(second.image.digest, digest(&arm));
    let platforms = [first, second].map(|child| child.platform.as_ref().map(ToString::to_string));
    assert_eq!(
        platforms,
        [
            Some("linux/amd64".to_owned()),
            Some("linux/arm64".to_owned())
        ]
    );
    assert_eq!(first.layers[0].digest, digest(&layer));
    let [about] = &first.referrers[..] else {
        panic!("one referrer: {first:?}")
    };
    assert_eq!(about.image.digest, digest(&note));
    assert_eq!(about.referrers[0].image.digest, digest(&signature));

    world
        .manifest_delete(&name, &digest(&arm))
        .await
        .expect("deleted");
    let tree = world.image_tree(&name, &reference("all")).await;
    assert_eq!(tree.expect("a tree").children.len(), 1);
    let unknown = world.image_tree(&name, &reference("none")).await;
    assert!(matches!(unknown, Err(Error::ManifestUnknown(text)) if text == "none"));
}

/// A configuration with a history, and its image.
async fn with_history(
    world: &World,
    name: &RepositoryName,
    text: &str,
    layers: &[&Bytes],
) -> Bytes {
    let config = Bytes::copy_from_slice(text.as_bytes());
    world.push(name, &config).await;
    for layer in layers {
        world.push(name, layer).await;
    }
    push(world, name, &[], &image(&config, layers)).await
}

async fn a_history_matches_steps_with_the_layers_they_made() {
    let world = World::new().await;
    let name = repository(NAME);
    let layers = [content(1, 10), content(2, 20), content(3, 30)];
    let text = r#"{"architecture": "amd64", "history": [
        {"created": "2026-01-01T00:00:00Z", "created_by": "ADD rootfs"},
        {"created_by": "ENV x=y", "empty_layer": true},
        {"created_by": "RUN make", "comment": "slow"}]}"#;
    let document = with_history(&world, &name, text, &[&layers[0], &layers[1], &layers[2]]).await;
    let by = reference(&digest(&document));
    let history = world
        .image_history(&name, &by, None)
        .await
        .expect("a history");
    let steps: Vec<_> = history
        .iter()
        .map(|step| {
            (
                step.created_by.as_deref(),
                step.layer.as_ref().map(|layer| layer.digest),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            (Some("ADD rootfs"), Some(digest(&layers[0]))),
            (Some("ENV x=y"), None),
            (Some("RUN make"), Some(digest(&layers[1]))),
            (None, Some(digest(&layers[2]))),
        ],
        "the last layer is one that the configuration does not tell of"
    );
    assert_eq!(history[0].created.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(history[2].comment.as_deref(), Some("slow"));
}

async fn the_history_of_an_index_is_that_of_the_platform() {
    let world = World::new().await;
    let name = repository(NAME);
    let intel = with_history(
        &world,
        &name,
        r#"{"history": [{"created_by": "intel"}]}"#,
        &[],
    )
    .await;
    let arm = with_history(
        &world,
        &name,
        r#"{"history": [{"created_by": "arm"}]}"#,
        &[],
    )
    .await;
    let mut all = index(&[]);
    all.manifests = vec![for_linux(&intel, "amd64"), for_linux(&arm, "arm64")];
    push(&world, &name, &["all"], &all).await;
    for (platform, expected) in [
        (None, "intel"),
        (Some("linux/amd64"), "intel"),
        (Some("linux/arm64"), "arm"),
    ] {
        let history = world
            .image_history(&name, &reference("all"), platform)
            .await;
        let history = history.expect("a history");
        assert_eq!(history[0].created_by.as_deref(), Some(expected));
    }
    let other = world
        .image_history(&name, &reference("all"), Some("plan9/amd64"))
        .await;
    assert!(matches!(other, Err(Error::ManifestUnknown(text)) if text == "all for plan9/amd64"));
}

async fn an_image_without_a_readable_configuration_has_no_history() {
    let world = World::new().await;
    let name = repository(NAME);
    let nonsense = with_history(&world, &name, "no JSON", &[]).await;
    let by = reference(&digest(&nonsense));
    let history = world.image_history(&name, &by, None).await;
    assert!(
        matches!(history, Err(Error::ManifestInvalid(_))),
        "{history:?}"
    );
    let empty = push(&world, &name, &["empty"], &index(&[])).await;
    let by = reference(&digest(&empty));
    let history = world.image_history(&name, &by, None).await;
    assert!(
        matches!(history, Err(Error::ManifestInvalid(_))),
        "{history:?}"
    );
}
