//! Referrers: found by their subject, in any order of pushes.

use bytes::Bytes;
use landfall_oci::{Digest, MediaType, RepositoryName};

use crate::{
    documents::{image, referrer, written},
    world::{World, content, digest, repository},
};

on_both!(
    a_referrer_may_be_pushed_before_its_subject,
    a_referrer_is_told_with_its_type_size_and_annotations,
    referrers_are_filtered_by_their_artifact_type,
    referrers_come_page_by_page_each_once,
    a_page_of_large_annotations_is_cut_and_goes_on,
    a_deleted_referrer_is_not_listed_and_one_of_a_deleted_subject_is,
);

const NAME: &str = "acme/web";
const NOTE: &str = "application/x.note";
const SIGNATURE: &str = "application/x.signature";

/// A subject that is not pushed, and the file that referrers need.
async fn prepare(world: &World) -> (RepositoryName, Bytes, Bytes) {
    let (name, file) = (repository(NAME), content(1, 10));
    world.push(&name, &file).await;
    let subject = written(&image(&file, &[]));
    (name, subject, file)
}

async fn list(world: &World, name: &RepositoryName, of: &Bytes, kind: Option<&str>) -> Vec<Digest> {
    let page = world
        .referrer_list(name, &digest(of), kind, None, 100)
        .await;
    let page = page.expect("a page");
    assert!(!page.more);
    page.entries
        .iter()
        .map(|referrer| referrer.digest)
        .collect()
}

async fn a_referrer_may_be_pushed_before_its_subject() {
    let world = World::new().await;
    let (name, subject, file) = prepare(&world).await;
    assert_eq!(list(&world, &name, &subject, None).await, []);
    let note = written(&referrer(NOTE, &subject, &file));
    world.put(&name, &[], &note).await.expect("pushed");
    assert_eq!(list(&world, &name, &subject, None).await, [digest(&note)]);
    world.put(&name, &["v1"], &subject).await.expect("pushed");
    assert_eq!(list(&world, &name, &subject, None).await, [digest(&note)]);
    assert_eq!(
        list(&world, &repository("acme/x"), &subject, None).await,
        []
    );
}

async fn a_referrer_is_told_with_its_type_size_and_annotations() {
    let world = World::new().await;
    let (name, subject, file) = prepare(&world).await;
    let mut note = referrer(NOTE, &subject, &file);
    note.annotations
        .insert("author".to_owned(), "Ann".to_owned());
    let typed = written(&note);
    note.artifact_type = None;
    let untyped = written(&note);
    world.put(&name, &[], &typed).await.expect("pushed");
    world.put(&name, &[], &untyped).await.expect("pushed");
    let page = world
        .referrer_list(&name, &digest(&subject), None, None, 10)
        .await;
    let page = page.expect("a page");
    assert_eq!(page.entries.len(), 2);
    assert!(page.entries.is_sorted_by_key(|entry| entry.digest));
    for entry in page.entries {
        let (document, kind) = if entry.digest == digest(&typed) {
            (&typed, NOTE)
        } else {
            (&untyped, MediaType::OCI_CONFIG.as_str())
        };
        assert_eq!(entry.digest, digest(document));
        assert_eq!(entry.artifact_type.as_deref(), Some(kind));
        assert_eq!(entry.size, document.len() as u64);
        assert_eq!(entry.media_type, MediaType::OCI_MANIFEST);
        assert_eq!(entry.annotations["author"], "Ann");
    }
}

async fn referrers_are_filtered_by_their_artifact_type() {
    let world = World::new().await;
    let (name, subject, file) = prepare(&world).await;
    let note = written(&referrer(NOTE, &subject, &file));
    let signature = written(&referrer(SIGNATURE, &subject, &file));
    world.put(&name, &[], &note).await.expect("pushed");
    world.put(&name, &[], &signature).await.expect("pushed");
    let notes = list(&world, &name, &subject, Some(NOTE)).await;
    assert_eq!(notes, [digest(&note)]);
    let signatures = list(&world, &name, &subject, Some(SIGNATURE)).await;
    assert_eq!(signatures, [digest(&signature)]);
    let others = list(&world, &name, &subject, Some("application/x.other")).await;
    assert_eq!(others, []);
}

async fn referrers_come_page_by_page_each_once() {
    let world = World::new().await;
    let (name, subject, file) = prepare(&world).await;
    let mut pushed = Vec::new();
    for number in 0..7 {
        let note = written(&referrer(&format!("{NOTE}.{number}"), &subject, &file));
        world.put(&name, &[], &note).await.expect("pushed");
        pushed.push(digest(&note));
    }
    pushed.sort_unstable();
    let wanted = digest(&subject);
    let (mut seen, mut last) = (Vec::new(), None::<String>);
    loop {
        let page = world.referrer_list(&name, &wanted, None, last.as_deref(), 3);
        let page = page.await.expect("a page");
        assert!(page.entries.len() <= 3);
        seen.extend(page.entries.iter().map(|referrer| referrer.digest));
        last = seen.last().map(ToString::to_string);
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, pushed);
}

async fn a_page_of_large_annotations_is_cut_and_goes_on() {
    let settings = landfall_registry::Settings {
        max_manifest_size: 4 * 1024 * 1024,
        ..crate::world::SETTINGS
    };
    let world = World::with(settings).await;
    let (name, subject, file) = prepare(&world).await;
    let mut pushed = Vec::new();
    for number in 0..3 {
        let mut note = referrer(&format!("{NOTE}.{number}"), &subject, &file);
        let text = "x".repeat(2 * 1024 * 1024);
        note.annotations.insert("text".to_owned(), text);
        let note = written(&note);
        world.put(&name, &[], &note).await.expect("pushed");
        pushed.push(digest(&note));
    }
    pushed.sort_unstable();
    let wanted = digest(&subject);
    let mut last = None::<String>;
    for (number, expected) in pushed.iter().enumerate() {
        let page = world.referrer_list(&name, &wanted, None, last.as_deref(), 100);
        let page = page.await.expect("a page");
        let digests: Vec<_> = page
            .entries
            .iter()
            .map(|referrer| referrer.digest)
            .collect();
        assert_eq!(
            digests,
            [*expected],
            "one that is too large alone still comes"
        );
        assert_eq!(page.more, number < 2);
        last = Some(expected.to_string());
    }
}

async fn a_deleted_referrer_is_not_listed_and_one_of_a_deleted_subject_is() {
    let world = World::new().await;
    let (name, subject, file) = prepare(&world).await;
    world.put(&name, &["v1"], &subject).await.expect("pushed");
    let note = written(&referrer(NOTE, &subject, &file));
    let signature = written(&referrer(SIGNATURE, &subject, &file));
    world.put(&name, &[], &note).await.expect("pushed");
    world.put(&name, &[], &signature).await.expect("pushed");
    world
        .manifest_delete(&name, &digest(&note))
        .await
        .expect("deleted");
    assert_eq!(
        list(&world, &name, &subject, None).await,
        [digest(&signature)]
    );
    world
        .manifest_delete(&name, &digest(&subject))
        .await
        .expect("deleted");
    assert_eq!(
        list(&world, &name, &subject, None).await,
        [digest(&signature)]
    );
    world.repository_delete(&name, true).await.expect("deleted");
    assert_eq!(list(&world, &name, &subject, None).await, []);
}
