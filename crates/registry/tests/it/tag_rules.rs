//! Which tags may move: rules, exceptions, and changes of the rules while
//! somebody pushes.

use std::sync::Arc;

use bytes::Bytes;
use landfall_oci::RepositoryName;
use landfall_registry::{Error, PushTarget, TagRules};

use crate::{
    documents::{image, written},
    world::{World, content, digest, reference, repository, tag},
};

on_both!(
    an_immutable_tag_is_set_once_and_takes_the_same_image_again,
    exceptions_of_an_immutable_repository_move,
    exceptions_of_a_mutable_repository_stay,
    an_image_under_an_immutable_tag_is_not_deleted,
    a_refused_push_leaves_nothing_behind,
    rules_can_be_taken_back,
    a_rule_that_was_confirmed_holds_for_every_push,
);

const NAME: &str = "acme/web";

/// Three images that can be pushed.
pub(crate) async fn three(world: &World, name: &RepositoryName) -> [Bytes; 3] {
    let configs = [1, 2, 3].map(|seed| content(seed, 10));
    for config in &configs {
        world.push(name, config).await;
    }
    configs.map(|config| written(&image(&config, &[])))
}

pub(crate) fn rules(immutable: bool, except: &[&str]) -> TagRules {
    let patterns = except.iter().map(|text| text.parse().expect("a pattern"));
    TagRules::new(immutable, patterns.collect()).expect("rules")
}

async fn world_with(immutable: bool, except: &[&str]) -> (World, RepositoryName, [Bytes; 3]) {
    let (world, name) = (World::new().await, repository(NAME));
    let images = three(&world, &name).await;
    let set = world.repository_set_rules(&name, rules(immutable, except));
    assert_eq!(
        set.await.expect("set").repository.rules,
        rules(immutable, except)
    );
    (world, name, images)
}

fn is_immutable<T: std::fmt::Debug>(result: Result<T, Error>, wanted: &str) -> bool {
    match result {
        Err(Error::TagImmutable { tag, repository }) => {
            tag.as_str() == wanted && repository.as_str() == NAME
        }
        Ok(_) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn points_at(world: &World, name: &RepositoryName, by: &str) -> Bytes {
    let found = world.manifest_get(name, &reference(by)).await;
    found.expect("a manifest").content.clone()
}

async fn an_immutable_tag_is_set_once_and_takes_the_same_image_again() {
    let (world, name, [first, second, _]) = world_with(true, &[]).await;
    world.put(&name, &["v1"], &first).await.expect("set");
    world.put(&name, &["v1"], &first).await.expect("the same");
    assert!(is_immutable(world.put(&name, &["v1"], &second).await, "v1"));
    assert!(is_immutable(
        world.tag_delete(&name, &tag("v1")).await,
        "v1"
    ));
    world.put(&name, &["v2"], &second).await.expect("another");
    let moved = world.tag_create(&name, &tag("v1"), &reference("v2")).await;
    assert!(is_immutable(moved, "v1"));
    assert_eq!(points_at(&world, &name, "v1").await, first);
    let shown = world.tag_show(&name, &tag("v1")).await.expect("a tag");
    assert!(shown.immutable);
    let history = world.tag_history(&name, &tag("v1"), None, 10).await;
    assert_eq!(history.expect("a history").entries.len(), 1);
    world.tables_agree().await;
}

async fn exceptions_of_an_immutable_repository_move() {
    let (world, name, [first, second, _]) = world_with(true, &["latest", "dev-*"]).await;
    for free in ["latest", "dev-7"] {
        world.put(&name, &[free], &first).await.expect("set");
        world.put(&name, &[free], &second).await.expect("moved");
        assert!(
            !world
                .tag_show(&name, &tag(free))
                .await
                .expect("a tag")
                .immutable
        );
        world.tag_delete(&name, &tag(free)).await.expect("deleted");
    }
    world.put(&name, &["latest-1"], &first).await.expect("set");
    let moved = world.put(&name, &["latest-1"], &second).await;
    assert!(
        is_immutable(moved, "latest-1"),
        "a pattern is of the whole tag"
    );
}

async fn exceptions_of_a_mutable_repository_stay() {
    let (world, name, [first, second, _]) = world_with(false, &["v*"]).await;
    world
        .put(&name, &["v1", "edge"], &first)
        .await
        .expect("set");
    world.put(&name, &["edge"], &second).await.expect("moved");
    assert!(is_immutable(world.put(&name, &["v1"], &second).await, "v1"));
    world
        .tag_delete(&name, &tag("edge"))
        .await
        .expect("deleted");
}

async fn an_image_under_an_immutable_tag_is_not_deleted() {
    let (world, name, [first, ..]) = world_with(false, &["v*"]).await;
    world
        .put(&name, &["v1", "edge"], &first)
        .await
        .expect("set");
    let wanted = digest(&first);
    let by_digest = reference(&wanted);
    assert!(is_immutable(
        world.manifest_delete(&name, &wanted).await,
        "v1"
    ));
    let deleted = world.image_delete(&name, &by_digest, true).await;
    assert!(is_immutable(deleted, "v1"));
    let deleted = world.image_delete(&name, &reference("v1"), false).await;
    assert!(is_immutable(deleted, "v1"));
    assert_eq!(
        points_at(&world, &name, "edge").await,
        first,
        "nothing went"
    );
    let gone = world.image_delete(&name, &reference("edge"), false).await;
    assert_eq!(gone.expect("the other tag"), []);
    assert_eq!(points_at(&world, &name, "v1").await, first);
    // A repository goes with all that is in it.
    world
        .repository_delete(&name, false)
        .await
        .expect("deleted");
}

async fn a_refused_push_leaves_nothing_behind() {
    let (world, name, [first, second, _]) = world_with(true, &["latest"]).await;
    world
        .put(&name, &["v1", "latest"], &first)
        .await
        .expect("set");
    let refused = world.put(&name, &["latest", "v1", "v2"], &second).await;
    assert!(is_immutable(refused, "v1"));
    assert_eq!(points_at(&world, &name, "latest").await, first);
    for by in ["v2".to_owned(), digest(&second).to_string()] {
        let found = world.manifest_get(&name, &reference(&by)).await;
        assert!(matches!(found, Err(Error::ManifestUnknown(_))), "{by}");
    }
    let events = world.count("select count(*) from outbox where kind = 'tag.moved'");
    assert_eq!(events.await, 0);
    world.tables_agree().await;
}

async fn rules_can_be_taken_back() {
    let (world, name, [first, second, _]) = world_with(true, &[]).await;
    world.put(&name, &["v1"], &first).await.expect("set");
    let set = world.repository_set_rules(&name, TagRules::default()).await;
    set.expect("set");
    world.put(&name, &["v1"], &second).await.expect("moved");
    let other = repository("acme/no");
    let unknown = world.repository_set_rules(&other, rules(true, &[]));
    assert!(matches!(unknown.await, Err(Error::RepositoryUnknown(_))));
}

/// While clients move a tag, the repository becomes immutable. From the moment
/// on at which that is confirmed, the tag stands still.
async fn a_rule_that_was_confirmed_holds_for_every_push() {
    let (world, name) = (World::new().await, repository(NAME));
    let images = Arc::new(three(&world, &name).await);
    world.put(&name, &["v1"], &images[0]).await.expect("set");
    for _ in 0..10 {
        let set = world.repository_set_rules(&name, TagRules::default()).await;
        set.expect("mutable");
        let movers: Vec<_> = (0..4)
            .map(|mover| {
                let (registry, name) = (world.registry(), name.clone());
                let (images, account) = (Arc::clone(&images), world.account);
                tokio::spawn(async move {
                    for round in 0.. {
                        let target = PushTarget {
                            digest: None,
                            tags: vec![tag("v1")],
                        };
                        let document = images[(mover + round) % 3].clone();
                        let put = registry.manifest_put(&name, account, target, None, document);
                        match put.await {
                            Ok(_) => {}
                            Err(Error::TagImmutable { .. }) => return,
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let set = world.repository_set_rules(&name, rules(true, &[])).await;
        set.expect("immutable");
        let confirmed = points_at(&world, &name, "v1").await;
        for mover in movers {
            mover.await.expect("a mover ends well");
        }
        assert_eq!(points_at(&world, &name, "v1").await, confirmed);
    }
    world.tables_agree().await;
}
