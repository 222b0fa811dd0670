//! What becomes of decisions: rows of the audit log, and lists that show no
//! more than one may read.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{World, items};
use crate::{
    server::Options,
    session::{Image, digest},
};

const BOB: (&str, &str) = ("acme/bob", "a password of bob's");

impl World {
    /// With `acme/bob`, who may read and write in `acme`.
    async fn with_bob(options: &Options) -> Self {
        let world = Self::start_with(options);
        let (name, password) = BOB;
        for (path, body) in [
            ("/api/v1/accounts", json!({ "name": "acme" })),
            (
                "/api/v1/principals",
                json!({ "name": name, "password": password }),
            ),
            (
                "/api/v1/policies",
                json!({
                    "name": "acme/writers",
                    "target": { "kind": "principal", "name": name },
                    "text": "permit(principal, action in [Landfall::Action::\"pull\", \
                             Landfall::Action::\"push\"], resource);",
                }),
            ),
        ] {
            let made = world.post(path, &body).await;
            let status = made.status();
            let text = made.text().await.unwrap_or_default();
            assert_eq!(status, StatusCode::CREATED, "{path}: {text}");
        }
        world
    }

    fn by_bob(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.session.anonymous(method, path);
        request.basic_auth(BOB.0, Some(BOB.1))
    }

    async fn seen_by_bob(&self, path: &str) -> Value {
        let answer = self.by_bob(Method::GET, path).send().await;
        let answer = answer.expect("answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.expect("JSON")
    }

    /// The rows of one request.
    async fn rows(&self, request: &str) -> Vec<Value> {
        let log = self.session.json("/api/v1/audit?limit=1000").await;
        let rows = items(&log).iter();
        rows.filter(|row| row["request_id"] == request)
            .cloned()
            .collect()
    }
}

#[tokio::test]
async fn a_write_is_in_the_audit_log_when_it_is_answered() {
    let options = Options::default().set("LANDFALL_SERVER_TRUSTED_PROXIES", "127.0.0.0/8");
    let world = World::with_bob(&options).await;
    for (number, (name, status)) in [("acme/web", 202), ("admin/web", 403)]
        .into_iter()
        .enumerate()
    {
        let request = format!("push-{number}");
        let path = format!("/v2/{name}/blobs/uploads/");
        let answer = world
            .by_bob(Method::POST, &path)
            .header("x-request-id", &request)
            .header("x-forwarded-for", "192.0.2.1, 198.51.100.7")
            .send()
            .await
            .expect("answer");
        assert_eq!(answer.status(), status, "{name}");
        let rows = world.rows(&request).await;
        let pushes: Vec<_> = rows.iter().filter(|row| row["action"] == "push").collect();
        assert_eq!(pushes.len(), 1, "{rows:?}");
        let row = pushes[0];
        assert_eq!(row["principal"]["name"], BOB.0, "{row}");
        assert_eq!(row["source"], "198.51.100.7", "{row}");
        assert_eq!(row["credential"]["kind"], "password", "{row}");
        assert_eq!(row["resource"]["kind"], "repository", "{row}");
        assert_eq!(row["resource"]["name"], name, "{row}");
        if status == 202 {
            assert_eq!(row["outcome"], "allowed", "{row}");
            assert_eq!(row["policies"], json!(["acme/writers"]), "{row}");
        } else {
            assert_eq!(row["outcome"], "refused", "{row}");
            assert_eq!(row["reason"], "this caller may not do that", "{row}");
        }
    }
    // A tag that is moved is named, and so is who did it.
    let image = Image::new(1, 2);
    world.session.push("acme/web", "v1", &image).await;
    let path = "/api/v1/repositories/acme%2Fweb/tags/v2";
    let moved = world
        .by_bob(Method::PUT, path)
        .header("x-request-id", "tag")
        .json(&json!({ "image": image.digest().to_string() }))
        .send()
        .await
        .expect("answer");
    assert_eq!(moved.status(), StatusCode::OK);
    let rows = world.rows("tag").await;
    assert!(
        rows.iter().any(|row| row["detail"] == "tag `v2`"),
        "{rows:?}"
    );
    let history = world.seen_by_bob(&format!("{path}/history")).await;
    assert_eq!(items(&history)[0]["actor"], BOB.0);
}

#[tokio::test]
async fn who_has_not_said_who_they_are_and_who_only_reads_is_not_written_down() {
    let world = World::with_bob(&Options::default()).await;
    let asked = [
        world
            .session
            .anonymous(Method::POST, "/v2/acme/web/blobs/uploads/"),
        world.by_bob(
            Method::GET,
            &format!("/v2/acme/web/blobs/{}", digest(b"none")),
        ),
    ];
    for request in asked {
        let answer = request.header("x-request-id", "silent").send().await;
        assert!(answer.expect("answer").status().is_client_error());
    }
    let rows = world.rows("silent").await;
    assert!(
        rows.iter()
            .all(|row| row["action"] != "push" && row["action"] != "pull"),
        "{rows:?}"
    );
}

#[tokio::test]
async fn lists_show_what_the_caller_may_read() {
    let world = World::with_bob(&Options::default()).await;
    for name in ["acme/a", "acme/b", "admin/a", "other/b", "acme/c"] {
        world.session.push(name, "v1", &Image::new(1, 2)).await;
    }
    let ours = ["acme/a", "acme/b", "acme/c"];
    let catalog = world.seen_by_bob("/v2/_catalog").await;
    assert_eq!(catalog["repositories"], json!(ours));
    let listed = world.seen_by_bob("/api/v1/repositories").await;
    let names: Vec<_> = items(&listed).iter().map(|each| &each["name"]).collect();
    assert_eq!(names, ours);
    // Page by page, too.
    let page = world.seen_by_bob("/v2/_catalog?n=2").await;
    assert_eq!(page["repositories"], json!(&ours[..2]));
    let page = world.seen_by_bob("/api/v1/repositories?limit=2").await;
    assert_eq!(page["next"], ours[1]);
    let page = world
        .seen_by_bob("/api/v1/repositories?limit=2&last=acme%2Fb")
        .await;
    assert_eq!(items(&page).len(), 1);
    assert!(page.get("next").is_none(), "{page}");
    let all = world.session.json("/v2/_catalog").await;
    assert_eq!(all["repositories"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn too_many_wrong_passwords_have_to_wait() {
    let world = World::with_bob(&Options::default()).await;
    for path in ["/v2/", "/api/v1/repositories"] {
        let name = format!("acme/nobody-{}", path.len());
        let mut last = None;
        for _ in 0..10 {
            let request = world.session.anonymous(Method::GET, path);
            let answer = request.basic_auth(&name, Some("wrong")).send().await;
            let answer = answer.expect("answer");
            last = Some(answer.status());
            if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                let seconds = answer.headers()["retry-after"].to_str().expect("text");
                assert!(seconds.parse::<u64>().is_ok_and(|seconds| seconds >= 1));
                break;
            }
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        }
        assert_eq!(last, Some(StatusCode::TOO_MANY_REQUESTS), "{path}");
    }
    // Nobody else is held up.
    assert_eq!(world.seen_by_bob("/v2/").await, json!({}));
}
