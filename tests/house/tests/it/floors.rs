//! Dependencies point down: ARCHITECTURE.md says which floor a crate is on,
//! cargo says which crate uses which.

use std::{collections::BTreeMap, fmt};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use landfall_house::{code, read, root, table};

use crate::no_complaints;

/// Where a crate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    /// A crate of the product.
    Of(u32),
    /// A crate that holds tests: above every floor.
    Tests,
}

impl Floor {
    fn parse(cell: &str) -> Option<Self> {
        match cell {
            "tests" => Some(Self::Tests),
            number => number.parse().ok().map(Self::Of),
        }
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(number) => write!(formatter, "floor {number}"),
            Self::Tests => formatter.write_str("the floor of the tests"),
        }
    }
}

/// One crate of the workspace uses another.
struct Use<'a> {
    from: &'a str,
    to: &'a str,
    kind: DependencyKind,
}

/// Crates that serve the benchmarks, and lie next to them.
const BENCHMARKS: [&str; 1] = ["load"];

type Floors = BTreeMap<String, Floor>;

/// The floor of each crate, by the name of its folder.
fn floors(document: &str) -> Floors {
    table(document, &["crate", "floor"])
        .iter()
        .map(|row| {
            let floor = Floor::parse(&row[1]).unwrap_or_else(|| panic!("`{}` is no floor", row[1]));
            (code(&row[0]).to_owned(), floor)
        })
        .collect()
}

fn complaint(floors: &Floors, use_: &Use<'_>) -> Option<String> {
    let Use { from, to, kind } = *use_;
    let (above, below) = (*floors.get(from)?, *floors.get(to)?);
    let allowed = match kind {
        DependencyKind::Development => below < above || below == Floor::Tests,
        _ => below < above || (above, below) == (Floor::Tests, Floor::Tests),
    };
    (!allowed).then(|| format!("`{from}` ({above}) uses `{to}` ({below})"))
}

/// The crates of the workspace without resolving anything: quick, and no
/// network.
pub(crate) fn workspace() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo describes the workspace")
}

/// `landfall-oci` lies in the folder `oci`.
fn folder(package: &str) -> &str {
    package.strip_prefix("landfall-").unwrap_or(package)
}

#[test]
fn every_crate_is_in_the_floor_table_and_every_row_is_a_crate() {
    let document = read("ARCHITECTURE.md");
    let floors = floors(&document);
    let workspace = workspace();
    let crates: Vec<&str> = workspace
        .packages
        .iter()
        .map(|package| folder(&package.name))
        .collect();
    let missing = crates
        .iter()
        .filter(|name| !floors.contains_key(**name))
        .map(|name| format!("the floor table of ARCHITECTURE.md lacks the crate `{name}`"));
    let gone = floors
        .keys()
        .filter(|name| !crates.contains(&name.as_str()))
        .map(|name| format!("the floor table of ARCHITECTURE.md has `{name}`, which is no crate"));
    let here = table(&document, &["later crate"])
        .into_iter()
        .map(|row| code(&row[0]).to_owned())
        .filter(|name| crates.contains(&name.as_str()))
        .map(|name| format!("ARCHITECTURE.md says that `{name}` comes later, and it is here"));
    no_complaints(&missing.chain(gone).chain(here).collect::<Vec<_>>());
}

#[test]
fn a_crate_lies_in_the_folder_of_its_name_and_test_crates_lie_under_tests() {
    let floors = floors(&read("ARCHITECTURE.md"));
    let workspace = workspace();
    let complaints: Vec<String> = workspace
        .packages
        .iter()
        .filter_map(|package| {
            let name = folder(&package.name);
            let above = match floors.get(name) {
                Some(Floor::Tests) if BENCHMARKS.contains(&name) => "bench",
                Some(Floor::Tests) => "tests",
                _ => "crates",
            };
            let expected = root().join(above).join(name).join("Cargo.toml");
            (package.manifest_path.as_std_path() != expected)
                .then(|| format!("`{}` should lie in {above}/{name}", package.name))
        })
        .collect();
    no_complaints(&complaints);
}

#[test]
fn dependencies_point_to_lower_floors() {
    let floors = floors(&read("ARCHITECTURE.md"));
    let workspace = workspace();
    let mut seen = 0;
    let mut complaints = Vec::new();
    for package in &workspace.packages {
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| dependency.path.is_some())
        {
            seen += 1;
            let use_ = Use {
                from: folder(&package.name),
                to: folder(&dependency.name),
                kind: dependency.kind,
            };
            complaints.extend(complaint(&floors, &use_));
        }
    }
    assert!(
        seen > 0,
        "no crate uses another: cargo's answer was misread"
    );
    no_complaints(&complaints);
}

#[test]
fn a_dependency_that_points_up_or_sideways_is_noticed() {
    use DependencyKind::{Build, Development, Normal};
    let floors = floors(
        "| crate | floor |\n|---|---|\n| `oci` | 0 |\n| `blobs` | 1 |\n| `database` | 1 |\n\
         | `house` | tests |\n| `world` | tests |\n",
    );
    let says = |from, to, kind| complaint(&floors, &Use { from, to, kind });
    for fine in [
        ("blobs", "oci", Normal),
        ("blobs", "oci", Build),
        ("blobs", "oci", Development),
        ("oci", "house", Development),
        ("world", "database", Normal),
        ("world", "house", Normal),
    ] {
        assert_eq!(says(fine.0, fine.1, fine.2), None, "{fine:?}");
    }
    for wrong in [
        ("oci", "blobs", Normal),
        ("oci", "blobs", Build),
        ("blobs", "database", Normal),
        ("blobs", "database", Development),
        ("blobs", "house", Normal),
        ("blobs", "house", Build),
    ] {
        assert!(says(wrong.0, wrong.1, wrong.2).is_some(), "{wrong:?}");
    }
    assert_eq!(
        says("oci", "blobs", Normal).as_deref(),
        Some("`oci` (floor 0) uses `blobs` (floor 1)")
    );
}
