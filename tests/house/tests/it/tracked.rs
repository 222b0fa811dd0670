//! Which files belong to the project, and what none of them may say.

use std::{fs, path::Path, process::Command};

use landfall_house::root;

use crate::no_complaints;

/// The paths of all files that git tracks or would track, from the root.
pub(crate) fn files() -> Vec<String> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(root())
        .output()
        .expect("git is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut files: Vec<String> = String::from_utf8(output.stdout)
        .expect("paths are UTF-8")
        .split_terminator('\0')
        .filter(|path| root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    files
}

/// The files whose names end in `.{extension}`.
pub(crate) fn files_of(extension: &str) -> Vec<String> {
    let of = |path: &String| {
        Path::new(path)
            .extension()
            .is_some_and(|found| found == extension)
    };
    files().into_iter().filter(of).collect()
}

/// The text files among them with their text.
fn texts() -> Vec<(String, String)> {
    let text_of = |path: String| {
        Some((
            path.clone(),
            String::from_utf8(fs::read(root().join(path)).ok()?).ok()?,
        ))
    };
    files().into_iter().filter_map(text_of).collect()
}

/// Hosts of package registries: a build takes what its machine is set up to
/// use. Written apart, so that this file doesn't break its own rule.
const REGISTRIES: [[&str; 2]; 10] = [
    ["crat", "es.io"],
    ["deb.deb", "ian.org"],
    ["security.deb", "ian.org"],
    ["snapshot.deb", "ian.org"],
    ["py", "pi.org"],
    ["pythonho", "sted.org"],
    ["npm", "js.org"],
    ["proxy.go", "lang.org"],
    ["mav", "en.org"],
    ["ruby", "gems.org"],
];

/// Folders of the machines that the project was written on.
const MACHINE_PATHS: [[&str; 2]; 3] = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"]];

/// cargo writes the index that it used into its lock file.
const WRITTEN_BY_CARGO: &str = "Cargo.lock";

fn complaints(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", number + 1);
        for host in REGISTRIES.map(|parts| parts.concat()) {
            if line.contains(&host) {
                complaints.push(format!("{place} names the package registry `{host}`"));
            }
        }
        for folder in MACHINE_PATHS.map(|parts| parts.concat()) {
            if line
                .match_indices(&folder)
                .any(|(at, _)| starts_a_path(&line[..at]))
            {
                complaints.push(format!("{place} names the machine's folder `{folder}`"));
            }
        }
    }
    complaints
}

/// Whether a slash after `before` starts an absolute path.
fn starts_a_path(before: &str) -> bool {
    before
        .chars()
        .last()
        .is_none_or(|last| last.is_whitespace() || "\"'`(=:<[{".contains(last))
}

#[test]
fn no_file_names_a_package_registry_or_a_machine_path() {
    let texts = texts();
    assert!(
        texts.iter().any(|(path, _)| path == "Cargo.toml"),
        "the files were found"
    );
    let complaints: Vec<String> = texts
        .iter()
        .filter(|(path, _)| path != WRITTEN_BY_CARGO)
        .flat_map(|(path, text)| complaints(path, text))
        .collect();
    no_complaints(&complaints);
}

#[test]
fn a_registry_and_a_machine_path_are_noticed() {
    let text = format!(
        "see {}\ncd {}main\na/path/of{}ours",
        REGISTRIES[0].concat(),
        MACHINE_PATHS[0].concat(),
        MACHINE_PATHS[0].concat()
    );
    let complaints = complaints("a.md", &text);
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].starts_with("a.md:1 names the package registry"));
    assert!(complaints[1].starts_with("a.md:2 names the machine's folder"));
}
