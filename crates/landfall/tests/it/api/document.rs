//! The OpenAPI document, pinned: a change of the API shows in `docs`.

use std::{env, fs, path::Path, process::Command};

use serde_json::Value;

use super::World;

/// What sets it rewrites the file instead of comparing.
const UPDATE: &str = "LANDFALL_UPDATE";

fn printed() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_landfall"))
        .arg("openapi")
        .output();
    let output = output.expect("the program runs");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_document_is_the_one_in_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let printed = printed();
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, &printed).expect("the document is written");
    }
    let pinned = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        printed == pinned,
        "the API is not the one of docs/openapi.json; if that is meant, run this test again with \
         {UPDATE}=1"
    );
}

#[tokio::test]
async fn the_server_gives_the_document_that_the_program_prints() {
    let world = World::start();
    let served = world.session.json("/api/v1/openapi.json").await;
    let printed: Value = serde_json::from_str(&printed()).expect("JSON");
    assert_eq!(served, printed);
}

#[test]
fn every_operation_is_described_and_every_error_is_a_problem() {
    let document: Value = serde_json::from_str(&printed()).expect("JSON");
    let mut ids = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let at = format!("{method} {path}");
            let text = |field: &str| operation[field].as_str().unwrap_or_default().to_owned();
            assert!(!text("summary").is_empty(), "{at} has no summary");
            assert!(!text("operationId").is_empty(), "{at} has no id");
            ids.push(text("operationId"));
            let responses = &operation["responses"];
            let problem = "#/components/schemas/Problem";
            let content = &responses["default"]["content"]["application/problem+json"];
            assert_eq!(content["schema"]["$ref"], problem, "{at}");
            for (name, place) in path.match_indices('{').map(|(from, _)| {
                let rest = path.get(from + 1..).unwrap_or_default();
                (rest.split('}').next().unwrap_or_default(), "path")
            }) {
                let parameters = operation["parameters"].as_array().expect("parameters");
                let named = |each: &&Value| each["name"] == name && each["in"] == place;
                assert!(
                    parameters.iter().any(|each| named(&each)),
                    "{at} lacks {name}"
                );
            }
        }
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "two operations have one id: {ids:?}");
}
