//! `landfall tag`, and what undoes.

use serde_json::json;

use super::{Ran, World, assert_narrow, scrub};
use crate::session::Image;

async fn pushed() -> (World, [String; 2]) {
    let world = World::start();
    let images = [Image::new(1, 2), Image::new(1, 3)];
    for (image, tag) in images.iter().zip(["1.1", "1.2"]) {
        world.session.push("acme/web", tag, image).await;
    }
    let digests = images.map(|image| image.digest().to_string());
    (world, digests)
}

fn lines(ran: Ran) -> Vec<String> {
    let text = ran.ok();
    assert_narrow(&text);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    scrub(&text).lines().map(words).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_moved_told_of_and_turned_back() {
    let (world, [one, two]) = pushed().await;
    let run = |words: &[&str]| world.run(words);
    let made = run(&["tag", "create", "acme/web:prod", ":1.1"]).ok();
    assert_eq!(made, format!("acme/web:prod points at {one}\n"));
    run(&["tag", "create", "acme/web:prod", &format!("acme/web@{two}")]).ok();
    let listed = lines(run(&["tag", "list", "acme/web"]));
    let short = |digest: &str| digest.chars().take(19).collect::<String>();
    assert_eq!(listed[0], "TAG DIGEST UPDATED IMMUTABLE");
    assert_eq!(
        listed[3],
        format!("prod {} 0000-00-00 00:00:00 no", short(&two))
    );
    let shown = lines(run(&["tag", "show", "acme/web:prod"]));
    assert!(
        shown.contains(&format!("digest {two}")) || shown.contains(&two),
        "{shown:?}"
    );

    let undone = run(&["tag", "undo", "acme/web:prod"]).ok();
    assert_eq!(undone, format!("acme/web:prod points at {one} again\n"));
    run(&["tag", "delete", "acme/web:prod"]).ok();
    let deleted = lines(run(&["tag", "list", "--deleted", "acme/web"]));
    assert!(deleted[1].ends_with("admin tag undo"), "{deleted:?}");
    run(&["tag", "undo", "acme/web:prod"]).ok();
    let history = lines(run(&["tag", "history", "acme/web:prod"]));
    let hex = |digest: &str| digest[7..19].to_owned();
    let (one, two) = (hex(&one), hex(&two));
    let expected = [
        "NR WHAT FROM TO WHEN BY".to_owned(),
        format!("5 restored (4) - {one} 0000-00-00 00:00:00 admin"),
        format!("4 deleted {one} - 0000-00-00 00:00:00 admin"),
        format!("3 restored (2) {two} {one} 0000-00-00 00:00:00 admin"),
        format!("2 moved {one} {two} 0000-00-00 00:00:00 admin"),
        format!("1 created - {one} 0000-00-00 00:00:00 admin"),
    ];
    assert_eq!(history, expected);
    let limited = run(&[
        "tag",
        "history",
        "acme/web:prod",
        "--limit",
        "2",
        "-o",
        "json",
    ])
    .json();
    assert_eq!(limited.as_array().map(Vec::len), Some(2));
    assert_eq!(limited[0]["number"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_set_shown_and_kept() {
    let (world, _) = pushed().await;
    let run = |words: &[&str]| world.run(words);
    let update = ["repo", "update", "acme/web", "--immutable-tags"];
    let set = run(&[&update[..], &["--except", "latest", "--except", "dev-*"]].concat()).ok();
    assert_eq!(set, "acme/web: immutable, except dev-* latest\n");
    let shown = lines(run(&["repo", "show", "acme/web"]));
    let expected = "tag rule immutable, except dev-* latest".to_owned();
    assert!(shown.contains(&expected), "{shown:?}");
    let refused = run(&["tag", "create", "acme/web:1.1", ":1.2"]).error();
    assert!(
        refused.starts_with("tag `1.1` of `acme/web` is immutable"),
        "{refused}"
    );
    let refused = run(&["image", "delete", "acme/web:1.1"]).error();
    assert!(refused.contains("is immutable"), "{refused}");
    let set = run(&["repo", "update", "acme/web", "--mutable-tags"]).ok();
    assert_eq!(set, "acme/web: mutable\n");
    run(&["tag", "create", "acme/web:1.1", ":1.2"]).ok();
    let neither = run(&["repo", "update", "acme/web", "--except", "a"]);
    assert_eq!(neither.code, 2, "{neither:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_of_images_and_repositories_are_turned_back() {
    let (world, [one, _]) = pushed().await;
    let run = |words: &[&str]| world.run(words);
    let image = format!("acme/web@{one}");
    run(&["image", "delete", &image]).ok();
    let refused = run(&["tag", "undo", "acme/web:1.1"]).error();
    assert!(refused.contains("restore the image first"), "{refused}");
    let restored = run(&["image", "restore", &image]).ok();
    assert_eq!(restored, format!("restored {image}\n  {one}\n  1.1\n"));
    run(&["repo", "delete", "--yes", "acme/web"]).ok();
    assert_eq!(
        run(&["repo", "restore", "acme/web"]).ok(),
        "restored acme/web\n"
    );
    run(&["image", "delete", "--purge", &image]).ok();
    let refused = run(&["image", "restore", &image]).error();
    assert!(refused.contains("purge"), "{refused}");
    run(&["repo", "delete", "--yes", "--purge", "acme/web"]).ok();
    let refused = run(&["repo", "restore", "acme/web"]).error();
    assert!(refused.contains("purge"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_shown_and_wrong_words_are_explained() {
    let (world, _) = pushed().await;
    let usage = world
        .run(&["repo", "usage", "acme/web", "--output", "json"])
        .json();
    assert_eq!(usage["pulls"], 0);
    assert_eq!(usage["last_pull"], json!(null));
    assert!(usage["bytes"].as_u64().is_some_and(|bytes| bytes > 3000));
    let other = world
        .run(&["tag", "create", "acme/web:prod", "acme/api:1"])
        .error();
    assert!(
        other.contains("`acme/api` is another repository"),
        "{other}"
    );
    for words in [
        &["tag", "show", "acme/web"][..],
        &["tag", "create", "acme/web:a", "acme"],
        &["tag", "undo", "web"],
    ] {
        let ran = world.run(words);
        assert_eq!(ran.code, 2, "{words:?}: {ran:?}");
    }
}
