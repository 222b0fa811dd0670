//! What a Rust file may hold.

use std::path::Path;

use cargo_metadata::TargetKind;
use landfall_house::{read, root};

use crate::{floors::workspace, no_complaints, tracked};

/// Lines of the longest file that is let in. Aim for 100 to 400.
const LONGEST: usize = 600;

/// How a file starts that says what it is about: with its own words or with
/// those of the crate's README.
const DOCUMENTED: [&str; 2] = ["//!", "#![doc = include_str!("];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = [
    "utils", "util", "helpers", "helper", "common", "manager", "managers", "misc",
];

/// What must not be in a source file, and what to do instead. Written apart,
/// so that this file doesn't break its own rule.
const FORBIDDEN: [([&str; 2], &str); 7] = [
    (["to", "do!"], "write it, or leave its place without a stub"),
    (
        ["unimple", "mented!"],
        "write it, or leave its place without a stub",
    ),
    (["db", "g!"], "use `tracing`"),
    (["#[al", "low("], "use `#[expect(lint, reason = \"..\")]`"),
    (["#![al", "low("], "use `#![expect(lint, reason = \"..\")]`"),
    (["#[ig", "nore"], "a test that doesn't run is no test"),
    (["LANDFALL_TEST", "_FULL"], "use `landfall_house::Rounds`"),
];

/// The one file that knows how a full run is asked for.
const ROUNDS: &str = "tests/house/src/rounds.rs";

/// Targets that hold `unsafe` code, by the path of their root file, each with
/// the reason. All others forbid it; these deny it, so that each place says
/// that it is meant.
const UNSAFE: &[(&str, &str)] = &[(
    "crates/blobs/src/lib.rs",
    "`sync_file_range` has no safe wrapper",
)];

fn complaints(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !DOCUMENTED.iter().any(|start| text.starts_with(start)) {
        complaints.push(format!(
            "{path} doesn't start with its module documentation (`//!`)"
        ));
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        complaints.push(format!(
            "{path} has {lines} lines, more than {LONGEST}: split it by subject"
        ));
    }
    for part in Path::new(path).with_extension("").components() {
        let part = part.as_os_str().to_string_lossy();
        if EMPTY_NAMES.contains(&&*part) {
            complaints.push(format!(
                "{path}: `{part}` says nothing: name what is inside"
            ));
        }
    }
    for (number, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", number + 1);
        if let Some(name) = module(line).filter(|name| EMPTY_NAMES.contains(name)) {
            complaints.push(format!(
                "{place}: `{name}` says nothing: name what is inside"
            ));
        }
        for (parts, instead) in FORBIDDEN {
            let word = parts.concat();
            if line.contains(&word) && path != ROUNDS && !is_started_by_a_test(path, line) {
                complaints.push(format!("{place} holds `{word}`: {instead}"));
            }
        }
    }
    complaints
}

/// Whether a test that is left out of a run is one that others start, as a
/// process of their own: the power-cut tools alone have such, and say so.
fn is_started_by_a_test(path: &str, line: &str) -> bool {
    path.starts_with("tests/power-cut/")
        && (line.contains("other tests start\"]") || line.contains("which starts it\"]"))
}

/// The name of the module that a line declares.
fn module(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = match line.strip_prefix("pub") {
        Some(rest) => rest.strip_prefix('(').map_or(rest, |rest| {
            rest.split_once(')').map_or("", |(_, rest)| rest)
        }),
        None => line,
    };
    let name = line.trim_start().strip_prefix("mod ")?;
    Some(name.trim_end_matches(|last: char| !last.is_alphanumeric() && last != '_'))
}

#[test]
fn every_source_file_keeps_the_rules() {
    let sources = tracked::files_of("rs");
    assert!(
        sources.iter().any(|path| path == ROUNDS),
        "the sources were found"
    );
    let complaints: Vec<String> = sources
        .iter()
        .flat_map(|path| complaints(path, &read(path)))
        .collect();
    no_complaints(&complaints);
}

#[test]
fn a_source_file_that_breaks_a_rule_is_noticed() {
    let says = |path: &str, text: &str| complaints(path, text).join("\n");
    assert_eq!(says("a/b.rs", "//! Fine.\n\npub(crate) mod range;\n"), "");
    assert_eq!(
        says("a/lib.rs", "#![doc = include_str!(\"../README.md\")]\n"),
        ""
    );
    assert!(says("a/b.rs", "// no\n").contains("module documentation"));
    assert!(
        says(
            "a/b.rs",
            &("//! Long.\n".to_owned() + &"\n".repeat(LONGEST))
        )
        .contains("601 lines")
    );
    assert!(says("a/helpers/b.rs", "//! ").contains("`helpers` says nothing"));
    assert!(says("a/utils.rs", "//! ").contains("`utils` says nothing"));
    assert!(says("a/b.rs", "//! \n  pub(crate) mod common {").contains("a/b.rs:2: `common` says"));
    assert!(says("a/b.rs", "//! \nmod manager;").contains("a/b.rs:2: `manager` says"));
    let started = format!(
        "//! \n{} = \"the victim, which starts it\"]",
        FORBIDDEN[5].0.concat()
    );
    assert_eq!(says("tests/power-cut/a.rs", &started), "");
    assert!(says("crates/oci/a.rs", &started).contains("no test"));
    for (parts, _) in FORBIDDEN {
        let word = parts.concat();
        assert!(
            says("a/b.rs", &format!("//! \n{word}")).contains(&format!("a/b.rs:2 holds `{word}`"))
        );
    }
}

#[test]
fn every_target_forbids_unsafe_code_or_is_on_the_list() {
    let mut complaints = Vec::new();
    for package in workspace().packages {
        let roots = package.targets.iter().filter(|target| {
            let checked = [
                TargetKind::Lib,
                TargetKind::Bin,
                TargetKind::Test,
                TargetKind::Bench,
            ];
            target.kind.iter().any(|kind| checked.contains(kind))
        });
        for target in roots {
            let path = target.src_path.as_std_path();
            let path = path
                .strip_prefix(root())
                .expect("a target lies in the project")
                .to_string_lossy();
            let listed = UNSAFE.iter().any(|(listed, _)| *listed == path);
            let wanted = if listed {
                "#![deny(unsafe_code)]"
            } else {
                "#![forbid(unsafe_code)]"
            };
            if read(&*path).lines().all(|line| line != wanted) {
                complaints.push(format!("{path} lacks `{wanted}`"));
            }
        }
    }
    no_complaints(&complaints);
}
