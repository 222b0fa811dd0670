//! Fuzz harnesses of the parsers.
//!
//! As plain tests they run every kept input below `__fuzz__` and [`ROUNDS`]
//! random ones (`BOLERO_RANDOM_ITERATIONS` sets another number);
//! `cargo bolero test -p landfall-oci <name>` lets a fuzzing engine search for
//! more.

use std::{borrow::Cow, fs, path::Path};

use bolero::check;
use landfall_oci::{
    ByteRange, Digest, ImageReference, Manifest, Reference, RepositoryName, RequestedRange,
};

use crate::manifest_properties;

/// How many random inputs each harness gets as a plain test.
const ROUNDS: usize = 20_000;

fn text(input: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(input)
}

#[test]
fn digests() {
    check!().with_iterations(ROUNDS).for_each(|input: &[u8]| {
        if let Ok(digest) = text(input).parse::<Digest>() {
            assert_eq!(digest.to_string(), text(input));
        }
    });
}

#[test]
fn references() {
    check!().with_iterations(ROUNDS).for_each(|input: &[u8]| {
        let text = &*text(input);
        if let Ok(reference) = text.parse::<Reference>() {
            assert_eq!(reference.to_string(), text);
        }
        if let Ok(name) = text.parse::<RepositoryName>() {
            assert_eq!(format!("{}/{}", name.account(), name.path()), text);
        }
        if let Ok(image) = text.parse::<ImageReference>() {
            assert_eq!(image.to_string(), text);
        }
    });
}

#[test]
fn ranges() {
    check!().with_iterations(ROUNDS).for_each(|input: &[u8]| {
        let text = &*text(input);
        for size in [0, 1, 10, u64::MAX] {
            if let RequestedRange::Part(part) = ByteRange::requested(text, size) {
                assert!(part.first() <= part.last() && part.last() < size);
            }
        }
        if let Ok(chunk) = ByteRange::of_chunk(text) {
            assert_eq!(ByteRange::of_chunk(&chunk.to_string()), Ok(chunk));
        }
    });
}

#[test]
fn manifests() {
    check!().with_iterations(ROUNDS).for_each(|input: &[u8]| {
        manifest_properties::check(input, None);
        manifest_properties::check(text(input).as_bytes(), None);
    });
}

/// Runs `accepts` on each kept input of a harness, and compares its verdict
/// with the name of the file.
fn check_kept(harness: &str, accepts: impl Fn(&[u8]) -> bool) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/it/__fuzz__/fuzz__{harness}/corpus"));
    let mut verdicts = [0, 0];
    for file in fs::read_dir(&corpus).expect("a corpus") {
        let path = file.expect("a file").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let accepted = accepts(&fs::read(&path).expect("an input"));
        let prefix = if accepted { "accepted-" } else { "refused-" };
        assert!(name.starts_with(prefix), "{name} of {harness} was {prefix}");
        verdicts[usize::from(accepted)] += 1;
    }
    assert!(
        verdicts.iter().all(|count| *count > 0),
        "{harness}: {verdicts:?}"
    );
}

#[test]
fn each_kept_input_is_accepted_or_refused_as_its_name_says() {
    check_kept("digests", |input| text(input).parse::<Digest>().is_ok());
    check_kept("references", |input| {
        text(input).parse::<ImageReference>().is_ok()
    });
    check_kept("ranges", |input| {
        ByteRange::of_chunk(&text(input)).is_ok()
            || matches!(
                ByteRange::requested(&text(input), 10),
                RequestedRange::Part(_)
            )
    });
    check_kept("manifests", |input| Manifest::parse(input, None).is_ok());
}
