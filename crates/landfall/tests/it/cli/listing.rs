//! What the commands list and show: tables for people, JSON for programs.

use serde_json::{Value, json};

use super::{World, assert_narrow, scrub};
use crate::session::{INDEX, Image, MANIFEST, digest, index, referrer};

/// Two images, an index of both, and an artifact that refers to the first.
async fn pushed() -> World {
    let world = World::start();
    let (one, two) = (Image::new(1, 2), Image::for_platform(1, 3, "arm64"));
    world.session.push("acme/web", "1.1", &one).await;
    world
        .session
        .push("acme/web", &two.digest().to_string(), &two)
        .await;
    let index = index(&[(&one, "amd64"), (&two, "arm64")]);
    world
        .session
        .push_manifest("acme/web", "1.2", INDEX, &index)
        .await;
    world
        .session
        .push_manifest("acme/web", "latest", INDEX, &index)
        .await;
    let artifact = referrer(&one.manifest, "application/vnd.example.signature");
    world.session.push_blob("acme/web", b"{}").await;
    let name = digest(&artifact).to_string();
    world
        .session
        .push_manifest("acme/web", &name, MANIFEST, &artifact)
        .await;
    world.session.push("acme/team/api", "v1", &one).await;
    world
}

/// Runs a command, and compares what it prints.
fn assert_prints(world: &World, words: &[&str], expected: &str) {
    let ran = world.run(words);
    assert_eq!(ran.stderr, "", "{words:?}");
    let printed = scrub(&ran.ok());
    assert_narrow(&printed);
    assert_eq!(printed, expected, "{words:?} printed:\n{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_and_images_are_listed_and_shown() {
    let world = pushed().await;
    assert_prints(
        &world,
        &["repo", "list"],
        " NAME           TAGS  MANIFESTS  BLOBS  SIZE
 acme/team/api  1     1          3      3.95 kB
 acme/web       3     4          6      4.90 kB
",
    );
    assert_prints(
        &world,
        &["repo", "show", "acme/web"],
        "name       acme/web
id         00000000-0000-0000-0000-000000000000
created    0000-00-00 00:00:00
tags       3
manifests  4
blobs      6
size       4.90 kB
tag rule   mutable
pulls      0
sent       0 B
",
    );
    assert_prints(
        &world,
        &["image", "list", "acme/web"],
        " TAGS         DIGEST               KIND      SIZE     PUSHED
 -            sha256:1777665b4775  image     4.49 kB  0000-00-00 00:00:00
 1.1          sha256:49d3bbc3fa4e  image     4.49 kB  0000-00-00 00:00:00
 1.2, latest  sha256:97ff006ef21b  index     491 B    0000-00-00 00:00:00
 -            sha256:a0ab8cfc5ec0  referrer  596 B    0000-00-00 00:00:00
",
    );
    assert_prints(
        &world,
        &["image", "show", "acme/web:1.2"],
        "digest
  sha256:97ff006ef21be7989e5e132a0038d49658c9dbaf5f9ccae9bb48f9b63ccac84c
tags           1.2, latest
media type     application/vnd.oci.image.index.v1+json
pushed         0000-00-00 00:00:00
size           491 B
layers         0
platforms      2
referrers      0
",
    );
    assert_prints(
        &world,
        &["image", "tree", "acme/web:1.2"],
        "index sha256:97ff006ef21b  491 B  [1.2, latest]
├─ image sha256:49d3bbc3fa4e  linux/amd64  4.49 kB  [1.1]
│  ├─ layer sha256:f5cb0358ebd8  3.00 kB
│  ├─ layer sha256:1f1c165eb02e  500 B
│  └─ referrer sha256:a0ab8cfc5ec0  596 B  application/vnd.example.signature
│     └─ layer sha256:44136fa355b3  2 B
└─ image sha256:1777665b4775  linux/arm64  4.49 kB
   ├─ layer sha256:f5cb0358ebd8  3.00 kB
   └─ layer sha256:48a164bc216c  500 B
",
    );
    assert_prints(
        &world,
        &[
            "image",
            "history",
            "acme/web:1.2",
            "--platform",
            "linux/arm64",
        ],
        " CREATED              SIZE     CREATED BY
 0000-00-00T00:00:00  3.00 kB  unpack the base
                      -        ENV A=1
 0000-00-00T00:00:00  500 B    copy the program
",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_says_what_it_did() {
    let world = pushed().await;
    let empty = "acme/new";
    assert_prints(&world, &["repo", "create", empty], "created acme/new\n");
    assert_prints(
        &world,
        &["repo", "delete", "--yes", empty],
        "deleted acme/new\n",
    );
    assert_prints(
        &world,
        &["image", "delete", "acme/web:1.2"],
        "deleted acme/web:1.2\n",
    );
    assert_prints(
        &world,
        &["image", "delete", "--purge", "acme/web:latest"],
        "deleted acme/web:latest
  sha256:97ff006ef21be7989e5e132a0038d49658c9dbaf5f9ccae9bb48f9b63ccac84c
  sha256:1777665b47755f8f167494f60bbf497778ea68b3be38fbf70a0b26285cd6f215
",
    );
    assert_prints(
        &world,
        &["fsck"],
        "blobs      6 (4.90 kB)
manifests  3
problems   0
repaired   0
",
    );
    // Two blobs of the deleted image; and four that were pushed twice.
    assert_prints(
        &world,
        &["gc", "run", "--grace", "0s"],
        "collected         2 (947 B)
purged manifests  2
ended uploads     0
orphans           0
deleted objects   6
freed             7.89 kB
waiting in trash  0 (0 B)
",
    );
    assert_prints(
        &world,
        &["gc", "list"],
        " STARTED              PHASE  DRY RUN  BLOBS  FREED
 0000-00-00 00:00:00  done   false    2      7.89 kB
",
    );
    assert_prints(
        &world,
        &["gc", "run", "--dry-run"],
        "would collect     0 (0 B)
would free        0 B
waiting in trash  0 (0 B)
",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn as_json_everything_is_what_the_api_answers() {
    let world = pushed().await;
    let run = |words: &[&str]| {
        let mut all = words.to_vec();
        all.extend(["--output", "json"]);
        world.run(&all).json()
    };
    let api = async |path: &str| world.session.json(&format!("/api/v1/{path}")).await;
    let image = "repositories/acme%2Fweb/images/1.2";
    assert_eq!(run(&["repo", "list"]), api("repositories").await["items"]);
    assert_eq!(
        run(&["repo", "show", "acme/web"]),
        api("repositories/acme%2Fweb").await
    );
    let images = api("repositories/acme%2Fweb/images").await;
    assert_eq!(run(&["image", "list", "acme/web"]), images["items"]);
    assert_eq!(run(&["image", "show", "acme/web:1.2"]), api(image).await);
    assert_eq!(run(&["image", "tree", "acme/web:1.2"]), api(image).await);
    let history = api(&format!("{image}/history")).await;
    assert_eq!(run(&["image", "history", "acme/web:1.2"]), history["items"]);
    let made = run(&["repo", "create", "acme/new"]);
    assert_eq!(made["name"], "acme/new");
    assert_eq!(
        run(&["repo", "delete", "--yes", "acme/new"]),
        json!({ "deleted": "acme/new" })
    );
    let gone = run(&["image", "delete", "acme/web:1.2"]);
    assert_eq!(gone, json!({ "manifests": [] }), "`latest` holds it");
    let run_of_gc = run(&["gc", "run", "--dry-run"]);
    assert_eq!(run_of_gc["phase"], "done");
    assert_eq!(run(&["gc", "list"]), json!([run_of_gc]));
    assert_eq!(run(&["fsck"])["report"]["clean"], true);
    let settings = run(&["config", "show"]);
    assert!(settings.is_array() || settings.is_object(), "{settings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_listing_says_so_beside_the_data() {
    let world = World::start();
    let table = world.run(&["repo", "list"]);
    assert_eq!((table.code, table.stdout.as_str()), (0, ""));
    assert_eq!(table.stderr, "nothing to list\n");
    let json = world.run(&["repo", "list", "--output", "json"]);
    assert_eq!(json.stderr, "");
    assert_eq!(json.json(), Value::Array(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_page_is_listed_whole() {
    let world = World::start();
    let names: Vec<String> = (0..1002)
        .map(|number| format!("acme/r{number:04}"))
        .collect();
    for name in &names {
        let body = json!({ "name": name });
        let request = world
            .session
            .request(reqwest::Method::POST, "/api/v1/repositories");
        let made = request.json(&body).send().await.expect("answer");
        assert_eq!(made.status(), 201);
    }
    let listed = world.run(&["repo", "list", "--output", "json"]).json();
    let listed: Vec<_> = listed.as_array().expect("a list").iter().collect();
    let found: Vec<_> = listed
        .iter()
        .map(|each| each["name"].as_str().expect("name"))
        .collect();
    assert_eq!(found, names);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_names_and_many_tags_stay_within_80_columns() {
    let world = World::start();
    let name = format!("acme/{}", vec!["component"; 20].join("/"));
    let image = Image::new(1, 2);
    for tag in 0..12 {
        world
            .session
            .push(&name, &format!("a-rather-long-tag-{tag}"), &image)
            .await;
    }
    let repositories = world.run(&["repo", "list"]).ok();
    assert_narrow(&repositories);
    assert!(repositories.contains(" 12 "), "{repositories}");
    let images = world.run(&["image", "list", &name]).ok();
    assert_narrow(&images);
    for tag in 0..10 {
        assert!(
            images.contains(&format!("a-rather-long-tag-{tag}")),
            "{images}"
        );
    }
}
