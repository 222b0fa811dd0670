//! Histories of tags, and what can be undone.

use std::time::Duration;

use bytes::Bytes;
use landfall_oci::{Digest, RepositoryName};
use landfall_registry::{Error, Settings, TagAct, TagEntry};

use crate::{
    documents::{index, written},
    tag_rules::{rules, three},
    world::{
        HISTORY, LONG, SETTINGS, TRASH, UNDO, World, content, digest, reference, repository, tag,
    },
};

on_both!(
    a_history_tells_what_happened_when_and_by_whom,
    a_history_comes_page_by_page_and_outlives_its_tag,
    an_old_history_is_forgotten_and_a_young_one_is_not,
    a_tag_is_set_without_a_push,
    a_move_is_undone_and_the_undo_too,
    a_deleted_tag_comes_back,
    a_created_tag_is_taken_away_again,
    an_undo_is_refused_when_something_happened_meanwhile,
    an_undo_is_refused_when_its_time_has_ended,
    an_undo_does_not_pass_the_rules_by,
    of_two_undos_at_once_one_is_made,
    a_deleted_image_comes_back_with_its_tags_and_children,
    a_restoration_leaves_what_was_set_meanwhile,
    a_restored_image_is_whole_after_a_collection,
    a_purged_image_does_not_come_back,
    what_another_tag_can_go_back_to_is_not_purged_along,
    what_a_deleted_index_may_bring_back_is_not_purged_along,
    what_a_tag_has_left_counts_as_tagged_while_it_can_go_back,
    a_deleted_repository_comes_back_with_everything,
    a_purged_repository_and_a_taken_name_do_not_come_back,
    tags_that_can_be_brought_back_are_listed,
);

const NAME: &str = "acme/web";

async fn world() -> (World, RepositoryName, [Bytes; 3]) {
    let (world, name) = (World::new().await, repository(NAME));
    let images = three(&world, &name).await;
    (world, name, images)
}

async fn put(world: &World, name: &RepositoryName, tags: &[&str], document: &Bytes) -> Digest {
    world
        .put(name, tags, document)
        .await
        .expect("pushed")
        .digest
}

/// What a tag or a digest names now, if anything.
async fn at(world: &World, name: &RepositoryName, by: &(impl ToString + ?Sized)) -> Option<Digest> {
    match world.manifest_get(name, &reference(by)).await {
        Ok(found) => Some(found.digest),
        Err(Error::ManifestUnknown(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

async fn history(world: &World, name: &RepositoryName, of: &str) -> Vec<TagEntry> {
    let page = world.tag_history(name, &tag(of), None, 100).await;
    page.expect("a history").entries
}

async fn undo(world: &World, name: &RepositoryName, of: &str) -> Result<TagEntry, Error> {
    world.tag_undo(name, &tag(of), None).await
}

async fn a_history_tells_what_happened_when_and_by_whom() {
    let (world, name, [first, second, _]) = world().await;
    let (one, two) = (digest(&first), digest(&second));
    put(&world, &name, &["v1"], &first).await;
    put(&world, &name, &["v1"], &first).await;
    world.advance(Duration::from_mins(1));
    let ann = world.acting_as("ann");
    ann.tag_create(&name, &tag("v1"), &reference(&one))
        .await
        .expect("there already");
    put(&world, &name, &["v2"], &second).await;
    ann.tag_create(&name, &tag("v1"), &reference("v2"))
        .await
        .expect("moved");
    let bob = world.acting_as("bob");
    bob.tag_delete(&name, &tag("v1")).await.expect("deleted");
    bob.tag_undo(&name, &tag("v1"), None).await.expect("undone");
    let entries = history(&world, &name, "v1").await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry.number,
                entry.act,
                entry.before,
                entry.after,
                entry.undoes,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (4, TagAct::Restored, None, Some(two), Some(3)),
            (3, TagAct::Deleted, Some(two), None, None),
            (2, TagAct::Moved, Some(one), Some(two), None),
            (1, TagAct::Created, None, Some(one), None),
        ]
    );
    let actors: Vec<_> = entries.iter().map(|entry| entry.actor.as_deref()).collect();
    assert_eq!(actors, [Some("bob"), Some("bob"), Some("ann"), None]);
    assert_eq!(
        entries[2].happened - Duration::from_mins(1),
        entries[3].happened
    );
    world.tables_agree().await;
}

async fn a_history_comes_page_by_page_and_outlives_its_tag() {
    let (world, name, images) = world().await;
    for round in 0..7 {
        put(&world, &name, &["v1"], &images[round % 3]).await;
    }
    world.tag_delete(&name, &tag("v1")).await.expect("deleted");
    let mut numbers = Vec::new();
    let mut before = None;
    loop {
        let page = world.tag_history(&name, &tag("v1"), before, 3).await;
        let page = page.expect("a page");
        numbers.extend(page.entries.iter().map(|entry| entry.number));
        before = numbers.last().copied();
        if !page.more {
            break;
        }
    }
    assert_eq!(numbers, [8, 7, 6, 5, 4, 3, 2, 1]);
    let never = world.tag_history(&name, &tag("v9"), None, 3).await;
    assert!(matches!(never, Err(Error::TagUnknown(_))));
}

async fn an_old_history_is_forgotten_and_a_young_one_is_not() {
    let (world, name, [first, second, _]) = world().await;
    put(&world, &name, &["v1"], &first).await;
    world.advance(UNDO);
    put(&world, &name, &["v1"], &second).await;
    world.advance_almost(HISTORY.saturating_sub(UNDO));
    world.collect().await;
    assert_eq!(history(&world, &name, "v1").await.len(), 2);
    world.advance(UNDO / 2);
    world.collect().await;
    assert_eq!(history(&world, &name, "v1").await.len(), 1);
    world.advance(HISTORY);
    world.collect().await;
    assert_eq!(history(&world, &name, "v1").await, []);
    assert_eq!(at(&world, &name, "v1").await, Some(digest(&second)));
    let undone = undo(&world, &name, "v1").await;
    assert!(matches!(undone, Err(Error::NothingToUndo(_))));
    put(&world, &name, &["v1"], &first).await;
    assert_eq!(history(&world, &name, "v1").await.len(), 1);
}

async fn a_tag_is_set_without_a_push() {
    let (world, name, [first, ..]) = world().await;
    let one = put(&world, &name, &[], &first).await;
    for (to, from) in [("v1", one.to_string()), ("prod", "v1".to_owned())] {
        let set = world.tag_create(&name, &tag(to), &reference(&from)).await;
        assert_eq!(set.expect("set"), one);
        assert_eq!(at(&world, &name, to).await, Some(one));
    }
    let none = world.tag_create(&name, &tag("v2"), &reference("no")).await;
    assert!(matches!(none, Err(Error::ManifestUnknown(text)) if text == "no"));
    world.manifest_delete(&name, &one).await.expect("deleted");
    let gone = world.tag_create(&name, &tag("v2"), &reference(&one)).await;
    assert!(matches!(gone, Err(Error::ManifestUnknown(_))));
    let other = repository("acme/other");
    let nowhere = world.tag_create(&other, &tag("v1"), &reference(&one)).await;
    assert!(matches!(nowhere, Err(Error::RepositoryUnknown(_))));
}

async fn a_move_is_undone_and_the_undo_too() {
    let (world, name, [first, second, _]) = world().await;
    let (one, two) = (digest(&first), digest(&second));
    put(&world, &name, &["v1"], &first).await;
    put(&world, &name, &["v1"], &second).await;
    world.advance_almost(UNDO);
    let undone = undo(&world, &name, "v1").await.expect("undone");
    assert_eq!((undone.before, undone.after), (Some(one), Some(two)));
    assert_eq!(at(&world, &name, "v1").await, Some(one));
    undo(&world, &name, "v1").await.expect("undone again");
    assert_eq!(at(&world, &name, "v1").await, Some(two));
    world.tables_agree().await;
}

async fn a_deleted_tag_comes_back() {
    let (world, name, [first, ..]) = world().await;
    let one = put(&world, &name, &["v1"], &first).await;
    world.tag_delete(&name, &tag("v1")).await.expect("deleted");
    undo(&world, &name, "v1").await.expect("undone");
    assert_eq!(at(&world, &name, "v1").await, Some(one));
    undo(&world, &name, "v1").await.expect("undone again");
    assert_eq!(at(&world, &name, "v1").await, None);
    world.tables_agree().await;
}

async fn a_created_tag_is_taken_away_again() {
    let (world, name, [first, ..]) = world().await;
    let one = put(&world, &name, &["v1"], &first).await;
    undo(&world, &name, "v1").await.expect("undone");
    assert_eq!(at(&world, &name, "v1").await, None);
    assert_eq!(at(&world, &name, &one).await, Some(one), "the image stays");
    let nothing = undo(&world, &name, "v7").await;
    assert!(matches!(nothing, Err(Error::NothingToUndo(_))));
}

async fn an_undo_is_refused_when_something_happened_meanwhile() {
    let (world, name, [first, second, third]) = world().await;
    put(&world, &name, &["v1"], &first).await;
    put(&world, &name, &["v1"], &second).await;
    let seen = history(&world, &name, "v1").await[0].number;
    put(&world, &name, &["v1"], &third).await;
    let refused = world.tag_undo(&name, &tag("v1"), Some(seen)).await;
    assert!(matches!(refused, Err(Error::TagChanged(_))));
    assert_eq!(at(&world, &name, "v1").await, Some(digest(&third)));
}

async fn an_undo_is_refused_when_its_time_has_ended() {
    let (world, name, [first, second, _]) = world().await;
    put(&world, &name, &["v1"], &first).await;
    put(&world, &name, &["v1"], &second).await;
    put(&world, &name, &["v2"], &first).await;
    world
        .manifest_delete(&name, &digest(&second))
        .await
        .expect("deleted");
    world.advance(UNDO);
    let late = undo(&world, &name, "v2").await;
    assert!(matches!(late, Err(Error::UndoEnded(_))), "{late:?}");
    let late = world.image_restore(&name, &digest(&second)).await;
    assert!(matches!(late, Err(Error::UndoEnded(_))), "{late:?}");
    world.collect().await;
    let late = world.image_restore(&name, &digest(&second)).await;
    assert!(matches!(late, Err(Error::ManifestUnknown(_))), "{late:?}");
}

async fn an_undo_does_not_pass_the_rules_by() {
    let (world, name, [first, second, _]) = world().await;
    put(&world, &name, &["v1"], &first).await;
    put(&world, &name, &["v1"], &second).await;
    world.tag_delete(&name, &tag("v1")).await.expect("deleted");
    let set = world.repository_set_rules(&name, rules(true, &[])).await;
    set.expect("immutable");
    undo(&world, &name, "v1")
        .await
        .expect("what comes back takes nothing away");
    let refused = undo(&world, &name, "v1").await;
    assert!(
        matches!(refused, Err(Error::TagImmutable { .. })),
        "{refused:?}"
    );
    assert_eq!(at(&world, &name, "v1").await, Some(digest(&second)));
}

async fn of_two_undos_at_once_one_is_made() {
    let (world, name, [first, second, _]) = world().await;
    for _ in 0..10 {
        put(&world, &name, &["v1"], &first).await;
        put(&world, &name, &["v1"], &second).await;
        if at(&world, &name, "v2").await.is_none() {
            put(&world, &name, &["v2"], &second).await;
        }
        world.tag_delete(&name, &tag("v2")).await.expect("deleted");
        for of in ["v1", "v2"].map(tag) {
            let last = history(&world, &name, of.as_str()).await[0].number;
            let (one, two) = tokio::join!(
                world.tag_undo(&name, &of, Some(last)),
                world.tag_undo(&name, &of, Some(last))
            );
            let made = [&one, &two].iter().filter(|undone| undone.is_ok()).count();
            assert_eq!(made, 1, "{one:?}, {two:?}");
        }
        assert_eq!(at(&world, &name, "v1").await, Some(digest(&first)));
        assert_eq!(at(&world, &name, "v2").await, Some(digest(&second)));
    }
    world.tables_agree().await;
}

async fn a_deleted_image_comes_back_with_its_tags_and_children() {
    let (world, name, [first, second, _]) = world().await;
    put(&world, &name, &[], &first).await;
    put(&world, &name, &["keep"], &second).await;
    let all = written(&index(&[&first, &second]));
    let both = put(&world, &name, &["all", "latest"], &all).await;
    world.manifest_delete(&name, &both).await.expect("deleted");
    let restored = world.image_restore(&name, &both).await.expect("restored");
    assert_eq!(restored.manifests, [both]);
    assert_eq!(restored.tags, ["all", "latest"].map(tag));

    let gone = world.image_delete(&name, &reference(&both), false).await;
    assert_eq!(gone.expect("with its child").len(), 2);
    let undone = undo(&world, &name, "all").await;
    assert!(matches!(undone, Err(Error::ImageDeleted(digest)) if digest == both));
    world.advance_almost(UNDO);
    // Whatever of it is named: the act is undone.
    let restored = world.image_restore(&name, &digest(&first)).await;
    let restored = restored.expect("restored");
    assert_eq!(restored.manifests.len(), 2);
    assert_eq!(restored.tags, ["all", "latest"].map(tag));
    for by in ["all".to_owned(), "latest".to_owned(), both.to_string()] {
        assert_eq!(at(&world, &name, &by).await, Some(both));
    }
    let again = world.image_restore(&name, &both).await;
    assert!(matches!(again, Err(Error::NotDeleted(_))));
    world.tables_agree().await;
}

async fn a_restoration_leaves_what_was_set_meanwhile() {
    let (world, name, [first, second, _]) = world().await;
    let one = put(&world, &name, &["a", "b", "c"], &first).await;
    world.manifest_delete(&name, &one).await.expect("deleted");
    put(&world, &name, &["b"], &second).await;
    put(&world, &name, &["c"], &second).await;
    world.tag_delete(&name, &tag("c")).await.expect("deleted");
    let restored = world.image_restore(&name, &one).await.expect("restored");
    assert_eq!(restored.tags, [tag("a")]);
    assert_eq!(at(&world, &name, "a").await, Some(one));
    assert_eq!(at(&world, &name, "b").await, Some(digest(&second)));
    assert_eq!(at(&world, &name, "c").await, None);
    world.tables_agree().await;
}

async fn a_restored_image_is_whole_after_a_collection() {
    let (world, name, [first, ..]) = world().await;
    let config = content(1, 10);
    let one = put(&world, &name, &["v1"], &first).await;
    world.manifest_delete(&name, &one).await.expect("deleted");
    // Nothing that can be seen needs it, so it may be deleted.
    world
        .blob_delete(&name, &digest(&config))
        .await
        .expect("deleted");
    world.advance(LONG);
    world.collect_all().await;
    world.image_restore(&name, &one).await.expect("restored");
    world.advance(UNDO + LONG + TRASH);
    world.collect_all().await;
    world.collect_all().await;
    assert_eq!(
        world.read(&name, &digest(&config)).await.expect("bytes"),
        config
    );
    world.is_sound().await;
    world.tables_agree().await;
    world.drains().await;
}

async fn a_purged_image_does_not_come_back() {
    let (world, name, [first, ..]) = world().await;
    let one = put(&world, &name, &["v1"], &first).await;
    world
        .image_delete(&name, &reference("v1"), true)
        .await
        .expect("deleted");
    let purged = world.image_restore(&name, &one).await;
    assert!(matches!(purged, Err(Error::Purged(_))), "{purged:?}");
    let purged = undo(&world, &name, "v1").await;
    assert!(matches!(purged, Err(Error::Purged(_))), "{purged:?}");
    world.collect_all().await;
    let gone = undo(&world, &name, "v1").await;
    assert!(matches!(gone, Err(Error::UndoEnded(_))), "{gone:?}");
    world.drains().await;
}

async fn what_another_tag_can_go_back_to_is_not_purged_along() {
    let (world, name, [first, second, _]) = world().await;
    let one = put(&world, &name, &["prod"], &first).await;
    put(&world, &name, &["prod"], &second).await;
    let all = written(&index(&[&first]));
    put(&world, &name, &["all"], &all).await;
    let gone = world.image_delete(&name, &reference("all"), true).await;
    assert_eq!(gone.expect("the index alone"), [digest(&all)]);
    world.advance(LONG);
    world.collect_all().await;
    undo(&world, &name, "prod").await.expect("undone");
    assert_eq!(at(&world, &name, "prod").await, Some(one));
    // Whoever names it means it.
    undo(&world, &name, "prod").await.expect("undone again");
    let gone = world.image_delete(&name, &reference(&one), true).await;
    assert_eq!(gone.expect("the image"), [one]);
    let undone = undo(&world, &name, "prod").await;
    assert!(matches!(undone, Err(Error::Purged(_))), "{undone:?}");
}

async fn what_a_deleted_index_may_bring_back_is_not_purged_along() {
    let (world, name, [first, second, _]) = world().await;
    let one = put(&world, &name, &[], &first).await;
    let two = put(&world, &name, &[], &second).await;
    let old = put(&world, &name, &["old"], &written(&index(&[&first]))).await;
    let both = written(&index(&[&first, &second]));
    let new = put(&world, &name, &["new"], &both).await;
    let gone = world.image_delete(&name, &reference("old"), false).await;
    assert_eq!(gone.expect("the index alone"), [old]);
    let gone = world.image_delete(&name, &reference("new"), true).await;
    assert_eq!(gone.expect("with what only it held"), [new, two]);
    put(&world, &name, &["also"], &first).await;
    let gone = world.image_delete(&name, &reference("also"), true).await;
    assert_eq!(gone.expect("the tag alone"), []);
    world.advance(LONG);
    world.collect_all().await;
    world.image_restore(&name, &old).await.expect("restored");
    assert_eq!(at(&world, &name, "old").await, Some(old));
    assert_eq!(at(&world, &name, &one).await, Some(one));

    let gone = world.image_delete(&name, &reference("old"), false).await;
    assert_eq!(gone.expect("with its child").len(), 2);
    put(&world, &name, &["v1"], &first).await;
    world.advance(UNDO);
    let gone = world.image_delete(&name, &reference("v1"), true).await;
    assert_eq!(gone.expect("the index can't come back"), [one]);
    world.drains().await;
}

async fn what_a_tag_has_left_counts_as_tagged_while_it_can_go_back() {
    let settings = Settings {
        untagged_after: Some(UNDO / 4),
        ..SETTINGS
    };
    let (world, name) = (World::with(settings).await, repository(NAME));
    let [first, second, third] = three(&world, &name).await;
    let one = put(&world, &name, &["v1"], &first).await;
    put(&world, &name, &["v1"], &second).await;
    let three = put(&world, &name, &["v3"], &third).await;
    world.tag_delete(&name, &tag("v3")).await.expect("deleted");
    world.advance_almost(UNDO);
    world.collect_all().await;
    undo(&world, &name, "v1").await.expect("undone");
    undo(&world, &name, "v3").await.expect("undone");
    assert_eq!(at(&world, &name, "v1").await, Some(one));
    assert_eq!(at(&world, &name, "v3").await, Some(three));
    let second = digest(&second);
    assert_eq!(at(&world, &name, &second).await, Some(second));
    world.advance(UNDO);
    world.collect_all().await;
    assert_eq!(at(&world, &name, &second).await, None);
}

async fn a_deleted_repository_comes_back_with_everything() {
    let (world, name, [first, ..]) = world().await;
    let one = put(&world, &name, &["v1"], &first).await;
    let ann = world.acting_as("ann");
    ann.repository_delete(&name, false).await.expect("deleted");
    assert_eq!(at(&world, &name, "v1").await, None);
    world.advance_almost(UNDO);
    world.collect_all().await;
    ann.repository_restore(&name).await.expect("restored");
    assert_eq!(at(&world, &name, "v1").await, Some(one));
    let config = content(1, 10);
    assert_eq!(
        world.read(&name, &digest(&config)).await.expect("bytes"),
        config
    );
    world.tables_agree().await;
    ann.repository_delete(&name, false).await.expect("deleted");
    world.advance(UNDO);
    let late = world.repository_restore(&name).await;
    assert!(matches!(late, Err(Error::UndoEnded(_))), "{late:?}");
    world.drains_by_itself().await;
    let late = world.repository_restore(&name).await;
    assert!(matches!(late, Err(Error::RepositoryUnknown(_))), "{late:?}");
}

async fn a_purged_repository_and_a_taken_name_do_not_come_back() {
    let (world, name, [first, ..]) = world().await;
    world
        .repository_delete(&name, false)
        .await
        .expect("deleted");
    world.advance(Duration::from_secs(1));
    world.push(&name, &content(9, 9)).await;
    let taken = world.repository_restore(&name).await;
    assert!(
        matches!(taken, Err(Error::RepositoryExists(_))),
        "{taken:?}"
    );
    world.repository_delete(&name, true).await.expect("deleted");
    let purged = world.repository_restore(&name).await;
    assert!(matches!(purged, Err(Error::Purged(_))), "{purged:?}");
    world.collect().await;
    // The newer one is gone, and the older one is still there.
    world.repository_restore(&name).await.expect("restored");
    put(&world, &name, &["v1"], &first).await;
    world.drains().await;
}

async fn tags_that_can_be_brought_back_are_listed() {
    let (world, name, [first, second, _]) = world().await;
    put(&world, &name, &["a", "b", "c", "d"], &first).await;
    for of in ["a", "b", "c"] {
        world.tag_delete(&name, &tag(of)).await.expect("deleted");
    }
    put(&world, &name, &["b"], &second).await;
    let list = async |last: Option<&str>, limit| {
        let page = world.tag_deleted(&name, last, limit).await.expect("a page");
        let tags = page.entries.iter().map(|(tag, _)| tag.to_string());
        (tags.collect::<Vec<_>>(), page.more)
    };
    assert_eq!(list(None, 10).await, (vec!["a".into(), "c".into()], false));
    assert_eq!(list(None, 1).await, (vec!["a".into()], true));
    assert_eq!(list(Some("a"), 1).await, (vec!["c".into()], false));
    world.advance(UNDO);
    assert_eq!(list(None, 10).await, (vec![], false));
}
