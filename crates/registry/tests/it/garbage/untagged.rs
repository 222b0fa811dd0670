//! Manifests without a root, where the operator wants them to go.

use std::time::Duration;

use bytes::Bytes;
use landfall_oci::RepositoryName;
use landfall_registry::{Error, Settings};

use crate::{
    documents::{image, index, referrer, written},
    world::{SETTINGS, UNDO, World, content, digest, reference, repository, tag},
};

on_both!(
    nothing_is_hidden_where_the_operator_does_not_want_it,
    a_manifest_without_any_root_is_hidden_when_its_time_has_come,
    each_root_keeps_a_manifest,
    the_time_counts_from_the_loss_of_the_last_root,
    a_manifest_that_is_pushed_again_has_its_whole_time_once_more,
    what_is_hidden_by_itself_drains_like_what_was_deleted,
    what_can_be_brought_back_keeps_its_images_and_referrers,
    more_than_one_step_takes_are_hidden_by_one_run,
);

on_s3!(
    nothing_is_hidden_where_the_operator_does_not_want_it,
    a_manifest_without_any_root_is_hidden_when_its_time_has_come,
    each_root_keeps_a_manifest,
    the_time_counts_from_the_loss_of_the_last_root,
    a_manifest_that_is_pushed_again_has_its_whole_time_once_more,
    what_is_hidden_by_itself_drains_like_what_was_deleted,
);

const NAME: &str = "acme/web";
const AFTER: Duration = Duration::from_hours(24);
const MOMENT: Duration = Duration::from_micros(1);

async fn world() -> (World, RepositoryName) {
    let settings = Settings {
        untagged_after: Some(AFTER),
        ..SETTINGS
    };
    (World::with(settings).await, repository(NAME))
}

async fn push(world: &World, name: &RepositoryName, seed: u8, tags: &[&str]) -> Bytes {
    let config = content(seed, 10);
    world.push(name, &config).await;
    let document = written(&image(&config, &[]));
    world.put(name, tags, &document).await.expect("pushed");
    document
}

async fn is_there(world: &World, name: &RepositoryName, document: &Bytes) -> bool {
    let found = world
        .manifest_get(name, &reference(&digest(document)))
        .await;
    match found {
        Ok(_) => true,
        Err(Error::ManifestUnknown(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn nothing_is_hidden_where_the_operator_does_not_want_it() {
    let (world, name) = (World::new().await, repository(NAME));
    let alone = push(&world, &name, 1, &[]).await;
    world.advance(AFTER * 1000);
    world.collect_all().await;
    assert!(is_there(&world, &name, &alone).await);
}

async fn a_manifest_without_any_root_is_hidden_when_its_time_has_come() {
    let (world, name) = world().await;
    let alone = push(&world, &name, 1, &[]).await;
    world.advance_almost(AFTER);
    world.collect().await;
    assert!(is_there(&world, &name, &alone).await);
    world.advance(MOMENT);
    world.collect().await;
    assert!(!is_there(&world, &name, &alone).await);
    world.put(&name, &["v1"], &alone).await.expect("revived");
    world.advance(AFTER + UNDO);
    world.collect_all().await;
    assert!(is_there(&world, &name, &alone).await);
    world.tables_agree().await;
}

async fn each_root_keeps_a_manifest() {
    let (world, name) = world().await;
    let tagged = push(&world, &name, 1, &["v1"]).await;
    let child = push(&world, &name, 2, &[]).await;
    let parent = written(&index(&[&child]));
    world.put(&name, &["all"], &parent).await.expect("pushed");
    let about = written(&referrer("application/x.note", &tagged, &content(1, 10)));
    world.put(&name, &[], &about).await.expect("pushed");
    let deeper = written(&referrer("application/x.note", &about, &content(1, 10)));
    world.put(&name, &[], &deeper).await.expect("pushed");
    let pinned = push(&world, &name, 3, &[]).await;
    let alone = push(&world, &name, 4, &[]).await;
    let until = (landfall_clock::Clock::now(&*world.clock) + AFTER * 10).unix_micros();
    let sql = format!(
        "insert into pin(owner, manifest, until)
         select 'a test', id, {until} from manifest where digest = '{}'",
        digest(&pinned)
    );
    world.change(&sql).await;

    for _ in 0..4 {
        world.advance(AFTER * 2);
        world.collect_all().await;
    }
    for kept in [&tagged, &child, &parent, &about, &deeper, &pinned] {
        assert!(is_there(&world, &name, kept).await);
    }
    assert!(!is_there(&world, &name, &alone).await);
    world.advance(AFTER * 2);
    world.collect().await;
    assert_eq!(world.count("select count(*) from pin").await, 0);
    world.advance(AFTER);
    world.collect().await;
    assert!(!is_there(&world, &name, &pinned).await, "its pin has ended");
    world.tables_agree().await;
}

async fn the_time_counts_from_the_loss_of_the_last_root() {
    let (world, name) = world().await;
    let moved = push(&world, &name, 1, &["latest"]).await;
    let untagged = push(&world, &name, 2, &["v1"]).await;
    let child = push(&world, &name, 3, &[]).await;
    let parent = written(&index(&[&child]));
    world.put(&name, &["all"], &parent).await.expect("pushed");
    let about = written(&referrer("application/x.note", &parent, &content(3, 10)));
    world.put(&name, &[], &about).await.expect("pushed");
    let again = push(&world, &name, 4, &["again"]).await;
    world.advance(AFTER * 10);
    world.collect().await;

    let newer = push(&world, &name, 5, &["latest"]).await;
    world.tag_delete(&name, &tag("v1")).await.expect("deleted");
    world
        .manifest_delete(&name, &digest(&parent))
        .await
        .expect("deleted");
    world
        .manifest_delete(&name, &digest(&again))
        .await
        .expect("deleted");
    world.put(&name, &[], &again).await.expect("revived");
    world.advance_almost(AFTER);
    world.collect().await;
    for kept in [&moved, &untagged, &child, &about, &again, &newer] {
        assert!(
            is_there(&world, &name, kept).await,
            "somebody may be about to pull it"
        );
    }
    world.advance(MOMENT);
    world.collect().await;
    for gone in [&moved, &untagged, &child, &about, &again] {
        assert!(!is_there(&world, &name, gone).await);
    }
    assert!(is_there(&world, &name, &newer).await);
}

async fn a_manifest_that_is_pushed_again_has_its_whole_time_once_more() {
    // As the first step of the push of an index whose images are there.
    let (world, name) = world().await;
    let child = push(&world, &name, 1, &[]).await;
    world.advance_almost(AFTER);
    world.put(&name, &[], &child).await.expect("pushed again");
    world.advance(MOMENT);
    world.collect().await;
    let parent = written(&index(&[&child]));
    let pushed = world.put(&name, &["all"], &parent).await;
    pushed.expect("the image was acknowledged a moment ago");
}

async fn what_is_hidden_by_itself_drains_like_what_was_deleted() {
    let (world, name) = world().await;
    let child = push(&world, &name, 1, &[]).await;
    let parent = written(&index(&[&child]));
    world.put(&name, &[], &parent).await.expect("pushed");
    for _ in 0..4 {
        world.advance(AFTER + UNDO);
        world.collect_all().await;
        world.tables_agree().await;
    }
    for table in [
        "manifest",
        "manifest_child",
        "manifest_blob",
        "blob",
        "candidate",
    ] {
        let left = world.count(&format!("select count(*) from {table}")).await;
        assert_eq!(left, 0, "`{table}`");
    }
    assert!(world.files("blobs").is_empty());
}

async fn what_can_be_brought_back_keeps_its_images_and_referrers() {
    let settings = Settings {
        untagged_after: Some(UNDO / 4),
        ..SETTINGS
    };
    let (world, name) = (World::with(settings).await, repository(NAME));
    let child = push(&world, &name, 1, &[]).await;
    let parent = written(&index(&[&child]));
    world.put(&name, &["all"], &parent).await.expect("pushed");
    let about = written(&referrer("application/x.note", &parent, &content(1, 10)));
    world.put(&name, &[], &about).await.expect("pushed");
    let root = digest(&parent);
    world.manifest_delete(&name, &root).await.expect("deleted");
    world.advance_almost(UNDO);
    world.collect_all().await;
    world.image_restore(&name, &root).await.expect("restored");
    for whole in [&parent, &child, &about] {
        assert!(is_there(&world, &name, whole).await);
    }
    world.manifest_delete(&name, &root).await.expect("deleted");
    world.advance(UNDO);
    world.collect_all().await;
    for gone in [&child, &about] {
        assert!(!is_there(&world, &name, gone).await, "nothing holds it");
    }
    world.tables_agree().await;
}

async fn more_than_one_step_takes_are_hidden_by_one_run() {
    let (world, name) = world().await;
    for number in 0..330 {
        let mut empty = index(&[]);
        empty
            .annotations
            .insert("number".to_owned(), number.to_string());
        let tag = format!("v{number}");
        let tags = if number % 3 == 0 { &[&*tag][..] } else { &[] };
        let document = written(&empty);
        world.put(&name, tags, &document).await.expect("pushed");
    }
    world.advance(AFTER);
    world.collect().await;
    let seen = "select count(*) from manifest where deleted is null";
    assert_eq!(world.count(seen).await, 110, "those with a tag");
    world.tables_agree().await;
}
