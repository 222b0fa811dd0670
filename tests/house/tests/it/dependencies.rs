//! Every dependency has its reason, and is used.

use std::{collections::BTreeSet, fs, path::Path};

use landfall_house::{code, read, root, table};

use crate::{floors::workspace, no_complaints, tracked};

/// Crates of which only a feature is wanted, so that no line of ours names
/// them, each with that reason.
const UNNAMED: &[(&str, &str)] = &[];

/// The names under `[workspace.dependencies]` that come from outside.
fn outside(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = manifest.parse().expect("the root manifest is TOML");
    let dependencies = manifest["workspace"]["dependencies"]
        .as_table()
        .expect("a table");
    dependencies
        .iter()
        .filter(|(_, value)| value.get("path").is_none())
        .map(|(name, _)| name.clone())
        .collect()
}

fn complaints(manifest: &str, document: &str) -> Vec<String> {
    let used = outside(manifest);
    let mut complaints = Vec::new();
    let mut told = BTreeSet::new();
    for row in table(document, &["crate", "used by", "why", "runner-up"]) {
        let name = code(&row[0]).to_owned();
        if row.len() != 4 || row.iter().any(String::is_empty) {
            complaints.push(format!("the row of `{name}` has an empty cell"));
        }
        if !told.insert(name.clone()) {
            complaints.push(format!("`{name}` has two rows"));
        }
    }
    complaints.extend(
        used.difference(&told)
            .map(|name| format!("`{name}` has no row")),
    );
    complaints.extend(
        told.difference(&used)
            .map(|name| format!("`{name}` has a row and is no dependency")),
    );
    complaints
}

#[test]
fn every_dependency_has_a_row_with_its_reason() {
    no_complaints(&complaints(
        &read("Cargo.toml"),
        &read("docs/dependencies.md"),
    ));
}

#[test]
fn a_dependency_without_a_row_and_a_row_without_one_are_noticed() {
    let manifest = "[workspace.dependencies]\nlandfall-oci = { path = \"crates/oci\" }\nhttp = \"1\"\ntar = \"1\"\n";
    let document = "| crate | used by | why | runner-up |\n|---|---|---|---|\n\
                    | `tar` | a | b | |\n| `url` | a | b | c |\n| `url` | a | b | c |\n";
    assert_eq!(
        complaints(manifest, document),
        [
            "the row of `tar` has an empty cell",
            "`url` has two rows",
            "`http` has no row",
            "`url` has a row and is no dependency"
        ]
    );
}

#[test]
fn every_declared_dependency_is_named_in_a_source_of_its_crate() {
    let files = tracked::files_of("rs");
    let mut complaints = Vec::new();
    for package in workspace().packages {
        let folder = package
            .manifest_path
            .parent()
            .expect("a manifest lies in a folder");
        let folder = folder
            .as_std_path()
            .strip_prefix(root())
            .expect("the crate lies in the project");
        let source: String = files
            .iter()
            .filter(|path| Path::new(path).starts_with(folder))
            .map(|path| fs::read_to_string(root().join(path)).unwrap_or_default())
            .collect();
        for dependency in &package.dependencies {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
            if !names(&source, &name.replace('-', "_"))
                && UNNAMED.iter().all(|(free, _)| free != name)
            {
                complaints.push(format!(
                    "`{}` declares `{name}` and never names it",
                    package.name
                ));
            }
        }
    }
    no_complaints(&complaints);
}

/// Whether the word `name` stands in `source`.
fn names(source: &str, name: &str) -> bool {
    let part_of_a_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    source.match_indices(name).any(|(at, _)| {
        !source[..at].ends_with(part_of_a_word)
            && !source[at + name.len()..].starts_with(part_of_a_word)
    })
}

#[test]
fn a_part_of_a_word_is_not_the_word() {
    assert!(names("use http::Method;", "http"));
    assert!(!names("use http_body::Body; let https = 1;", "http"));
}
