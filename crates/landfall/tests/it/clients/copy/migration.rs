//! Whole registries, there and back.

use serde_json::json;

use super::{DockerRegistry, World, number};
use crate::session::{MANIFEST, Session, digest, referrer};

#[test]
fn a_docker_registry_moves_to_landfall_and_the_digests_stay() {
    let world = World::start();
    let peer = DockerRegistry::start(&world.scratch);
    world
        .layout
        .add_index("all", &[("one", "amd64"), ("two", "arm64")]);
    for (tag, image) in [
        ("one", "team/web:one"),
        ("two", "team/web:two"),
        ("all", "team/multi/all:all"),
        ("one", "other:one"),
    ] {
        let place = format!("docker://{}/{image}", peer.host);
        world.skopeo(&[
            "copy",
            "--all",
            "--dest-tls-verify=false",
            &world.layout.transport(tag),
            &place,
        ]);
    }
    let pattern = peer.place("team/*");
    let planned = world.copy(&["--dry-run", &pattern, "acme/"]);
    let images = planned["images"].as_array().expect("a plan");
    let mut targets: Vec<&str> = images
        .iter()
        .filter_map(|image| image["destination"].as_str())
        .collect();
    targets.sort_unstable();
    assert_eq!(
        targets,
        ["acme/multi/all:all", "acme/web:one", "acme/web:two"]
    );
    let report = world.copy(&[&pattern, "acme/"]);
    assert_eq!(number(&report, "/copied"), 3, "{report}");
    for (image, tag) in [
        ("acme/web:one", "one"),
        ("acme/web:two", "two"),
        ("acme/multi/all:all", "all"),
    ] {
        world.assert_same(image, tag);
    }
    // What several repositories have was sent once.
    assert!(number(&report, "/content/mounted/count") > 0, "{report}");
    let again = world.copy(&[&pattern, "acme/"]);
    assert_eq!(number(&again, "/unchanged"), 3, "{again}");
    assert_eq!(number(&again, "/content/copied/bytes"), 0);
    assert!(number(&again, "/content/skipped/count") > 0);
    // All repositories, each with its whole name, and back into another place.
    let report = world.copy(&[&peer.place(""), "acme/old/"]);
    assert_eq!(number(&report, "/copied"), 4);
    world.assert_same("acme/old/team/web:two", "two");
    let report = world.copy(&["acme/old/*", &peer.place("back/")]);
    assert_eq!(number(&report, "/failed"), 0);
    world.copy(&["--all-tags", &peer.place("back/team/web"), "acme/back"]);
    world.assert_same("acme/back:one", "one");
}

#[test]
fn tags_are_chosen_and_a_list_takes_the_place_of_the_catalog() {
    let world = World::start();
    let peer = DockerRegistry::start(&world.scratch);
    for tag in ["1.0", "1.1", "2.0"] {
        world.copy(&[
            &world.layout.transport("one"),
            &peer.place(&format!("team/web:{tag}")),
        ]);
    }
    let from = peer.place("team/web");
    let report = world.copy(&["--tags", "1.*", "--exclude", "*.1", &from, "acme/chosen"]);
    assert_eq!(number(&report, "/copied"), 1);
    assert_eq!(report["images"][0]["destination"], "acme/chosen:1.0");
    let list = world.scratch.write("names.txt", "# ours\nteam/web:2.0\n\n");
    let list = list.display().to_string();
    let report = world.copy(&["--from-file", &list, &peer.place("team/"), "acme/listed/"]);
    assert_eq!(report["images"][0]["destination"], "acme/listed/web:2.0");
    assert_eq!(number(&report, "/copied"), 1);
}

#[test]
fn one_platform_is_copied_alone() {
    let world = World::start();
    world
        .layout
        .add_index("all", &[("one", "amd64"), ("two", "arm64")]);
    world.copy(&[&world.layout.transport("all"), "acme/multi:all"]);
    world.copy(&[
        "--platform",
        "linux/arm64",
        "acme/multi:all",
        "acme/single:arm",
    ]);
    world.assert_same("acme/single:arm", "two");
}

/// docker-registry keeps no list of referrers, Landfall does.
#[tokio::test(flavor = "multi_thread")]
async fn referrers_survive_a_registry_that_knows_of_none() {
    let world = World::start();
    let peer = DockerRegistry::start(&world.scratch);
    world.copy(&[&world.layout.transport("one"), "acme/web:1"]);
    let manifest = world.raw("acme/web:1").into_bytes();
    let note = referrer(&manifest, "application/x.note");
    let session = Session::of(&world.server);
    session.push_blob("acme/web", b"{}").await;
    session
        .push_manifest("acme/web", &digest(&note).to_string(), MANIFEST, &note)
        .await;
    world.copy(&["--referrers", "acme/web:1", &peer.place("team/web:1")]);
    world.copy(&["--referrers", &peer.place("team/web:1"), "acme/back:1"]);
    let path = format!("/v2/acme/back/referrers/{}", digest(&manifest));
    let listed = session.json(&path).await;
    assert_eq!(listed["manifests"][0]["digest"], json!(digest(&note)));
    assert_eq!(listed["manifests"][0]["artifactType"], "application/x.note");
    // A layout keeps them as well.
    let layout = world.place("oci", "with-notes");
    world.copy(&["--referrers", "acme/back:1", &layout]);
    world.copy(&["--referrers", &layout, "acme/third:1"]);
    let path = format!("/v2/acme/third/referrers/{}", digest(&manifest));
    let listed = session.json(&path).await;
    assert_eq!(listed["manifests"][0]["digest"], json!(digest(&note)));
}
