//! What somebody else does between two statements of an act, or has begun and
//! not committed yet. Only on PostgreSQL: SQLite has one writer.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use landfall_database::Kind;
use landfall_oci::Digest;
use landfall_registry::{Error, GarbageOptions, GarbageProgress};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    documents::{image, index, written},
    tag_rules::three,
    world::{self, LONG, UNDO, World, content, digest, reference, repository},
};

const NAME: &str = "acme/web";
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

async fn world() -> World {
    world::on(Kind::Postgres);
    World::new().await
}

/// A transaction of somebody else that has done its work and stays open.
struct Open {
    end: mpsc::Sender<()>,
    ended: JoinHandle<()>,
}

impl Open {
    async fn new(world: &World, sql: &str) -> Self {
        let (end, ends) = mpsc::channel();
        let (tell, ready) = oneshot::channel();
        let (database, sql, mut tell) = (world.database.clone(), sql.to_owned(), Some(tell));
        let ended = tokio::spawn(async move {
            let work = database.write(move |tx| {
                tx.execute_script(&sql)?;
                if let Some(tell) = tell.take() {
                    let _ = tell.send(());
                }
                let _ = ends.recv_timeout(LIMIT);
                Ok(())
            });
            let committed: landfall_database::Result<()> = work.await;
            committed.expect("committed");
        });
        ready.await.expect("it has done its work");
        Self { end, ended }
    }

    async fn commit(self) {
        drop(self.end);
        self.ended.await.expect("it ends well");
    }
}

/// Waits until the act is held up by somebody else, or has come to its end
/// without.
async fn until_held_up<T>(world: &World, act: &JoinHandle<T>) {
    let start = Instant::now();
    let held_up = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    while !act.is_finished() && world.count(held_up).await == 0 {
        assert!(start.elapsed() < LIMIT, "it neither waits nor ends");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn is_there(world: &World, wanted: &Digest) -> bool {
    let found = world
        .manifest_get(&repository(NAME), &reference(wanted))
        .await;
    match found {
        Ok(_) => true,
        Err(Error::ManifestUnknown(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_image_that_is_held_by_now_does_not_go_with_its_index_on_postgres() {
    let (world, name) = (world().await, repository(NAME));
    let [first, ..] = three(&world, &name).await;
    world.put(&name, &[], &first).await.expect("pushed");
    let child = digest(&first);
    let all = written(&index(&[&first]));
    let other = written(&index(&[]));
    world.put(&name, &["other"], &other).await.expect("pushed");
    let holders = [
        // As the push of an index does it.
        format!(
            "select 1 from manifest where digest = '{child}' for key share;
             insert into manifest_child(manifest, repository, digest)
             select id, repository, '{child}' from manifest where digest = '{}'",
            digest(&other)
        ),
        format!(
            "delete from manifest_child where manifest in
               (select id from manifest where digest = '{}');
             insert into tag(repository, name, manifest, created, updated)
             select repository, 'kept', id, 1, 1 from manifest where digest = '{child}'",
            digest(&other)
        ),
        format!(
            "delete from tag where name = 'kept';
             insert into pin(owner, manifest, until)
             select 'a scan', id, 9000000000000000000 from manifest where digest = '{child}'"
        ),
    ];
    for holder in holders {
        world.put(&name, &["all"], &all).await.expect("pushed");
        let somebody = Open::new(&world, &holder).await;
        let (registry, of) = (world.registry(), name.clone());
        let by = reference(&digest(&all));
        let act = tokio::spawn(async move { registry.image_delete(&of, &by, false).await });
        until_held_up(&world, &act).await;
        somebody.commit().await;
        let gone = act.await.expect("no panic").expect("deleted");
        assert_eq!(gone, [digest(&all)], "{holder}");
        assert!(is_there(&world, &child).await, "{holder}");
    }
}

#[tokio::test]
async fn a_blob_that_is_deleted_while_its_image_comes_back_is_there_on_postgres() {
    let (world, name) = (world().await, repository(NAME));
    let [first, ..] = three(&world, &name).await;
    let config = digest(&content(1, 10));
    world.put(&name, &["v1"], &first).await.expect("pushed");
    let one = digest(&first);
    world.manifest_delete(&name, &one).await.expect("deleted");
    // As the deletion of a blob that no manifest needs does it.
    let deletion = format!(
        "select 1 from repository_blob where digest = '{config}' for update;
         update repository_blob set deleted = 1, keep_until = 1 where digest = '{config}'"
    );
    let somebody = Open::new(&world, &deletion).await;
    let (registry, of) = (world.registry(), name.clone());
    let act = tokio::spawn(async move { registry.image_restore(&of, &one).await });
    until_held_up(&world, &act).await;
    somebody.commit().await;
    act.await.expect("no panic").expect("restored");
    assert!(is_there(&world, &one).await);
    assert!(world.holds(&name, &config).await, "the image needs it");
    world.tables_agree().await;
}

#[tokio::test]
async fn a_tag_does_not_come_back_to_what_is_deleted_just_now_on_postgres() {
    let (world, name) = (world().await, repository(NAME));
    let [first, ..] = three(&world, &name).await;
    world.put(&name, &[], &first).await.expect("pushed");
    let all = written(&index(&[&first]));
    world.put(&name, &["all"], &all).await.expect("pushed");
    let deleted = world.image_delete(&name, &reference("all"), false).await;
    assert_eq!(deleted.expect("deleted").len(), 2);
    let (child, root) = (digest(&first), digest(&all));
    let shown = format!(
        "update manifest set deleted = null, purge_due = null, deletion = null
         where digest = '{root}'"
    );
    world.change(&shown).await;
    let deletion = format!(
        "select 1 from manifest where digest = '{root}' for update;
         update manifest set deleted = 1, purge_due = 9000000000000000000
         where digest = '{root}'"
    );
    let somebody = Open::new(&world, &deletion).await;
    let (registry, of) = (world.registry(), name.clone());
    let act = tokio::spawn(async move { registry.image_restore(&of, &child).await });
    until_held_up(&world, &act).await;
    somebody.commit().await;
    let restored = act.await.expect("no panic").expect("restored");
    assert_eq!(restored.manifests, [child]);
    assert_eq!(restored.tags, []);
    assert_eq!(world.count("select count(*) from tag").await, 0);
}

#[tokio::test]
async fn a_purge_locks_the_links_of_all_its_manifests_in_order_on_postgres() {
    let (world, name) = (world().await, repository(NAME));
    let mut blobs = [content(1, 10), content(2, 10)];
    blobs.sort_by_key(|blob| digest(blob));
    for blob in &blobs {
        world.push(&name, blob).await;
    }
    let [low, high] = &blobs;
    // The one that is purged first needs the link that is locked last.
    for blob in [high, low] {
        let document = written(&image(blob, &[]));
        world.put(&name, &[], &document).await.expect("pushed");
        let deleted = world.manifest_delete(&name, &digest(&document)).await;
        deleted.expect("deleted");
        world.advance(Duration::from_secs(1));
    }
    world.advance(UNDO + LONG);
    let lock = |blob| {
        let digest = digest(blob);
        format!("select 1 from repository_blob where digest = '{digest}' for update")
    };
    let somebody = Open::new(&world, &lock(low)).await;
    let registry = world.registry();
    let act = tokio::spawn(async move {
        let progress = GarbageProgress::default();
        let run = registry.collect_garbage(GarbageOptions::default(), &progress);
        run.await
    });
    until_held_up(&world, &act).await;
    let other = format!("{} skip locked", lock(high));
    let free = world.database.write(move |tx| tx.exists(&other, &[])).await;
    let free: landfall_database::Result<bool> = free;
    assert!(
        free.expect("asked"),
        "it waits for the first, and holds the second"
    );
    assert!(!act.is_finished());
    somebody.commit().await;
    let report = act.await.expect("no panic").expect("the run ends well");
    assert_eq!(report.manifests, 2);
    world.tables_agree().await;
}
