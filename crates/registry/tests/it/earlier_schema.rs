//! Databases of earlier Landfalls: their rows mean the same afterwards.

use std::{sync::Arc, time::Duration};

use landfall_clock::{Clock, ManualClock, SystemClock, Timestamp};
use landfall_database::{MigrationSet, WriteTransaction, outbox, params};
use landfall_ids::{AccountId, ManifestId, RepositoryId};
use landfall_oci::Manifest;
use landfall_registry::{Error, GarbageOptions, GarbageProgress, Registry, TagRules};

use crate::{
    documents::{index, written},
    shelf::Shelf,
    world::{Place, SETTINGS, UNDO, digest, reference, repository, scratch, tag},
};

on_both!(what_the_first_schema_held_is_there_and_can_be_undone);

/// The registry before tags had rules and a history.
const FIRST: MigrationSet = MigrationSet {
    domain: landfall_registry::MIGRATIONS.domain,
    migrations: landfall_registry::MIGRATIONS.migrations.split_at(1).0,
};

fn repository_row(
    tx: &WriteTransaction<'_>,
    name: &str,
    now: Timestamp,
    deleted: Option<Timestamp>,
) -> landfall_database::Result<RepositoryId> {
    let id = RepositoryId::new_at(now.unix_micros());
    tx.execute(
        "insert into repository(id, account, name, created, deleted) values (?1, ?2, ?3, ?4, ?5)",
        params![id, AccountId::new_at(0), name, now, deleted],
    )?;
    Ok(id)
}

fn manifest_row(
    tx: &WriteTransaction<'_>,
    of: RepositoryId,
    content: &[u8],
    now: Timestamp,
    deleted: Option<Timestamp>,
) -> landfall_database::Result<ManifestId> {
    let id = ManifestId::new_at(now.unix_micros());
    tx.execute(
        "insert into manifest(id, repository, digest, media_type, size, created, held_until,
                              deleted, purge_due, content)
         values (?1, ?2, ?3, 'application/vnd.oci.image.index.v1+json', ?4, ?5, ?5, ?6, ?7, ?8)",
        params![
            id,
            of,
            digest(content).to_string(),
            content.len(),
            now,
            deleted,
            deleted.map(|deleted| deleted + UNDO),
            content
        ],
    )?;
    Ok(id)
}

async fn what_the_first_schema_held_is_there_and_can_be_undone() {
    let folder = scratch();
    let place = Place::new(folder.path());
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let now = clock.now();
    let seen = written(&Manifest::index(Vec::new()));
    let hidden = written(&index(&[]));
    let hidden = [&hidden[..], b" "].concat();
    let (one, two) = (digest(&seen), digest(&hidden));
    let earlier = place.connect().await;
    let migrated = earlier.migrate(&[outbox::MIGRATIONS, FIRST]).await;
    migrated.expect("the first schema");
    let (content, other) = (seen.clone(), hidden.clone());
    let written = earlier.write(move |tx| {
        let web = repository_row(tx, "acme/web", now, None)?;
        repository_row(tx, "acme/gone", now, Some(now))?;
        let manifest = manifest_row(tx, web, &content, now, None)?;
        manifest_row(tx, web, &other, now, Some(now))?;
        tx.execute(
            "insert into tag(repository, name, manifest, created, updated)
             values (?1, 'v1', ?2, ?3, ?3)",
            params![web, manifest, now],
        )?;
        Ok::<_, landfall_database::Error>(())
    });
    written.await.expect("rows of an earlier Landfall");
    drop(earlier);

    let database = place.open().await;
    let store = Shelf::new(folder.path()).open();
    let registry = Registry::open(database, store, clock.clone(), SETTINGS).await;
    let registry = registry.expect("a registry");
    let (name, gone) = (repository("acme/web"), repository("acme/gone"));
    let shown = registry.repository_show(&name).await.expect("a repository");
    assert_eq!(shown.repository.rules, TagRules::default());
    let found = registry.manifest_get(&name, &reference("v1")).await;
    assert_eq!(found.expect("the tag").digest, one);
    let undone = registry.tag_undo(&name, &tag("v1"), None).await;
    assert!(matches!(undone, Err(Error::NothingToUndo(_))), "{undone:?}");
    registry
        .tag_delete(&name, &tag("v1"))
        .await
        .expect("deleted");
    registry
        .tag_undo(&name, &tag("v1"), None)
        .await
        .expect("undone");
    let restored = registry.image_restore(&name, &two).await;
    assert_eq!(restored.expect("restored").manifests, [two]);
    // A repository that was deleted then was to go at once.
    let late = registry.repository_restore(&gone).await;
    assert!(matches!(late, Err(Error::Purged(_))), "{late:?}");
    clock.advance(Duration::from_secs(1));
    let progress = GarbageProgress::default();
    let run = registry.collect_garbage(GarbageOptions::default(), &progress);
    run.await.expect("a run");
    let late = registry.repository_restore(&gone).await;
    assert!(matches!(late, Err(Error::RepositoryUnknown(_))), "{late:?}");
}
