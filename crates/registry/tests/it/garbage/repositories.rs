//! One copy for all repositories, freed with the last link.

use crate::{
    consistency::TABLES,
    documents::{image, index, referrer, written},
    world::{LONG, PROMISE, TRASH, UNDO, World, body, content, digest, reference, repository},
};
use landfall_clock::Clock;
use landfall_oci::Algorithm;
use landfall_registry::Error;

on_both!(
    a_blob_is_stored_once_and_freed_with_its_last_link,
    a_deleted_repository_drains_with_everything_that_it_had,
    a_large_repository_drains_in_several_steps,
    the_links_of_other_accounts_do_not_end_with_a_deletion,
);

on_s3!(
    a_blob_is_stored_once_and_freed_with_its_last_link,
    a_deleted_repository_drains_with_everything_that_it_had,
    a_large_repository_drains_in_several_steps,
    the_links_of_other_accounts_do_not_end_with_a_deletion,
);

async fn a_blob_is_stored_once_and_freed_with_its_last_link() {
    let world = World::new().await;
    let names = ["acme/a", "acme/b", "other/c"].map(repository);
    let (config, layer) = (content(1, 10), content(2, 200));
    let document = written(&image(&config, &[&layer]));
    for name in &names {
        world.push(name, &config).await;
        world.push(name, &layer).await;
        world.put(name, &["v1"], &document).await.expect("pushed");
    }
    world.collect_all().await;
    assert_eq!(world.files("blobs").len(), 2);
    let mut left = names.to_vec();
    while let Some(name) = left.pop() {
        world
            .manifest_delete(&name, &digest(&document))
            .await
            .expect("deleted");
        world.advance(UNDO + LONG);
        world.collect().await;
        world.advance(TRASH);
        world.collect().await;
        assert!(!world.holds(&name, &digest(&layer)).await);
        let files = if left.is_empty() { 0 } else { 2 };
        assert_eq!(world.files("blobs").len(), files, "with {left:?}");
        for name in &left {
            let read = world.read(name, &digest(&layer)).await;
            assert_eq!(read.expect("bytes"), layer);
        }
    }
}

async fn a_deleted_repository_drains_with_everything_that_it_had() {
    let world = World::new().await;
    let (name, kept) = (repository("acme/web"), repository("acme/kept"));
    let (config, layer, loose) = (content(1, 10), content(2, 200), content(3, 300));
    for blob in [&config, &layer, &loose] {
        world.push(&name, blob).await;
    }
    let base = written(&image(&config, &[&layer]));
    let about = written(&referrer("application/x.note", &base, &config));
    let all = written(&index(&[&base, &about]));
    let hidden = written(&image(&layer, &[]));
    for (tags, document) in [
        (&["v1", "latest"][..], &base),
        (&[], &about),
        (&["all"], &all),
        (&["old"], &hidden),
    ] {
        world.put(&name, tags, document).await.expect("pushed");
    }
    world
        .manifest_delete(&name, &digest(&hidden))
        .await
        .expect("deleted");
    world
        .change("insert into pin select 'a test', id, 9000000000000000 from manifest limit 1")
        .await;
    let upload = world.upload_start(&name, world.account, Algorithm::Sha256);
    let upload = upload.await.expect("a session").id;
    let part = world.upload_append(&name, upload, None, body(&loose));
    part.await.expect("a part");
    world.push(&kept, &layer).await;
    let other = written(&image(&layer, &[]));
    world.put(&kept, &["v1"], &other).await.expect("pushed");
    let pulled = world.manifest_get(&name, &reference("v1")).await;
    let now = world.clock.now();
    pulled.expect("an image").usage().pulled(1, now);
    world.usage_flush().await.expect("written down");
    for table in TABLES {
        if table != "trash" {
            let rows = world.count(&format!("select count(*) from {table}")).await;
            assert!(rows > 0, "`{table}` is part of the test");
        }
    }

    world.repository_delete(&name, true).await.expect("deleted");
    let more = world.upload_append(&name, upload, None, body(&loose)).await;
    assert!(matches!(more, Err(Error::UploadUnknown)), "{more:?}");
    world.collect().await;
    let report = world.collect_all().await;
    assert_eq!(report.waiting, 0);
    assert_eq!(world.count("select count(*) from repository").await, 1);
    for (table, rows) in [
        ("repository_blob", 1),
        ("blob", 1),
        ("manifest", 1),
        ("manifest_blob", 1),
        ("manifest_child", 0),
        ("tag", 1),
        ("tag_history", 1),
        ("repository_usage", 0),
        ("pin", 0),
        ("upload", 0),
        ("trash", 0),
    ] {
        let left = world.count(&format!("select count(*) from {table}")).await;
        assert_eq!(left, rows, "`{table}`");
    }
    let staged = world.files("staging");
    assert!(staged.is_empty(), "its uploads gave their space back");
    assert_eq!(
        world.read(&kept, &digest(&layer)).await.expect("bytes"),
        layer
    );
    world.files_are_those_of_the_rows().await;
    world.drains().await;
}

async fn a_large_repository_drains_in_several_steps() {
    let world = World::new().await;
    let name = repository("acme/large");
    for number in 0..250u16 {
        let blob = bytes::Bytes::copy_from_slice(&number.to_le_bytes());
        world.push(&name, &blob).await;
        let document = written(&image(&blob, &[]));
        world.put(&name, &[], &document).await.expect("pushed");
    }
    world.repository_delete(&name, true).await.expect("deleted");
    let report = world.collect_all().await;
    assert_eq!((report.blobs, report.deleted), (250, 250));
    for table in TABLES {
        let left = world.count(&format!("select count(*) from {table}")).await;
        assert_eq!(left, 0, "`{table}`");
    }
    assert!(world.files("blobs").is_empty());
}

async fn the_links_of_other_accounts_do_not_end_with_a_deletion() {
    let world = World::new().await;
    let (mine, theirs) = (repository("acme/a"), repository("other/b"));
    let whole = content(1, 300);
    let wanted = world.push(&mine, &whole).await;
    world
        .push_as(landfall_ids::AccountId::new_at(1), &theirs, &whole)
        .await;
    world.blob_delete(&mine, &wanted).await.expect("deleted");
    world.advance(PROMISE);
    world.collect().await;
    assert!(!world.holds(&mine, &wanted).await);
    assert_eq!(world.read(&theirs, &wanted).await.expect("bytes"), whole);
    let links = world.count("select count(*) from repository_blob").await;
    assert_eq!(links, 1, "the deleted link needs no promise");
}
