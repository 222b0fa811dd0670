//! What routes there are: from the OpenAPI document, from the answers of the
//! distribution API, and from the sources of the server.

use std::{fs, path::Path};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::World;
use crate::session::digest;

/// Routes that answer nobody in particular, whoever asks. A new one has to be
/// added here on purpose.
pub(super) const PUBLIC: [(&str, &str); 7] = [
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/token"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/api/v1/openapi.json"),
];

/// A route, with the scope that a token for it must carry: or `login`, where
/// any good credential does, or `whole`, where no bearer token does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) needs: String,
    /// What is sent: well-formed, and right for nothing.
    pub(super) body: &'static str,
}

/// The repository that the routes are tried on.
pub(super) const REPOSITORY: &str = "admin/web";
/// The account that the routes are tried on.
pub(super) const ACCOUNT: &str = "acme";

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
            needs: match needs {
                "login" => needs.to_owned(),
                "catalog" => CATALOG.to_owned(),
                action => of_repository(action),
            },
            body: "{}",
        })
    });
    all.collect()
}

/// The scope of the list of repositories.
pub(super) const CATALOG: &str = "registry:catalog:*";
/// The scope of what an operator does.
const OPERATION: &str = "registry:operation:*";

fn of_repository(action: &str) -> String {
    format!("repository:{REPOSITORY}:{action}")
}

fn of_account(action: &str) -> String {
    format!("account:{ACCOUNT}:{action}")
}

/// What a route of the OpenAPI document needs. Whoever adds a route adds a line.
fn needs(method: &Method, path: &str) -> String {
    let path = path.strip_prefix("/api/v1").expect("a path of the API");
    match (method.as_str(), path) {
        ("GET", "/repositories") => CATALOG.to_owned(),
        ("POST", "/repositories") => of_repository("create"),
        // The rules about tags bind whoever may push or delete.
        ("PATCH" | "DELETE", "/repositories/{name}") | ("POST", "/repositories/{name}/restore") => {
            of_repository("configure")
        }
        ("POST", path) if path.ends_with("/layers:check") => of_repository("push"),
        ("POST", path) if path.ends_with("/undo") => of_repository("push"),
        ("POST", path) if path.ends_with("/{reference}/restore") => of_repository("push"),
        ("PUT", path) if path.ends_with("/tags/{tag}") => of_repository("push"),
        ("GET", path) if path.starts_with("/repositories/{name}") => of_repository("pull"),
        ("DELETE", path) if path.starts_with("/repositories/{name}/") => of_repository("delete"),

        ("GET", "/accounts/{account}") => of_account("read"),
        ("GET", path) if path.ends_with("/api-keys") => of_account("manage-principals"),
        ("GET", path) if path.starts_with("/principals") => of_account("read"),
        ("GET", path) if path.starts_with("/groups") => of_account("read"),
        (_, path) if path.starts_with("/principals") => of_account("manage-principals"),
        (_, path) if path.starts_with("/groups") => of_account("manage-principals"),
        // A token makes none that lasts longer.
        ("POST", "/authorization-tokens") => "whole".to_owned(),
        ("GET", "/policy-templates" | "/policy-schema") | ("POST", "/policies:validate") => {
            "login".to_owned()
        }
        ("POST", "/policies:explain") => of_account("read-policies"),
        // It tells of policies, and of what the audit log has seen.
        ("POST", "/policies:simulate") => of_account("*"),
        ("GET", path) if path.starts_with("/policies") => of_account("read-policies"),
        (_, path) if path.starts_with("/policies") => of_account("manage-policies"),
        ("GET", "/audit" | "/audit:export") => of_account("read-audit"),
        // Of a token that is not there nobody is the owner.
        ("DELETE", "/authorization-tokens/{token}") => OPERATION.to_owned(),

        (_, "/accounts" | "/accounts/{account}" | "/events" | "/store" | "/backups") => {
            OPERATION.to_owned()
        }
        (_, path)
            if ["/webhooks", "/gc/runs", "/fsck/runs", "/signing-keys"]
                .iter()
                .any(|known| path.starts_with(known)) =>
        {
            OPERATION.to_owned()
        }
        _ => panic!("nothing is known of {method} {path}: what does it need?"),
    }
}

/// What is sent to a route: as much as it reads before it asks.
fn body(path: &str) -> &'static str {
    match path.strip_prefix("/api/v1").unwrap_or(path) {
        "/repositories" => r#"{"name":"admin/web"}"#,
        "/principals" | "/groups" => r#"{"name":"acme/nobody"}"#,
        "/policies" => {
            r#"{"name":"acme/none","target":{"kind":"group","name":"acme/none"},"text":""}"#
        }
        "/policies:explain" => {
            r#"{"principal":"anonymous","action":"read-account",
                "resource":{"kind":"account","name":"acme"}}"#
        }
        "/policies:simulate" => r#"{"delete":"acme/none"}"#,
        path if path.ends_with("/layers:check") => r#"{"digests":0}"#,
        _ => "{}",
    }
}

/// Every route of the OpenAPI document, with its parameters filled in.
pub(super) async fn of_document(world: &World) -> Vec<Route> {
    let document = world.session.json("/api/v1/openapi.json").await;
    let paths = document["paths"].as_object().expect("paths");
    let mut routes = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let (needs, body) = (needs(&method, path), body(path));
            let mut filled = path.clone();
            for (parameter, value) in [
                ("{name}", "admin%2Fweb"),
                ("{reference}", "v1"),
                ("{tag}", "v1"),
                ("{account}", ACCOUNT),
                ("{principal}", "acme%2Fnobody"),
                ("{member}", "acme%2Fnobody"),
                ("{group}", "acme%2Fnobody"),
                ("{policy}", "acme%2Fnobody"),
                ("{id}", UPLOAD),
                ("{delivery}", UPLOAD),
                ("{key}", UPLOAD),
                ("{token}", UPLOAD),
            ] {
                filled = filled.replace(parameter, value);
            }
            assert!(
                !filled.contains('{'),
                "a parameter of {filled} is not known here"
            );
            let parameters = operation["parameters"].as_array();
            let of_account = parameters.is_some_and(|parameters| {
                parameters
                    .iter()
                    .any(|each| each["in"] == "query" && each["name"] == "account")
            });
            if of_account && needs.starts_with("account:") {
                filled = format!("{filled}?account={ACCOUNT}");
            }
            routes.push(Route {
                method,
                path: filled,
                needs,
                body,
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
