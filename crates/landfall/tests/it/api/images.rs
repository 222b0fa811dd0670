//! `/api/v1/repositories/{name}/images`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{World, items, problem, walk};
use crate::session::{INDEX, Image, MANIFEST, digest, index, referrer};

const IMAGES: &str = "/api/v1/repositories/admin%2Fweb/images";

/// Pushes an index of two images, and an artifact that refers to the first.
async fn push_index(world: &World) -> (Image, Image, Vec<u8>, Vec<u8>) {
    let (one, two) = (Image::new(1, 2), Image::for_platform(1, 3, "arm64"));
    for image in [&one, &two] {
        world
            .session
            .push("admin/web", &image.digest().to_string(), image)
            .await;
    }
    let index = index(&[(&one, "amd64"), (&two, "arm64")]);
    world
        .session
        .push_manifest("admin/web", "v1", INDEX, &index)
        .await;
    let artifact = referrer(&one.manifest, "application/vnd.example.signature");
    world.session.push_blob("admin/web", b"{}").await;
    let name = digest(&artifact).to_string();
    world
        .session
        .push_manifest("admin/web", &name, MANIFEST, &artifact)
        .await;
    (one, two, index, artifact)
}

#[tokio::test]
async fn the_list_tells_of_every_image_in_pages() {
    let world = World::start();
    let images: Vec<Image> = (0..5).map(|seed| Image::new(9, seed)).collect();
    for (number, image) in images.iter().enumerate() {
        world
            .session
            .push("admin/web", &format!("v{number}"), image)
            .await;
        world.session.push("admin/web", "latest", image).await;
    }
    let mut expected: Vec<String> = images
        .iter()
        .map(|each| each.digest().to_string())
        .collect();
    expected.sort();
    for limit in [1, 2, 3, 5, 100] {
        let all = walk(&world.session, IMAGES, limit).await;
        let found: Vec<_> = all
            .iter()
            .map(|each| each["digest"].as_str().expect("digest"))
            .collect();
        assert_eq!(found, expected, "pages of {limit}");
    }
    let all = walk(&world.session, IMAGES, 100).await;
    let last = images.last().expect("five");
    let told = all
        .iter()
        .find(|each| each["digest"] == last.digest().to_string());
    let told = told.expect("the last image");
    assert_eq!(told["tags"], json!(["latest", "v4"]));
    assert_eq!(told["media_type"], MANIFEST);
    assert_eq!(told["size"], 3500 + last.config.len() + last.manifest.len());
    assert!(told.get("subject").is_none());
}

#[tokio::test]
async fn the_tree_shows_platforms_layers_and_referrers() {
    let world = World::start();
    let (one, two, whole, artifact) = push_index(&world).await;
    let tree = world.session.json(&format!("{IMAGES}/v1")).await;
    assert_eq!(tree["digest"], digest(&whole).to_string());
    assert_eq!(tree["tags"], json!(["v1"]));
    let children = tree["children"].as_array().expect("children");
    let platforms: Vec<_> = children.iter().map(|child| &child["platform"]).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    for (child, image) in children.iter().zip([&one, &two]) {
        assert_eq!(child["digest"], image.digest().to_string());
        assert_eq!(child["config"]["digest"], digest(&image.config).to_string());
        let layers = child["layers"].as_array().expect("layers");
        let sizes: Vec<_> = layers.iter().map(|layer| &layer["size"]).collect();
        assert_eq!(sizes, [3000, 500]);
    }
    let referrers = children[0]["referrers"].as_array().expect("referrers");
    assert_eq!(referrers.len(), 1);
    assert_eq!(referrers[0]["digest"], digest(&artifact).to_string());
    assert_eq!(referrers[0]["subject"], one.digest().to_string());
    assert_eq!(
        referrers[0]["artifact_type"],
        "application/vnd.example.signature"
    );
    let by_digest = world
        .session
        .json(&format!("{IMAGES}/{}", two.digest()))
        .await;
    assert_eq!(by_digest["digest"], two.digest().to_string());
    assert_eq!(by_digest["children"], json!([]));
}

#[tokio::test]
async fn the_history_is_that_of_the_platform() {
    let world = World::start();
    let (one, two, ..) = push_index(&world).await;
    for (query, image) in [("", &one), ("?platform=linux/arm64", &two)] {
        let history = world
            .session
            .json(&format!("{IMAGES}/v1/history{query}"))
            .await;
        let steps = items(&history);
        let by: Vec<&Value> = steps.iter().map(|step| &step["created_by"]).collect();
        assert_eq!(by, ["unpack the base", "ENV A=1", "copy the program"]);
        assert_eq!(steps[0]["layer"]["size"], 3000);
        assert!(steps[1].get("layer").is_none(), "an empty step has a layer");
        assert_eq!(
            steps[2]["layer"]["digest"],
            digest(&image.layers[1]).to_string()
        );
        assert_eq!(steps[0]["created"], "2026-01-02T03:04:05Z");
    }
    let path = format!("{IMAGES}/v1/history?platform=linux/s390x");
    let detail = problem(world.call(Method::GET, &path).await, 404, "image-unknown").await;
    assert!(detail.contains("linux/s390x"), "{detail}");
}

#[tokio::test]
async fn a_deleted_tag_takes_along_what_nothing_else_holds() {
    let world = World::start();
    let (one, two, whole, artifact) = push_index(&world).await;
    world
        .session
        .push_manifest("admin/web", "v2", INDEX, &whole)
        .await;
    let delete = async |reference: &str| {
        let path = format!("{IMAGES}/{reference}");
        let answer = world.call(Method::DELETE, &path).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let mut gone: Value = answer.json().await.expect("JSON");
        let Value::Array(gone) = gone["manifests"].take() else {
            panic!("no list: {gone}")
        };
        gone.iter()
            .map(|each| each.as_str().expect("a digest").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(delete("v1").await, [""; 0], "another tag holds the index");
    world
        .session
        .assert_pulls("admin/web", &one.digest().to_string(), &one)
        .await;
    let mut gone = delete("v2?purge=true").await;
    gone.sort();
    let mut expected =
        [&whole, &one.manifest, &two.manifest].map(|bytes| digest(bytes).to_string());
    expected.sort();
    assert_eq!(gone, expected);
    for reference in ["v2", &one.digest().to_string()] {
        let path = format!("{IMAGES}/{reference}");
        problem(world.call(Method::GET, &path).await, 404, "image-unknown").await;
        problem(
            world.call(Method::DELETE, &path).await,
            404,
            "image-unknown",
        )
        .await;
    }
    // What referred to it was pushed for itself, and stays.
    let left = world.session.json(IMAGES).await;
    let left: Vec<_> = items(&left).iter().map(|each| &each["digest"]).collect();
    assert_eq!(left, [&digest(&artifact).to_string()]);
}

#[tokio::test]
async fn what_is_no_reference_or_not_there_is_told_apart() {
    let world = World::start();
    world
        .session
        .push("admin/web", "v1", &Image::new(1, 2))
        .await;
    let short = "sha256:0123";
    for wrong in [short, "-v1", "a%2Fb", "%20", &"a".repeat(129)] {
        for tail in ["", "/history"] {
            let path = format!("{IMAGES}/{wrong}{tail}");
            problem(world.call(Method::GET, &path).await, 400, "invalid-request").await;
        }
    }
    problem(
        world
            .call(Method::DELETE, &format!("{IMAGES}/{short}"))
            .await,
        400,
        "invalid-request",
    )
    .await;
    let purge = format!("{IMAGES}/v1?purge=maybe");
    problem(
        world.call(Method::DELETE, &purge).await,
        400,
        "invalid-request",
    )
    .await;
    for tail in ["none", "none/history", &digest(b"none").to_string()] {
        let path = format!("{IMAGES}/{tail}");
        problem(world.call(Method::GET, &path).await, 404, "image-unknown").await;
    }
    let none = "/api/v1/repositories/admin%2Fnone/images";
    problem(
        world.call(Method::GET, none).await,
        404,
        "repository-unknown",
    )
    .await;
    for tail in ["/v1", "/v1/history"] {
        let path = format!("{none}{tail}");
        problem(world.call(Method::GET, &path).await, 404, "image-unknown").await;
    }
}
