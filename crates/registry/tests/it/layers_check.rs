//! `layers:check`: what a push has to send.

use landfall_ids::AccountId;
use landfall_oci::{Digest, RepositoryName};
use landfall_registry::LayerState::{self, Mounted, New, Present};

use crate::{
    documents::{image, written},
    world::{LONG, PROMISE, World, content, digest, repository},
};

on_both!(
    each_layer_is_present_mounted_or_new,
    a_layer_that_the_caller_may_not_read_is_new,
    a_deleted_or_damaged_layer_is_new,
    a_positive_answer_is_a_promise,
    no_layers_need_no_repository,
);

async fn check(
    world: &World,
    name: &RepositoryName,
    digests: &[Digest],
    may_read: impl Fn(&RepositoryName) -> bool,
) -> Vec<LayerState> {
    let answer = world.layers_check(name, world.account, digests, may_read);
    let answer = answer.await.expect("an answer");
    let asked: Vec<_> = answer.iter().map(|(digest, _)| *digest).collect();
    assert_eq!(asked, digests, "in the order asked");
    answer.into_iter().map(|(_, state)| state).collect()
}

async fn each_layer_is_present_mounted_or_new() {
    let world = World::new().await;
    let (name, base) = (repository("acme/web"), repository("acme/base"));
    let present = world.push(&name, &content(1, 10)).await;
    let mounted = world.push(&base, &content(2, 10)).await;
    let foreign = content(3, 10);
    world
        .push_as(AccountId::new_at(1), &repository("other/base"), &foreign)
        .await;
    let nowhere = digest(b"nobody has this");
    let asked = [nowhere, mounted, digest(&foreign), present, mounted];
    let states = check(&world, &name, &asked, |_| true).await;
    assert_eq!(states, [New, Mounted, New, Present, Mounted]);
    assert_eq!(
        world.read(&name, &mounted).await.expect("linked"),
        content(2, 10)
    );
    let states = check(&world, &name, &asked, |_| true).await;
    assert_eq!(states, [New, Present, New, Present, Present]);
    assert!(!world.holds(&name, &digest(&foreign)).await);
}

async fn a_layer_that_the_caller_may_not_read_is_new() {
    let world = World::new().await;
    let (name, secret) = (repository("acme/web"), repository("acme/secret"));
    let open = repository("acme/tools");
    let layer = world.push(&secret, &content(1, 10)).await;
    let states = check(&world, &name, &[layer], |from| *from != secret).await;
    assert_eq!(states, [LayerState::New]);
    assert!(!world.holds(&name, &layer).await);
    let names = world.repository_names(None, 10).await.expect("names");
    assert_eq!(
        names.entries,
        std::slice::from_ref(&secret),
        "asking in vain makes no repository"
    );
    world.push(&open, &content(1, 10)).await;
    let states = check(&world, &name, &[layer], |from| *from != secret).await;
    assert_eq!(states, [LayerState::Mounted], "another source will do");
}

async fn a_deleted_or_damaged_layer_is_new() {
    let world = World::new().await;
    let name = repository("acme/web");
    let deleted = world.push(&name, &content(1, 10)).await;
    let damaged = world.push(&name, &content(2, 10)).await;
    world.blob_delete(&name, &deleted).await.expect("deleted");
    std::fs::remove_file(world.file_of(&damaged).await).expect("a file");
    world.read(&name, &damaged).await.expect_err("it is marked");
    let states = check(&world, &name, &[deleted, damaged], |_| true).await;
    assert_eq!(states, [LayerState::New, LayerState::New]);
}

async fn a_positive_answer_is_a_promise() {
    let world = World::new().await;
    let (name, base) = (repository("acme/web"), repository("acme/base"));
    let present = content(1, 10);
    let mounted = content(2, 10);
    let layers = [
        world.push(&name, &present).await,
        world.push(&base, &mounted).await,
    ];
    world.advance(PROMISE + PROMISE / 4);
    check(&world, &name, &layers, |_| true).await;
    world.repository_delete(&base, true).await.expect("deleted");
    world.advance(PROMISE);
    world.collect().await;
    for layer in &layers {
        assert!(world.holds(&name, layer).await, "{layer} was promised");
    }
    let manifest = written(&image(&present, &[&mounted]));
    world.put(&name, &["v1"], &manifest).await.expect("pushed");
    world.advance(LONG);
    world.collect().await;
    for layer in &layers {
        assert!(world.holds(&name, layer).await, "{layer} is needed");
    }
}

async fn no_layers_need_no_repository() {
    let world = World::new().await;
    let states = check(&world, &repository("acme/web"), &[], |_| true).await;
    assert_eq!(states, []);
    assert_eq!(world.count("select count(*) from repository").await, 0);
}
