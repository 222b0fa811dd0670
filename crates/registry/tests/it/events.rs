//! Events, usage and pins: what the registry tells, counts and holds.

use std::time::Duration;

use landfall_clock::Clock;
use landfall_database::outbox;
use landfall_oci::RepositoryName;
use landfall_registry::{Error, Settings, Usage};
use serde_json::{Value, json};

use crate::{
    tag_rules::three,
    world::{SETTINGS, UNDO, World, content, digest, reference, repository, tag},
};

on_both!(
    every_change_is_told_in_order_with_its_data,
    what_changes_nothing_tells_nothing,
    damage_is_told_to_everybody_who_sees_the_blob,
    the_collector_tells_what_it_hides,
    pulls_are_added_up_and_none_is_counted_twice,
    usage_of_many_servers_adds_up_and_goes_with_its_repository,
    a_pin_holds_a_manifest_until_it_is_released_or_ends,
);

const NAME: &str = "acme/web";

/// The events so far, numbered, each as its kind, its actor and its data.
async fn told(world: &World) -> Vec<(String, Option<String>, Value)> {
    let numbered = world.database.write(|tx| outbox::number(tx, 1000)).await;
    let numbered: landfall_database::Result<_> = numbered;
    numbered.expect("numbered");
    let events: landfall_database::Result<_> = world
        .database
        .read_long(|tx| outbox::read_after(tx, outbox::Part::Everything, 0, 1000))
        .await;
    let events = events.expect("events").into_iter().map(|event| {
        let mut data: Value = serde_json::from_str(&event.data).expect("JSON");
        assert_eq!(data["repository"], event.subject);
        let fields = data.as_object_mut().expect("an object");
        assert!(
            fields
                .remove("repositoryId")
                .is_some_and(|id| id.is_string())
        );
        fields.remove("repository");
        assert_eq!(
            fields.remove("actor").as_ref().and_then(Value::as_str),
            event.actor.as_deref()
        );
        (event.kind, event.actor, data)
    });
    events.collect()
}

async fn every_change_is_told_in_order_with_its_data() {
    let (world, name) = (World::new().await, repository(NAME));
    let images = three(&world, &name).await;
    let [one, two, _] = images.each_ref().map(|image| digest(image));
    let ann = world.acting_as("ann");
    world.put(&name, &["v1"], &images[0]).await.expect("pushed");
    world.put(&name, &["v1"], &images[1]).await.expect("pushed");
    ann.tag_delete(&name, &tag("v1")).await.expect("deleted");
    ann.tag_undo(&name, &tag("v1"), None).await.expect("undone");
    ann.tag_create(&name, &tag("v1"), &reference(&one))
        .await
        .expect("moved");
    ann.tag_undo(&name, &tag("v1"), None).await.expect("undone");
    ann.manifest_delete(&name, &two).await.expect("deleted");
    ann.image_restore(&name, &two).await.expect("restored");
    ann.repository_delete(&name, false).await.expect("deleted");
    ann.repository_restore(&name).await.expect("restored");
    let found = told(&world).await;
    let by: Vec<_> = found.iter().map(|(_, actor, _)| actor.as_deref()).collect();
    assert!(by[..5].iter().all(Option::is_none) && by[5..].iter().all(|by| *by == Some("ann")));
    let found: Vec<_> = found
        .into_iter()
        .map(|(kind, _, data)| (kind, data))
        .collect();
    let pushed = |at: usize| {
        json!({ "digest": digest(&images[at]), "size": images[at].len(),
                "mediaType": "application/vnd.oci.image.manifest.v1+json" })
    };
    let expected = [
        ("repository.created", json!({})),
        ("manifest.pushed", pushed(0)),
        ("tag.created", json!({ "tag": "v1", "digest": one })),
        ("manifest.pushed", pushed(1)),
        (
            "tag.moved",
            json!({ "tag": "v1", "digest": two, "previous": one }),
        ),
        ("tag.deleted", json!({ "tag": "v1", "previous": two })),
        ("tag.restored", json!({ "tag": "v1", "digest": two })),
        (
            "tag.moved",
            json!({ "tag": "v1", "digest": one, "previous": two }),
        ),
        (
            "tag.restored",
            json!({ "tag": "v1", "digest": two, "previous": one }),
        ),
        ("tag.deleted", json!({ "tag": "v1", "previous": two })),
        ("manifest.deleted", json!({ "digest": two, "purge": false })),
        ("manifest.restored", json!({ "digest": two })),
        ("tag.restored", json!({ "tag": "v1", "digest": two })),
        ("repository.deleted", json!({ "purge": false })),
        ("repository.restored", json!({})),
    ];
    assert_eq!(found, expected.map(|(kind, data)| (kind.to_owned(), data)));
}

async fn what_changes_nothing_tells_nothing() {
    let (world, name) = (World::new().await, repository(NAME));
    let [first, ..] = three(&world, &name).await;
    world.put(&name, &["v1"], &first).await.expect("pushed");
    let before = told(&world).await.len();
    world
        .tag_create(&name, &tag("v1"), &reference("v1"))
        .await
        .expect("there already");
    let refused = world.tag_delete(&name, &tag("v2")).await;
    assert!(matches!(refused, Err(Error::ManifestUnknown(_))));
    let refused = world.repository_delete(&repository("acme/no"), false).await;
    assert!(matches!(refused, Err(Error::RepositoryUnknown(_))));
    assert_eq!(told(&world).await.len(), before);
}

async fn damage_is_told_to_everybody_who_sees_the_blob() {
    let world = World::new().await;
    let whole = content(1, 300);
    let names = ["acme/a", "acme/b", "other/c"].map(repository);
    for name in &names {
        world.push(name, &whole).await;
    }
    world
        .repository_delete(&names[1], false)
        .await
        .expect("deleted");
    let file = world.file_of(&digest(&whole)).await;
    std::fs::remove_file(file).expect("removed");
    for name in [&names[0], &names[2], &names[0]] {
        let gone = world.blob_open(name, &digest(&whole)).await;
        assert!(matches!(gone, Err(Error::BlobUnknown(_))));
    }
    let found = told(&world).await;
    let damaged: Vec<_> = found
        .iter()
        .filter(|(kind, ..)| kind == "blob.damaged")
        .collect();
    assert_eq!(damaged.len(), 2, "each once: {damaged:?}");
    assert_eq!(damaged[0].2, json!({ "digest": digest(&whole) }));
}

async fn the_collector_tells_what_it_hides() {
    let settings = Settings {
        untagged_after: Some(UNDO),
        ..SETTINGS
    };
    let (world, name) = (World::with(settings).await, repository(NAME));
    let [first, ..] = three(&world, &name).await;
    world.put(&name, &[], &first).await.expect("pushed");
    world.advance(UNDO);
    world.collect().await;
    let last = told(&world).await.pop().expect("an event");
    let data = json!({ "digest": digest(&first), "purge": false });
    assert_eq!(last, ("manifest.deleted".to_owned(), None, data));
    world
        .image_restore(&name, &digest(&first))
        .await
        .expect("by a person");
}

async fn usage(world: &World, name: &RepositoryName) -> Usage {
    world.repository_show(name).await.expect("there").usage
}

async fn pulls_are_added_up_and_none_is_counted_twice() {
    let (world, name) = (World::new().await, repository(NAME));
    let [first, ..] = three(&world, &name).await;
    world.put(&name, &["v1"], &first).await.expect("pushed");
    assert_eq!(usage(&world, &name).await, Usage::default());
    let size = first.len() as u64;
    for round in 1..=3 {
        world.advance(Duration::from_mins(1));
        let now = world.clock.now();
        for _ in 0..5 {
            let pulled = world.manifest_get(&name, &reference("v1")).await;
            pulled.expect("a manifest").usage().pulled(size, now);
        }
        world.usage_of(&name).sent(1000);
        world.usage_flush().await.expect("written down");
        world.usage_flush().await.expect("nothing to write");
        let expected = Usage {
            pulls: 5 * round,
            bytes: (5 * size + 1000) * round,
            last_pull: Some(now),
        };
        assert_eq!(usage(&world, &name).await, expected);
    }
}

async fn usage_of_many_servers_adds_up_and_goes_with_its_repository() {
    let (world, name) = (World::new().await, repository(NAME));
    world.push(&name, &content(1, 10)).await;
    let now = world.clock.now();
    // What a second server does: its counters are its own.
    for late in [Duration::from_mins(5), Duration::ZERO] {
        world.usage_of(&name).pulled(10, now + late);
        world.usage_of(&repository("acme/gone")).pulled(10, now);
        world.usage_flush().await.expect("written down");
    }
    let counted = usage(&world, &name).await;
    assert_eq!((counted.pulls, counted.bytes), (2, 20));
    assert_eq!(counted.last_pull, Some(now + Duration::from_mins(5)));
    assert_eq!(
        world.count("select count(*) from repository_usage").await,
        1
    );
    world.drains().await;
}

async fn a_pin_holds_a_manifest_until_it_is_released_or_ends() {
    let settings = Settings {
        untagged_after: Some(UNDO),
        ..SETTINGS
    };
    let (world, name) = (World::with(settings).await, repository(NAME));
    let images = three(&world, &name).await;
    let [released, ended, kept] = images.each_ref().map(|image| digest(image));
    for image in &images {
        world.put(&name, &[], image).await.expect("pushed");
    }
    let now = world.clock.now();
    let pin = async |digest, until| {
        let set = world.pin_set(&name, digest, "a scan", until).await;
        set.expect("pinned");
    };
    pin(&released, now + UNDO * 100).await;
    pin(&ended, now + UNDO * 2).await;
    pin(&kept, now + UNDO * 100).await;
    pin(&kept, now + UNDO).await;
    let there = async |digest| world.manifest_get(&name, &reference(digest)).await.is_ok();
    world.advance(UNDO + UNDO / 2);
    world.collect_all().await;
    assert!(there(&released).await && there(&ended).await && there(&kept).await);
    assert!(
        world
            .pin_release(&name, &released, "a scan")
            .await
            .expect("released")
    );
    assert!(
        !world
            .pin_release(&name, &released, "a scan")
            .await
            .expect("asked")
    );
    assert!(
        !world
            .pin_release(&name, &kept, "somebody else")
            .await
            .expect("asked")
    );
    world.advance(UNDO);
    world.collect_all().await;
    assert!(!there(&released).await, "its time counts from the release");
    assert!(
        there(&ended).await,
        "its time counts from the end of the pin"
    );
    world.advance(UNDO);
    world.collect_all().await;
    assert!(!there(&ended).await);
    assert!(there(&kept).await, "a shorter pin does not shorten");
    let unknown = world.pin_set(&name, &released, "a scan", now).await;
    assert!(matches!(unknown, Err(Error::ManifestUnknown(_))));
}
