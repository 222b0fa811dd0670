//! `/api/v1/repositories/{name}/tags`: rules, histories, undo; and what was
//! pulled.

use std::time::{Duration, Instant};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{World, items, problem, walk};
use crate::{
    server::Options,
    session::{Image, MANIFEST, Session},
};

const REPOSITORY: &str = "admin/web";
const PATH: &str = "/api/v1/repositories/admin%2Fweb";

/// A world with three images, of which the first is `v1`.
async fn pushed() -> (World, [Image; 3]) {
    pushed_with(&Options::default()).await
}

async fn pushed_with(options: &Options) -> (World, [Image; 3]) {
    let world = World::start_with(options);
    let images = [Image::new(1, 2), Image::new(1, 3), Image::new(1, 4)];
    for (image, tag) in images.iter().zip(["v1", "v2", "v3"]) {
        world.session.push(REPOSITORY, tag, image).await;
    }
    (world, images)
}

async fn send(session: &Session, method: Method, path: &str, body: &Value) -> Response {
    let request = session.request(method, path).json(body);
    request.send().await.expect("answer")
}

async fn set(world: &World, tag: &str, image: &str) -> Response {
    let path = format!("{PATH}/tags/{tag}");
    let body = json!({ "image": image });
    send(&world.session, Method::PUT, &path, &body).await
}

async fn rule(world: &World, immutable: bool, except: &[&str]) -> Response {
    let body = json!({ "tag_rules": { "immutable": immutable, "except": except } });
    send(&world.session, Method::PATCH, PATH, &body).await
}

async fn push(session: &Session, tag: &str, image: &Image) -> Response {
    let path = format!("/v2/{REPOSITORY}/manifests/{tag}");
    let request = session
        .request(Method::PUT, &path)
        .header("content-type", MANIFEST)
        .body(image.manifest.clone());
    request.send().await.expect("answer")
}

/// The digest that a tag points at.
async fn at(world: &World, tag: &str) -> String {
    let shown = world.session.json(&format!("{PATH}/tags/{tag}")).await;
    shown["digest"].as_str().expect("a digest").to_owned()
}

#[tokio::test]
async fn tags_are_listed_and_shown_with_what_they_point_at() {
    let (world, images) = pushed().await;
    for limit in [1, 2, 3, 100] {
        let all = walk(&world.session, &format!("{PATH}/tags"), limit).await;
        let found: Vec<_> = all.iter().map(|each| each["tag"].as_str()).collect();
        assert_eq!(
            found,
            [Some("v1"), Some("v2"), Some("v3")],
            "pages of {limit}"
        );
    }
    let shown = world.session.json(&format!("{PATH}/tags/v1")).await;
    assert_eq!(shown["digest"], images[0].digest().to_string());
    assert_eq!(shown["media_type"], MANIFEST);
    assert_eq!(shown["immutable"], false);
    let none = world.call(Method::GET, &format!("{PATH}/tags/v9")).await;
    problem(none, 404, "tag-unknown").await;
    let wrong = world.call(Method::GET, &format!("{PATH}/tags/-")).await;
    problem(wrong, 400, "invalid-request").await;
}

#[tokio::test]
async fn an_immutable_tag_refuses_what_would_change_it_with_one_sentence() {
    let (world, images) = pushed().await;
    let changed = rule(&world, true, &["dev-*", "latest"]).await;
    assert_eq!(changed.status(), StatusCode::OK);
    let changed: Value = changed.json().await.expect("JSON");
    let rules = json!({ "immutable": true, "except": ["dev-*", "latest"] });
    assert_eq!(changed["tag_rules"], rules);
    assert_eq!(world.session.json(PATH).await["tag_rules"], rules);

    let refused = push(&world.session, "v1", &images[1]).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let body: Value = refused.json().await.expect("JSON");
    assert_eq!(body["errors"][0]["code"], "DENIED");
    let message = body["errors"][0]["message"].as_str().expect("a sentence");
    assert!(
        message.starts_with("tag `v1` of `admin/web` is immutable"),
        "{message}"
    );
    assert!(
        push(&world.session, "v1", &images[0])
            .await
            .status()
            .is_success()
    );
    for tag in ["dev-1", "latest", "v4"] {
        assert!(
            push(&world.session, tag, &images[0])
                .await
                .status()
                .is_success()
        );
    }
    assert!(
        push(&world.session, "latest", &images[1])
            .await
            .status()
            .is_success()
    );

    let digest = images[0].digest();
    for path in [
        format!("/v2/{REPOSITORY}/manifests/v1"),
        format!("/v2/{REPOSITORY}/manifests/{digest}"),
    ] {
        let refused = world.call(Method::DELETE, &path).await;
        assert_eq!(refused.status(), StatusCode::CONFLICT, "{path}");
    }
    for path in [
        format!("{PATH}/tags/v1"),
        format!("{PATH}/images/v1"),
        format!("{PATH}/images/{digest}"),
    ] {
        let refused = world.call(Method::DELETE, &path).await;
        problem(refused, 409, "tag-immutable").await;
    }
    problem(set(&world, "v1", "v2").await, 409, "tag-immutable").await;
    assert_eq!(at(&world, "v1").await, digest.to_string());
}

#[tokio::test]
async fn wrong_rules_are_refused() {
    let (world, _) = pushed().await;
    let detail = problem(rule(&world, true, &["a b"]).await, 400, "invalid-request").await;
    assert!(
        detail.starts_with("`a b` is no pattern of tags"),
        "{detail}"
    );
    let many: Vec<String> = (0..21).map(|n| format!("v{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let detail = problem(rule(&world, true, &many).await, 400, "invalid-request").await;
    assert!(detail.contains("up to 20"), "{detail}");
    let empty = send(&world.session, Method::PATCH, PATH, &json!({})).await;
    problem(empty, 422, "invalid-request").await;
    assert_eq!(
        world.session.json(PATH).await["tag_rules"]["immutable"],
        false
    );
}

#[tokio::test]
async fn a_tag_is_set_and_its_history_told_and_turned_back() {
    let (world, images) = pushed().await;
    let [one, two, _] = images.each_ref().map(|image| image.digest().to_string());
    let made = set(&world, "prod", &one).await;
    assert_eq!(made.status(), StatusCode::OK);
    assert_eq!(made.json::<Value>().await.expect("JSON")["digest"], one);
    assert!(set(&world, "prod", "v2").await.status().is_success());
    assert!(
        world
            .session
            .get(&format!("/v2/{REPOSITORY}/manifests/prod"))
            .await
            .headers()["etag"]
            .to_str()
            .expect("text")
            .contains(&two)
    );
    problem(set(&world, "prod", "v9").await, 404, "image-unknown").await;
    problem(set(&world, "prod", "!").await, 400, "invalid-request").await;

    let undo = format!("{PATH}/tags/prod/undo");
    let stale = world.call(Method::POST, &format!("{undo}?entry=1")).await;
    problem(stale, 409, "tag-changed").await;
    let undone = world.call(Method::POST, &format!("{undo}?entry=2")).await;
    let undone: Value = undone.json().await.expect("JSON");
    assert_eq!((&undone["from"], &undone["to"]), (&json!(one), &json!(two)));
    assert_eq!(at(&world, "prod").await, one);
    let deleted = world
        .call(Method::DELETE, &format!("{PATH}/tags/prod"))
        .await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let listed = world.session.json(&format!("{PATH}/deleted-tags")).await;
    assert_eq!(items(&listed)[0]["tag"], "prod");
    assert_eq!(items(&listed)[0]["deletion"]["from"], one);

    let history = format!("{PATH}/tags/prod/history");
    for limit in [1, 2, 100] {
        let all = walk(&world.session, &history, limit).await;
        let acts: Vec<_> = all.iter().map(|entry| entry["act"].as_str()).collect();
        let expected = ["deleted", "restored", "moved", "created"].map(Some);
        assert_eq!(acts, expected, "pages of {limit}");
        assert!(all.iter().all(|entry| entry["actor"] == "admin"));
        assert_eq!(all[1]["undoes"], 2);
    }
    let none = world
        .call(Method::GET, &format!("{PATH}/tags/v9/history"))
        .await;
    problem(none, 404, "tag-unknown").await;
    let none = world
        .call(Method::POST, &format!("{PATH}/tags/v9/undo"))
        .await;
    problem(none, 404, "tag-unknown").await;
}

/// To undo the making of a tag is to delete it.
#[tokio::test]
async fn an_undo_that_takes_the_tag_away_needs_the_right_to_delete() {
    let (world, _) = pushed().await;
    let undo = async |scope: &str, tag: &str| {
        let token = world
            .session
            .token(&[&format!("repository:admin/web:{scope}")])
            .await;
        let path = format!("{PATH}/tags/{tag}/undo");
        let request = world
            .session
            .anonymous(Method::POST, &path)
            .bearer_auth(token);
        request.send().await.expect("answer").status()
    };
    assert_eq!(undo("push", "v1").await, StatusCode::UNAUTHORIZED);
    assert_eq!(undo("delete", "v1").await, StatusCode::UNAUTHORIZED);
    assert_eq!(undo("push,delete", "v1").await, StatusCode::OK);
    assert_eq!(undo("push", "v1").await, StatusCode::OK, "it comes back");
}

#[tokio::test]
async fn a_deleted_image_is_restored_with_its_tags() {
    let (world, images) = pushed().await;
    let digest = images[0].digest().to_string();
    assert!(set(&world, "prod", "v1").await.status().is_success());
    let deleted = world
        .call(Method::DELETE, &format!("{PATH}/images/{digest}"))
        .await;
    assert_eq!(deleted.status(), StatusCode::OK);
    let undone = world
        .call(Method::POST, &format!("{PATH}/tags/prod/undo"))
        .await;
    problem(undone, 409, "undo-impossible").await;
    let restore = format!("{PATH}/images/{digest}/restore");
    let restored = world.call(Method::POST, &restore).await;
    let restored: Value = restored.json().await.expect("JSON");
    assert_eq!(
        restored,
        json!({ "manifests": [digest], "tags": ["prod", "v1"] })
    );
    world
        .session
        .assert_pulls(REPOSITORY, "prod", &images[0])
        .await;
    let again = world.call(Method::POST, &restore).await;
    problem(again, 409, "undo-impossible").await;

    let path = format!("{PATH}/images/{digest}?purge=true");
    assert_eq!(
        world.call(Method::DELETE, &path).await.status(),
        StatusCode::OK
    );
    let detail = problem(
        world.call(Method::POST, &restore).await,
        409,
        "undo-impossible",
    )
    .await;
    assert!(detail.contains("purge"), "{detail}");
    let by_tag = world
        .call(Method::POST, &format!("{PATH}/images/v1/restore"))
        .await;
    problem(by_tag, 400, "invalid-request").await;
}

#[tokio::test]
async fn without_a_window_nothing_is_undone() {
    let options = Options::default().set("LANDFALL_REGISTRY_UNDO_WINDOW", "0");
    let (world, images) = pushed_with(&options).await;
    assert!(set(&world, "v1", "v2").await.status().is_success());
    let undone = world
        .call(Method::POST, &format!("{PATH}/tags/v1/undo"))
        .await;
    problem(undone, 409, "undo-impossible").await;
    assert_eq!(at(&world, "v1").await, images[1].digest().to_string());
}

#[tokio::test]
async fn a_deleted_repository_is_restored_with_everything_in_it() {
    let (world, images) = pushed().await;
    let deleted = world.call(Method::DELETE, PATH).await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let restore = format!("{PATH}/restore");
    let restored = world.call(Method::POST, &restore).await;
    assert_eq!(restored.status(), StatusCode::OK);
    world
        .session
        .assert_pulls(REPOSITORY, "v3", &images[2])
        .await;
    let again = world.call(Method::POST, &restore).await;
    problem(again, 409, "repository-exists").await;
    let purged = world
        .call(Method::DELETE, &format!("{PATH}?purge=true"))
        .await;
    assert_eq!(purged.status(), StatusCode::NO_CONTENT);
    problem(
        world.call(Method::POST, &restore).await,
        409,
        "undo-impossible",
    )
    .await;
    let never = world
        .call(Method::POST, "/api/v1/repositories/admin%2Fno/restore")
        .await;
    problem(never, 404, "repository-unknown").await;
}

/// Waits until the repository's usage is as expected.
async fn assert_usage(session: &Session, pulls: u64, bytes: u64) -> Value {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let usage = session.json(PATH).await["usage"].clone();
        if usage["pulls"] == pulls && usage["bytes_sent"] == bytes {
            return usage;
        }
        assert!(Instant::now() < until, "{usage} is not {pulls} and {bytes}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn pulls_and_the_bytes_that_were_sent_are_counted() {
    let (world, images) = pushed().await;
    let image = &images[0];
    let manifest = format!("/v2/{REPOSITORY}/manifests/v1");
    for _ in 0..3 {
        assert!(world.session.get(&manifest).await.status().is_success());
    }
    // What gives no manifest is no pull.
    let head = world.session.request(Method::HEAD, &manifest);
    assert!(head.send().await.expect("answer").status().is_success());
    let known = world.session.request(Method::GET, &manifest);
    let known = known.header("if-none-match", format!("\"{}\"", image.digest()));
    assert_eq!(
        known.send().await.expect("answer").status(),
        StatusCode::NOT_MODIFIED
    );
    let none = format!("/v2/{REPOSITORY}/manifests/v9");
    assert_eq!(
        world.session.get(&none).await.status(),
        StatusCode::NOT_FOUND
    );
    let mut bytes = 3 * image.manifest.len() as u64;
    for layer in &image.layers {
        let path = format!("/v2/{REPOSITORY}/blobs/{}", crate::session::digest(layer));
        let pulled = world.session.get(&path).await.bytes().await.expect("bytes");
        bytes += pulled.len() as u64;
        let part = world
            .session
            .request(Method::GET, &path)
            .header("range", "bytes=10-19");
        let part = part.send().await.expect("answer").bytes().await;
        bytes += part.expect("bytes").len() as u64;
    }
    let usage = assert_usage(&world.session, 3, bytes).await;
    assert!(usage["last_pull"].is_string(), "{usage}");
}

#[tokio::test]
async fn a_server_that_stops_writes_down_what_was_pulled() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let data = directory.path().join("data");
    let image = Image::new(1, 2);
    let server = crate::server::Server::start(&data);
    let session = Session::of(&server);
    session.push(REPOSITORY, "v1", &image).await;
    session.assert_pulls(REPOSITORY, "v1", &image).await;
    assert!(server.stop());
    let server = crate::server::Server::start(&data);
    let usage = Session::of(&server).json(PATH).await["usage"].clone();
    assert_eq!(usage["pulls"], 1, "{usage}");
}
