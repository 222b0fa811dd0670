//! A damaged blob answers as if it were not there, and heals with the next
//! push of the same content.

use std::{fs, sync::Arc};

use landfall_blobs::{Calls, Operation};
use landfall_registry::{Error, FsckOptions, LayerState};
use tokio::sync::Notify;

use crate::{
    documents::{image, written},
    world::{LONG, World, content, digest, reference, repository},
};

on_both!(
    a_blob_whose_file_is_gone_is_unknown_after_its_first_read,
    a_blob_whose_file_is_cut_is_unknown_after_its_first_read,
    a_flipped_bit_is_found_by_a_check_and_heals,
    a_session_heals_as_well_as_a_single_request,
    a_damaged_blob_that_nobody_needs_is_collected,
    a_blob_that_healed_meanwhile_is_not_marked_again,
    a_store_that_has_lost_its_mark_damages_no_blob,
);

on_s3!(
    a_blob_whose_file_is_gone_is_unknown_after_its_first_read,
    a_session_heals_as_well_as_a_single_request,
    a_damaged_blob_that_nobody_needs_is_collected,
    a_blob_that_healed_meanwhile_is_not_marked_again,
);

const REPAIR: FsckOptions = FsckOptions {
    repair: true,
    quick: false,
};

/// Two repositories with an image of the same two blobs.
struct Two {
    world: World,
    names: [landfall_oci::RepositoryName; 2],
    config: bytes::Bytes,
    layer: bytes::Bytes,
}

impl Two {
    async fn new() -> Self {
        let world = World::new().await;
        let names = ["acme/a", "other/b"].map(repository);
        let (config, layer) = (content(1, 10), content(2, 3000));
        let document = written(&image(&config, &[&layer]));
        for name in &names {
            world.push(name, &config).await;
            world.push(name, &layer).await;
            world.put(name, &["v1"], &document).await.expect("pushed");
        }
        world.advance(LONG);
        world.collect_all().await;
        Self {
            world,
            names,
            config,
            layer,
        }
    }

    /// Checks that the layer is as good as absent, for everybody.
    async fn layer_is_unknown(&self) {
        let wanted = digest(&self.layer);
        for name in &self.names {
            let world = &self.world;
            let answers = [
                world.blob_find(name, &wanted).await.err(),
                world.blob_promise(name, &wanted).await.err(),
                world.blob_open(name, &wanted).await.err(),
            ];
            for answer in answers {
                assert!(matches!(answer, Some(Error::BlobUnknown(_))), "{answer:?}");
            }
            let states = world
                .layers_check(name, world.account, &[wanted], |_| true)
                .await;
            assert_eq!(states.expect("states"), [(wanted, LayerState::New)]);
            let other = repository("acme/new");
            let mounted = world.blob_mount(&other, world.account, &wanted, name).await;
            assert!(!mounted.expect("an answer"), "damage is not spread");
            let again = written(&image(&self.config, &[&self.layer, &self.layer]));
            let put = world.put(name, &["v2"], &again).await;
            assert!(
                matches!(put, Err(Error::ManifestBlobsUnknown(missing)) if missing == [wanted])
            );
            let manifest = world.manifest_get(name, &reference("v1")).await;
            manifest.expect("the manifest itself is there");
        }
    }

    /// Pushes the layer once, and checks that both images are whole.
    async fn heals_by_a_push_to(&self, name: &landfall_oci::RepositoryName) {
        self.world.push(name, &self.layer).await;
        for name in &self.names {
            let read = self.world.read(name, &digest(&self.layer)).await;
            assert_eq!(read.expect("bytes"), self.layer);
        }
        self.world.is_sound().await;
        self.world.tables_agree().await;
        self.world.collect_all().await;
        self.world.files_are_those_of_the_rows().await;
        for name in &self.names {
            let read = self.world.read(name, &digest(&self.layer)).await;
            assert_eq!(read.expect("bytes"), self.layer);
        }
    }
}

async fn a_blob_whose_file_is_gone_is_unknown_after_its_first_read() {
    let two = Two::new().await;
    two.world.lose(&digest(&two.layer)).await;
    let found = two.world.holds(&two.names[0], &digest(&two.layer)).await;
    assert!(found, "nobody has looked yet");
    let read = two.world.read(&two.names[1], &digest(&two.layer)).await;
    assert!(matches!(read, Err(Error::BlobUnknown(_))), "{read:?}");
    two.layer_is_unknown().await;
    two.heals_by_a_push_to(&two.names[0]).await;
    two.world.drains().await;
}

async fn a_blob_whose_file_is_cut_is_unknown_after_its_first_read() {
    let two = Two::new().await;
    let file = two.world.file_of(&digest(&two.layer)).await;
    fs::write(&file, &two.layer[..2999]).expect("cut");
    let read = two.world.read(&two.names[1], &digest(&two.layer)).await;
    assert!(matches!(read, Err(Error::BlobUnknown(_))), "{read:?}");
    two.layer_is_unknown().await;
    assert!(file.exists(), "a person may want to look at it");
    two.heals_by_a_push_to(&repository("third/c")).await;
    assert!(!file.exists());
    two.world.drains().await;
}

async fn a_flipped_bit_is_found_by_a_check_and_heals() {
    let two = Two::new().await;
    let file = two.world.file_of(&digest(&two.layer)).await;
    let mut bytes = two.layer.to_vec();
    bytes[1234] ^= 4;
    fs::write(&file, bytes).expect("flipped");
    let report = two.world.check(REPAIR).await;
    assert_eq!((report.problem_count, report.repaired), (1, 1));
    two.layer_is_unknown().await;
    assert!(!file.exists());
    assert_eq!(two.world.files("quarantine").len(), 1);
    two.heals_by_a_push_to(&two.names[1]).await;
}

async fn a_session_heals_as_well_as_a_single_request() {
    let two = Two::new().await;
    let wanted = digest(&two.layer);
    two.world.lose(&wanted).await;
    two.world
        .read(&two.names[0], &wanted)
        .await
        .expect_err("marked");
    let (world, name) = (&two.world, &two.names[0]);
    let id = world.upload_start(name, world.account, wanted.algorithm());
    let id = id.await.expect("a session").id;
    let last = world.upload_finish(name, id, &wanted, None, crate::world::body(&two.layer));
    last.await.expect("the blob");
    assert_eq!(
        world.read(&two.names[1], &wanted).await.expect("bytes"),
        two.layer
    );
    world.is_sound().await;
}

async fn a_damaged_blob_that_nobody_needs_is_collected() {
    let world = World::new().await;
    let (name, whole) = (repository("acme/web"), content(1, 300));
    let wanted = world.push(&name, &whole).await;
    world.lose(&wanted).await;
    world.read(&name, &wanted).await.expect_err("marked");
    assert_eq!(world.store_totals().await.expect("totals").damaged, 1);
    world.advance(LONG);
    assert_eq!(world.collect_all().await.blobs, 1);
    assert_eq!(world.store_totals().await.expect("totals").damaged, 0);
    world.drains().await;
}

async fn a_blob_that_healed_meanwhile_is_not_marked_again() {
    let two = Two::new().await;
    let wanted = digest(&two.layer);
    two.world.lose(&wanted).await;
    // The first reader has seen the damage, and is about to mark it.
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let hook = (Arc::clone(&arrived), Arc::clone(&go));
    let first = Calls::Nth(two.world.store.calls(Operation::StoreId) + 1);
    two.world.store.stall(Operation::StoreId, first, move |_| {
        let (arrived, go) = (Arc::clone(&hook.0), Arc::clone(&hook.1));
        Box::pin(async move {
            arrived.notify_one();
            go.notified().await;
        })
    });
    let slow = tokio::spawn({
        let (registry, name) = (two.world.registry(), two.names[0].clone());
        async move { registry.blob_open(&name, &wanted).await.map(drop) }
    });
    arrived.notified().await;
    let second = two.world.read(&two.names[1], &wanted).await;
    assert!(matches!(second, Err(Error::BlobUnknown(_))), "{second:?}");
    two.world.push(&two.names[1], &two.layer).await;
    go.notify_one();
    let slow = slow.await.expect("no panic");
    assert!(matches!(slow, Err(Error::BlobUnknown(_))), "{slow:?}");
    let read = two.world.read(&two.names[0], &wanted).await;
    assert_eq!(read.expect("it stays healed"), two.layer);
}

async fn a_store_that_has_lost_its_mark_damages_no_blob() {
    // As when the disk goes away under a running server.
    let two = Two::new().await;
    let wanted = digest(&two.layer);
    let store = two.world.folder().join("store");
    let (mark, file) = (store.join("store-id"), two.world.file_of(&wanted).await);
    let aside = two.world.folder().join("aside");
    let saved = fs::read(&mark).expect("a mark");
    fs::remove_file(&mark).expect("removed");
    fs::rename(&file, &aside).expect("moved");
    let read = two.world.read(&two.names[0], &wanted).await;
    assert!(matches!(read, Err(Error::StoreMismatch(_))), "{read:?}");
    let progress = landfall_registry::FsckProgress::default();
    let check = two.world.fsck(REPAIR, &progress).await;
    assert!(matches!(check, Err(Error::StoreMismatch(_))), "{check:?}");
    fs::rename(&aside, &file).expect("moved");
    fs::write(&mark, saved).expect("written");
    let read = two.world.read(&two.names[0], &wanted).await;
    assert_eq!(read.expect("the disk is back"), two.layer);
}
