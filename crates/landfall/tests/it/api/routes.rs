//! What routes there are: from the OpenAPI document, from the answers of the
//! distribution API, and from the sources of the server.

use std::{fs, path::Path};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::World;
use crate::session::digest;

/// Routes that answer nobody in particular, whoever asks. A new one has to be
/// added here on purpose.
pub(super) const PUBLIC: [(&str, &str); 6] = [
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/token"),
    ("GET", "/api/v1/openapi.json"),
];

/// What a route needs: the actions on the repository that a token for it must
/// carry; or `catalog` or `operation` of the registry; or only a `login`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) needs: &'static str,
}

/// The repository that the routes are tried on.
pub(super) const REPOSITORY: &str = "admin/web";

/// An upload that is not there.
const UPLOAD: &str = "01234567-89ab-7cde-8f01-23456789abcd";

/// The routes of the distribution API by their resources. Each resource has to
/// name exactly these methods when it is asked for another.
fn distribution() -> Vec<(String, Vec<(&'static str, &'static str)>)> {
    let blob = digest(b"blob");
    let name = REPOSITORY;
    let of = |path: String, methods: &[(&'static str, &'static str)]| (path, methods.to_vec());
    vec![
        of("/v2/".to_owned(), &[("GET", "login"), ("HEAD", "login")]),
        of("/v2/_catalog".to_owned(), &[("GET", "catalog")]),
        of(format!("/v2/{name}/tags/list"), &[("GET", "pull")]),
        of(format!("/v2/{name}/referrers/{blob}"), &[("GET", "pull")]),
        of(
            format!("/v2/{name}/manifests/v1"),
            &[
                ("GET", "pull"),
                ("HEAD", "pull"),
                ("PUT", "push"),
                ("DELETE", "delete"),
            ],
        ),
        of(
            format!("/v2/{name}/blobs/{blob}"),
            &[("GET", "pull"), ("HEAD", "pull"), ("DELETE", "delete")],
        ),
        of(format!("/v2/{name}/blobs/uploads/"), &[("POST", "push")]),
        of(
            format!("/v2/{name}/blobs/uploads/{UPLOAD}"),
            &[
                ("GET", "push"),
                ("PATCH", "push"),
                ("PUT", "push"),
                ("DELETE", "push"),
            ],
        ),
    ]
}

/// Every route of the distribution API.
pub(super) fn of_distribution() -> Vec<Route> {
    let all = distribution().into_iter().flat_map(|(path, methods)| {
        methods.into_iter().map(move |(method, needs)| Route {
            method: method.parse().expect("a method"),
            path: path.clone(),
            needs,
        })
    });
    all.collect()
}

/// Every route of the OpenAPI document, with its parameters filled in.
pub(super) async fn of_document(world: &World) -> Vec<Route> {
    let document = world.session.json("/api/v1/openapi.json").await;
    let paths = document["paths"].as_object().expect("paths");
    let mut routes = Vec::new();
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let needs = match (&method, path.as_str()) {
                (_, path) if path.ends_with("/layers:check") => "push",
                (_, path) if !path.contains("{name}") => "operation",
                (&Method::GET, _) => "pull",
                (&Method::DELETE, _) => "delete",
                (&Method::POST, path) if path.ends_with("/undo") => "push",
                (&Method::POST, path) if path.ends_with("/restore") => "push",
                (&Method::PUT, path) if path.ends_with("/tags/{tag}") => "push",
                // The rules about tags bind whoever may push or delete.
                (&Method::PATCH, path) if path.ends_with("/{name}") => "*",
                _ => panic!("nothing is known of {method} {path}: what does it need?"),
            };
            let needs = if (&method, path.as_str()) == (&Method::POST, "/api/v1/repositories") {
                "push"
            } else {
                needs
            };
            let path = path
                .replace("{name}", "admin%2Fweb")
                .replace("{reference}", "v1")
                .replace("{tag}", "v1");
            let path = path.replace("{id}", UPLOAD).replace("{delivery}", UPLOAD);
            assert!(
                !path.contains('{'),
                "a parameter of {path} is not known here"
            );
            routes.push(Route {
                method,
                path,
                needs,
            });
        }
    }
    assert!(
        routes.len() > 10,
        "the document lists {} routes",
        routes.len()
    );
    routes
}

#[tokio::test]
async fn the_distribution_api_knows_exactly_the_methods_of_the_specification() {
    let world = World::start();
    for (path, methods) in distribution() {
        let answer = world
            .call(Method::from_bytes(b"PROPFIND").expect("method"), &path)
            .await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allow = answer.headers()["allow"].to_str().expect("text").to_owned();
        let expected: Vec<_> = methods.iter().map(|(method, _)| *method).collect();
        assert_eq!(allow, expected.join(", "), "{path}");
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["errors"][0]["code"], "UNSUPPORTED");
    }
}

/// The server has no route beside those that are tried here.
#[test]
fn the_sources_register_no_other_route() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src");
    let mut open = vec![sources];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source");
        for (_, rest) in text
            .match_indices(".route(")
            .map(|(at, _)| text.split_at(at))
        {
            let literal = rest.split('"').nth(1).expect("a path").to_owned();
            found.push(literal);
        }
    }
    found.sort();
    let mut expected = vec!["/v2", "/v2/", "/v2/{*rest}", "/api/v1/{*rest}"];
    expected.extend(PUBLIC.map(|(_, path)| path));
    expected.sort_unstable();
    assert_eq!(found, expected, "add a new route to a list of this test");
}
