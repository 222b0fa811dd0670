//! `/api/v1/repositories`.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{World, problem, walk};
use crate::session::{Image, segment};

#[tokio::test]
async fn a_repository_is_made_once_and_shown_with_what_it_holds() {
    let world = World::start();
    let body = json!({ "name": "admin/team/web/api" });
    let made = world.post("/api/v1/repositories", &body).await;
    assert_eq!(made.status(), StatusCode::CREATED);
    let made: serde_json::Value = made.json().await.expect("JSON");
    assert_eq!(made["name"], "admin/team/web/api");
    for field in ["id", "account", "created"] {
        assert!(made[field].is_string(), "{field} of {made}");
    }
    let again = world.post("/api/v1/repositories", &body).await;
    let detail = problem(again, 409, "repository-exists").await;
    assert!(detail.contains("`admin/team/web/api`"), "{detail}");

    let path = "/api/v1/repositories/admin%2Fteam%2Fweb%2Fapi";
    let empty = world.session.json(path).await;
    assert_eq!(empty["id"], made["id"]);
    for field in ["tags", "manifests", "blobs", "bytes"] {
        assert_eq!(empty[field], 0, "{field}");
    }
    let image = Image::new(1, 2);
    world.session.push("admin/team/web/api", "v1", &image).await;
    world.session.push("admin/team/web/api", "v2", &image).await;
    let full = world.session.json(path).await;
    assert_eq!(
        [&full["tags"], &full["manifests"], &full["blobs"]],
        [2, 1, 3]
    );
    assert_eq!(full["bytes"], 3500 + image.config.len());
}

#[tokio::test]
async fn a_wrong_name_is_refused_with_the_right_form() {
    let world = World::start();
    for name in [
        "web",
        "Admin/web",
        "admin/",
        "/web",
        "admin//web",
        "admin/../web",
        "",
    ] {
        let refused = world
            .post("/api/v1/repositories", &json!({ "name": name }))
            .await;
        let detail = problem(refused, 400, "invalid-request").await;
        if name == "web" {
            assert!(detail.contains("`<account>/<repository>`"), "{detail}");
        }
    }
    for path in [
        "/api/v1/repositories/web",
        "/api/v1/repositories/admin%2F%2E%2E",
    ] {
        problem(world.call(Method::GET, path).await, 400, "invalid-request").await;
        problem(
            world.call(Method::DELETE, path).await,
            400,
            "invalid-request",
        )
        .await;
    }
    // A name is one segment: with bare slashes the path is another one.
    let path = "/api/v1/repositories/admin/web/none";
    problem(world.call(Method::GET, path).await, 404, "not-found").await;
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused() {
    let world = World::start();
    let send = async |content_type: &str, body: &str| {
        let request = world.session.request(Method::POST, "/api/v1/repositories");
        let request = request
            .header("content-type", content_type)
            .body(body.to_owned());
        request.send().await.expect("answer")
    };
    let json = "application/json";
    problem(send(json, "{").await, 400, "invalid-request").await;
    problem(send(json, "").await, 400, "invalid-request").await;
    problem(send(json, "[]").await, 422, "invalid-request").await;
    problem(send(json, r#"{"name":7}"#).await, 422, "invalid-request").await;
    problem(send(json, "{}").await, 422, "invalid-request").await;
    problem(
        send("text/plain", r#"{"name":"admin/web"}"#).await,
        415,
        "invalid-request",
    )
    .await;
    let long = format!(r#"{{"name":"admin/{}"}}"#, "a".repeat(3_000_000));
    problem(send(json, &long).await, 413, "invalid-request").await;
    problem(
        world.call(Method::GET, "/api/v1/nothing").await,
        404,
        "not-found",
    )
    .await;
    let wrong = world.call(Method::PATCH, "/api/v1/repositories").await;
    let allow = wrong.headers().get("allow").cloned().expect("Allow");
    assert!(allow.to_str().expect("text").contains("POST"), "{allow:?}");
    problem(wrong, 405, "method-not-allowed").await;
}

#[tokio::test]
async fn the_list_is_in_order_and_in_pages() {
    let world = World::start();
    let names = [
        "admin/a",
        "admin/a-b",
        "admin/a/b",
        "admin/b",
        "other/a",
        "other/z/y/x",
    ];
    for name in names.iter().rev() {
        let made = world
            .post("/api/v1/repositories", &json!({ "name": name }))
            .await;
        assert_eq!(made.status(), StatusCode::CREATED);
    }
    for limit in [1, 2, 3, 4, 5, 6, 7, 1000] {
        let all = walk(&world.session, "/api/v1/repositories", limit).await;
        let found: Vec<_> = all
            .iter()
            .map(|each| each["name"].as_str().expect("name"))
            .collect();
        assert_eq!(found, names, "pages of {limit}");
    }
    let path = "/api/v1/repositories?limit=0";
    assert_eq!(super::items(&world.session.json(path).await).len(), 1);
    for query in ["limit=many", "limit=-1"] {
        let path = format!("/api/v1/repositories?{query}");
        problem(world.call(Method::GET, &path).await, 400, "invalid-request").await;
    }
    let behind = world.session.json("/api/v1/repositories?last=zzz").await;
    assert_eq!(behind, json!({ "items": [] }));
}

#[tokio::test]
async fn a_deleted_repository_is_gone_at_once_and_its_name_is_free() {
    let world = World::start();
    let image = Image::new(1, 2);
    world.session.push("admin/web", "v1", &image).await;
    let path = format!("/api/v1/repositories/{}", segment("admin/web"));
    let deleted = world.call(Method::DELETE, &path).await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    for method in [Method::GET, Method::DELETE] {
        problem(world.call(method, &path).await, 404, "repository-unknown").await;
    }
    problem(
        world.call(Method::GET, &format!("{path}/images")).await,
        404,
        "repository-unknown",
    )
    .await;
    let pulled = world.session.get("/v2/admin/web/manifests/v1").await;
    assert_eq!(pulled.status(), StatusCode::NOT_FOUND);
    let listed = world.session.json("/api/v1/repositories").await;
    assert_eq!(listed, json!({ "items": [] }));
    world.session.push("admin/web", "v1", &image).await;
    world.session.assert_pulls("admin/web", "v1", &image).await;
}
