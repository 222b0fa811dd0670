//! Which images go where.

use landfall_transfer::{Error, Plan, Request, plan};

use crate::{
    fake::Fake,
    images::Image,
    world::{assert_says, request},
};

async fn registry(images: &[&str]) -> Fake {
    let fake = Fake::start().await;
    for image in images {
        let (repository, tag) = image.split_once(':').expect("a tag");
        Image::new(1).put(&mut fake.shelf(), repository, Some(tag));
    }
    fake
}

/// Source and destination of each image, without the hosts.
async fn planned(source: &Fake, destination: &Fake, wanted: Request) -> Vec<String> {
    let plan = plan(wanted).await.expect("a plan");
    assert!(plan.failed().is_empty());
    let mut items: Vec<String> = plan
        .items()
        .iter()
        .map(|item| {
            let from = item.from.replace(&source.place(""), "");
            format!("{from} {}", item.to.replace(&destination.place(""), ""))
        })
        .collect();
    items.sort();
    items
}

fn refusal(plan: Result<Plan, Error>) -> String {
    plan.err().expect("a refusal").to_string()
}

#[tokio::test]
async fn a_repository_keeps_its_name_behind_the_pattern() {
    let source = registry(&["team/web:1", "team/web:2", "team/a/b:1", "tool:1"]).await;
    let destination = Fake::start().await;
    let cases: [(&str, &str, &[&str]); 6] = [
        ("team/web:1", "acme/", &["team/web:1 acme/web:1"]),
        ("team/web:1", "acme/shop", &["team/web:1 acme/shop:1"]),
        ("team/web:1", "acme/shop:9", &["team/web:1 acme/shop:9"]),
        (
            "team/*",
            "acme/",
            &[
                "team/a/b:1 acme/a/b:1",
                "team/web:1 acme/web:1",
                "team/web:2 acme/web:2",
            ],
        ),
        ("t*l", "acme/", &["tool:1 acme/tool:1"]),
        (
            "",
            "acme/x/",
            &[
                "team/a/b:1 acme/x/team/a/b:1",
                "team/web:1 acme/x/team/web:1",
                "team/web:2 acme/x/team/web:2",
                "tool:1 acme/x/tool:1",
            ],
        ),
    ];
    for (from, to, expected) in cases {
        let wanted = request(&source.place(from), &destination.place(to));
        assert_eq!(
            planned(&source, &destination, wanted).await,
            expected,
            "{from} {to}"
        );
    }
}

#[tokio::test]
async fn tags_are_chosen_by_patterns() {
    let source = registry(&["a/b:1.0", "a/b:1.1", "a/b:2.0", "a/b:2.0-rc1", "a/b:latest"]).await;
    let destination = Fake::start().await;
    let mut wanted = request(&source.place("a/b"), &destination.place("c/d"));
    wanted.selection.tags = vec![
        "1.?".parse().expect("a pattern"),
        "2*".parse().expect("one"),
    ];
    wanted.selection.exclude = vec!["*-rc*".parse().expect("a pattern")];
    assert_eq!(
        planned(&source, &destination, wanted).await,
        ["a/b:1.0 c/d:1.0", "a/b:1.1 c/d:1.1", "a/b:2.0 c/d:2.0"]
    );
}

#[tokio::test]
async fn a_list_takes_the_place_of_the_catalog() {
    let source = registry(&["a/b:1", "a/b:2", "a/c:1", "x/y:1"]).await;
    let destination = Fake::start().await;
    let mut wanted = request(&source.place("a/"), &destination.place("acme/"));
    let lines = ["a/b:2", "a/c", "x/y"].map(str::to_owned);
    wanted.selection.repositories = Some(lines.to_vec());
    assert_eq!(
        planned(&source, &destination, wanted).await,
        ["a/b:2 acme/b:2", "a/c:1 acme/c:1"]
    );
    assert_eq!(source.count("GET", "_catalog"), 0);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_way_out() {
    let source = registry(&["a/b:1"]).await;
    let destination = Fake::start().await;
    for (from, to, parts) in [
        ("a/*", "acme/one", &["end the destination with `/`"][..]),
        ("a/*", "acme/*", &["is a pattern", "end it with `/`"]),
        (
            "z/*",
            "acme/",
            &["no repository matches `z/*`", "`--from-file`"],
        ),
    ] {
        let wanted = request(&source.place(from), &destination.place(to));
        assert_says(&refusal(plan(wanted).await), parts);
    }
    let mut wanted = request(&source.place("a/b"), &destination.place("acme/b:1"));
    wanted.selection.all_tags = true;
    assert_says(&refusal(plan(wanted).await), &["can't all be called `1`"]);
    let mut wanted = request(&source.place("a/b:1"), &destination.place("acme/b"));
    wanted.selection.all_tags = true;
    assert_says(&refusal(plan(wanted).await), &["names one image"]);
    let wanted = request(&source.place("a/*"), "dir:/nowhere/at/all");
    assert_says(
        &refusal(plan(wanted).await),
        &["don't go into one directory"],
    );
}

#[tokio::test]
async fn a_repository_that_cannot_be_listed_keeps_no_other_from_being_copied() {
    let source = Fake::lying(|asked| {
        let is_bad = asked.is("GET", "a/bad/tags/list");
        is_bad.then(|| crate::fake::Reply::new(403))
    })
    .await;
    for repository in ["a/bad", "a/good"] {
        Image::new(1).put(&mut source.shelf(), repository, Some("1"));
    }
    let destination = Fake::start().await;
    let wanted = request(&source.place("a/*"), &destination.place("acme/"));
    let report = crate::world::run(wanted).await.expect("a plan");
    assert_eq!(report.count(landfall_transfer::Outcome::Copied), 1);
    assert_eq!(report.count(landfall_transfer::Outcome::Failed), 1);
    assert!(Image::new(1).is_in(&destination.shelf(), "acme/good", "1"));
}
