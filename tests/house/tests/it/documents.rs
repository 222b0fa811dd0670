//! The documents say the truth where a test can tell.

use std::path::{Component, Path, PathBuf};

use landfall_house::{code, read, root, table};

use crate::{no_complaints, tracked};

/// The targets of all links of a document that point into the project,
/// without the part behind `#`. Code is left out.
fn links(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut targets = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Every other piece between backticks is code.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for piece in prose.split("](").skip(1) {
            let target = piece.split(')').next().unwrap_or_default();
            let outside = target.contains("://") || target.starts_with("mailto:");
            let target = target.split('#').next().unwrap_or_default();
            if !outside && !target.is_empty() {
                targets.push(target.to_owned());
            }
        }
    }
    targets
}

/// `docs/adr` and `../testing.md` give `docs/testing.md`; nothing when the
/// link leaves the project.
fn resolve(folder: &Path, target: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in folder.join(target).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => path.pop().then_some(())?,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

#[test]
fn links_in_documents_point_to_files_that_exist() {
    let documents = tracked::files_of("md");
    for expected in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "STYLE.md",
        "docs/testing.md",
    ] {
        assert!(
            documents.iter().any(|path| path == expected),
            "`{expected}` is missing"
        );
    }
    let mut complaints = Vec::new();
    for document in &documents {
        let folder = Path::new(document)
            .parent()
            .expect("a file lies in a folder");
        for target in links(&read(document)) {
            if !resolve(folder, &target).is_some_and(|path| root().join(path).exists()) {
                complaints.push(format!("{document} links to `{target}`, which isn't there"));
            }
        }
    }
    no_complaints(&complaints);
}

#[test]
fn a_link_is_found_and_code_is_left_alone() {
    let text = "See [a](a.md#part), [b](https://example.org/b) and [c](#c).\n`x[0](y)` [d](../d)\n```\n[e](e)\n```\n";
    assert_eq!(links(text), ["a.md", "../d"]);
    assert_eq!(
        resolve(Path::new("docs/adr"), "../d").as_deref(),
        Some(Path::new("docs/d"))
    );
    assert_eq!(resolve(Path::new(""), "../d"), None);
}

/// Complaints about the names of the decisions' files, given in order.
fn gaps(names: &[String]) -> Vec<String> {
    names
        .iter()
        .zip(1..)
        .filter(|(name, number)| !name.starts_with(&format!("{number:04}-")))
        .map(|(name, number)| format!("docs/adr/{name} stands where number {number:04} is due"))
        .collect()
}

#[test]
fn decisions_are_numbered_without_a_gap_and_listed() {
    let names: Vec<String> = tracked::files()
        .iter()
        .filter_map(|path| path.strip_prefix("docs/adr/"))
        .filter(|name| *name != "README.md")
        .map(str::to_owned)
        .collect();
    assert!(!names.is_empty(), "the decisions were found");
    let list = links(&read("docs/adr/README.md"));
    let unlisted = names
        .iter()
        .filter(|name| !list.contains(name))
        .map(|name| format!("docs/adr/README.md doesn't list {name}"));
    no_complaints(&gaps(&names).into_iter().chain(unlisted).collect::<Vec<_>>());
}

#[test]
fn a_gap_between_decisions_is_noticed() {
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(gaps(&names(&["0001-a.md", "0002-b.md"])).is_empty());
    assert_eq!(gaps(&names(&["0001-a.md", "0003-c.md"])).len(), 1);
    assert_eq!(gaps(&names(&["0001-a.md", "0001-b.md"])).len(), 1);
}

/// The names that the sources give to `Rounds::of`.
fn long_tests(source: &str) -> Vec<String> {
    // Written apart, so that this line doesn't count.
    let call = ["Rounds", "::of(\""].concat();
    source
        .split(&call)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_long_tests_of_the_document_are_those_of_the_sources() {
    let stated = table(&read("docs/testing.md"), &["long test"]);
    let mut complaints = Vec::new();
    for row in &stated {
        let rounds: Vec<u32> = row
            .iter()
            .rev()
            .take(2)
            .filter_map(|cell| cell.parse().ok())
            .collect();
        if !matches!(rounds[..], [full, share] if 0 < share && share <= full) {
            complaints.push(format!(
                "docs/testing.md: the rounds of {} don't make sense",
                row[0]
            ));
        }
    }
    let run: Vec<String> = tracked::files_of("rs")
        .iter()
        .filter(|path| *path != "tests/house/src/rounds.rs")
        .flat_map(|path| long_tests(&read(path)))
        .collect();
    for name in &run {
        if !stated.iter().any(|row| code(&row[0]) == name) {
            complaints.push(format!(
                "docs/testing.md states no rounds for the long test `{name}`"
            ));
        }
    }
    for row in &stated {
        if !run.iter().any(|name| code(&row[0]) == name) {
            complaints.push(format!(
                "docs/testing.md states rounds for {}, which no test runs",
                row[0]
            ));
        }
    }
    no_complaints(&complaints);
}

#[test]
fn the_name_of_a_long_test_is_found_in_its_source() {
    let source = [
        "for round in Rounds",
        "::of(\"kill\") {\n}\nRounds",
        "::of(\"model\").total()",
    ]
    .concat();
    assert_eq!(long_tests(&source), ["kill", "model"]);
}
