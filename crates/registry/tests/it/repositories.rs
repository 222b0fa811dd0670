//! Repositories: made, shown, listed; and the figures of the whole store.

use landfall_database::epoch;
use landfall_registry::Error;

use crate::{
    documents::{image, written},
    world::{World, content, digest, repository},
};

on_both!(
    a_repository_is_made_once,
    a_name_that_means_another_repository_begins_an_epoch_of_access,
    a_repository_tells_what_it_holds,
    repositories_are_listed_by_name_page_by_page,
    the_totals_count_each_blob_once_and_tell_of_damage_and_trash,
    a_store_that_takes_no_writes_is_not_ready,
);

async fn a_repository_is_made_once() {
    let world = World::new().await;
    let name = repository("acme/web");
    let made = world.repository_create(&name, world.account).await;
    let made = made.expect("made");
    assert_eq!(
        (made.name.clone(), made.account),
        (name.clone(), world.account)
    );
    let again = world.repository_create(&name, world.account).await;
    assert!(matches!(again, Err(Error::RepositoryExists(text)) if text == "acme/web"));
    let shown = world.repository_show(&name).await.expect("shown");
    assert_eq!(shown.repository, made);
    world.repository_delete(&name, true).await.expect("deleted");
    let anew = world.repository_create(&name, world.account).await;
    assert_ne!(anew.expect("made anew").id, made.id);
}

async fn a_name_that_means_another_repository_begins_an_epoch_of_access() {
    let world = World::new().await;
    let name = repository("acme/web");
    let read = async || {
        let read = epoch::read(&world.database, epoch::ACCESS).await;
        read.expect("an epoch")
    };
    let made = world.repository_create(&name, world.account).await;
    made.expect("made");
    assert_eq!(read().await, 0, "nothing was known of the name");
    world
        .repository_delete(&name, false)
        .await
        .expect("deleted");
    assert_eq!(read().await, 1);
    world.repository_restore(&name).await.expect("restored");
    assert_eq!(read().await, 2);
    let taken = world.repository_restore(&name).await;
    assert!(matches!(taken, Err(Error::RepositoryExists(_))));
    assert_eq!(read().await, 2, "nothing has changed");
}

async fn a_repository_tells_what_it_holds() {
    let world = World::new().await;
    let (name, other) = (repository("acme/web"), repository("acme/other"));
    let (config, layer, loose) = (content(1, 10), content(2, 200), content(3, 3000));
    for blob in [&config, &layer, &loose] {
        world.push(&name, blob).await;
        world.push(&name, blob).await;
        world.push(&other, blob).await;
    }
    let first = written(&image(&config, &[&layer, &layer]));
    let second = written(&image(&config, &[]));
    world
        .put(&name, &["v1", "latest"], &first)
        .await
        .expect("pushed");
    world.put(&name, &[], &second).await.expect("pushed");
    let shown = world.repository_show(&name).await.expect("shown");
    assert_eq!(
        (shown.tags, shown.manifests, shown.blobs, shown.bytes),
        (2, 2, 3, 3210)
    );
    world
        .blob_delete(&name, &digest(&loose))
        .await
        .expect("deleted");
    world
        .manifest_delete(&name, &digest(&first))
        .await
        .expect("deleted");
    let shown = world.repository_show(&name).await.expect("shown");
    assert_eq!(
        (shown.tags, shown.manifests, shown.blobs, shown.bytes),
        (0, 1, 2, 210)
    );
}

async fn repositories_are_listed_by_name_page_by_page() {
    let world = World::new().await;
    let names = ["acme/a", "acme/a/b", "acme/b", "zoo/a"].map(repository);
    for name in names.iter().rev() {
        let made = world.repository_create(name, world.account).await;
        made.expect("made");
    }
    let gone = repository("acme/aa");
    let made = world.repository_create(&gone, world.account).await;
    made.expect("made");
    world.repository_delete(&gone, true).await.expect("deleted");
    let (mut listed, mut short_list, mut last) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let short = world.repository_names(last.as_deref(), 3).await;
        let short = short.expect("a page");
        let mut asked = short.entries.clone();
        asked.push(gone.clone());
        let found = world.repository_summaries(asked).await;
        let found = found.expect("summaries");
        listed.extend(found.into_iter().map(|entry| entry.repository.name));
        short_list.extend(short.entries);
        last = short_list.last().map(ToString::to_string);
        if !short.more {
            break;
        }
    }
    assert_eq!(listed, names);
    assert_eq!(short_list, names);
}

async fn the_totals_count_each_blob_once_and_tell_of_damage_and_trash() {
    let world = World::new().await;
    let blobs = [content(1, 10), content(2, 200), content(3, 3000)];
    for name in ["acme/a", "acme/b"] {
        for blob in &blobs {
            world.push(&repository(name), blob).await;
        }
    }
    // The second push of each was for nothing.
    let totals = world.store_totals().await.expect("totals");
    assert_eq!((totals.blobs, totals.bytes, totals.damaged), (3, 3210, 0));
    assert_eq!((totals.trash, totals.trash_bytes), (3, 3210));
    world.collect().await;
    let name = repository("acme/a");
    std::fs::remove_file(world.file_of(&digest(&blobs[0])).await).expect("a file");
    world
        .read(&name, &digest(&blobs[0]))
        .await
        .expect_err("marked");
    let totals = world.store_totals().await.expect("totals");
    assert_eq!((totals.blobs, totals.damaged, totals.trash), (3, 1, 0));
}

async fn a_store_that_takes_no_writes_is_not_ready() {
    use landfall_blobs::{Calls, Fault, Moment, Operation};
    let world = World::new().await;
    world.probe().await.expect("ready");
    world.store.fail(
        Operation::Probe,
        Calls::All,
        Fault::ReadOnly,
        Moment::Before,
    );
    let failed = world.probe().await;
    assert!(
        matches!(
            failed,
            Err(Error::Blobs(landfall_blobs::Error::ReadOnly(_)))
        ),
        "{failed:?}"
    );
}
