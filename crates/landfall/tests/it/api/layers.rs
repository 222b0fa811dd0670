//! `/api/v1/repositories/{name}/layers:check`.

use reqwest::Method;
use serde_json::{Value, json};

use super::{World, problem};
use crate::session::{Image, MANIFEST, digest};

async fn check(world: &World, name: &str, digests: &[String]) -> Value {
    let path = format!("/api/v1/repositories/{name}/layers:check");
    let answer = world.post(&path, &json!({ "digests": digests })).await;
    assert_eq!(answer.status().as_u16(), 200);
    answer.json().await.expect("JSON")
}

#[tokio::test]
async fn a_push_after_the_check_sends_only_what_is_new() {
    let world = World::start();
    let (old, new) = (Image::new(1, 2), Image::new(1, 3));
    world.session.push("admin/web", "v1", &old).await;
    let digests =
        [&new.layers[0], &new.layers[1], &new.config].map(|each| digest(each).to_string());

    let here = check(&world, "admin%2Fweb", &digests).await;
    let states: Vec<_> = here["layers"].as_array().expect("layers").iter().collect();
    assert_eq!(states.len(), 3);
    for (state, (digest, expected)) in states
        .iter()
        .zip(digests.iter().zip(["present", "new", "new"]))
    {
        assert_eq!(**state, json!({ "digest": digest, "state": expected }));
    }
    assert_eq!(here["new"], 2);

    // Another repository of the account gets the shared layer at once.
    let there = check(&world, "admin%2Fteam%2Fother", &digests).await;
    assert_eq!(there["layers"][0]["state"], "mounted");
    assert_eq!(there["new"], 2);
    world
        .session
        .push_blob("admin/team/other", &new.layers[1])
        .await;
    world
        .session
        .push_blob("admin/team/other", &new.config)
        .await;
    world
        .session
        .push_manifest("admin/team/other", "v2", MANIFEST, &new.manifest)
        .await;
    world
        .session
        .assert_pulls("admin/team/other", "v2", &new)
        .await;
    let all = check(&world, "admin%2Fteam%2Fother", &digests).await;
    assert_eq!(all["new"], 0);

    // An account learns nothing of what others hold.
    let foreign = check(&world, "stranger%2Fweb", &digests[..1]).await;
    assert_eq!(foreign["layers"][0]["state"], "new");
}

#[tokio::test]
async fn a_check_of_nothing_too_much_or_nonsense_is_answered() {
    let world = World::start();
    assert_eq!(
        check(&world, "admin%2Fweb", &[]).await,
        json!({ "layers": [], "new": 0 })
    );
    let thousand: Vec<_> = (0..1000_u32)
        .map(|n| digest(&n.to_le_bytes()).to_string())
        .collect();
    assert_eq!(check(&world, "admin%2Fweb", &thousand).await["new"], 1000);
    let twice = vec![thousand[0].clone(), thousand[0].clone()];
    let answer = check(&world, "admin%2Fweb", &twice).await;
    assert_eq!(answer["layers"].as_array().map(Vec::len), Some(2));

    let path = "/api/v1/repositories/admin%2Fweb/layers:check";
    let many: Vec<_> = (0..1001_u32)
        .map(|n| digest(&n.to_le_bytes()).to_string())
        .collect();
    let detail = problem(
        world.post(path, &json!({ "digests": many })).await,
        400,
        "invalid-request",
    )
    .await;
    assert!(detail.contains("1000"), "{detail}");
    for wrong in [
        "sha256:12",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "../../etc/passwd",
        "",
    ] {
        let refused = world.post(path, &json!({ "digests": [wrong] })).await;
        problem(refused, 400, "invalid-request").await;
    }
    problem(world.post(path, &json!({})).await, 422, "invalid-request").await;
    problem(
        world.post(path, &json!({ "digests": "all" })).await,
        422,
        "invalid-request",
    )
    .await;
    let path = "/api/v1/repositories/web/layers:check";
    problem(
        world.post(path, &json!({ "digests": [] })).await,
        400,
        "invalid-request",
    )
    .await;
    let path = "/api/v1/repositories/admin%2Fweb/layers:check";
    problem(
        world.call(Method::GET, path).await,
        405,
        "method-not-allowed",
    )
    .await;
}
