//! "Pushing Manifests": sizes of manifests, and the grammar of tags and names.

use serde_json::json;

use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{Document, Image, OCI_IMAGE},
};

const SECTION: &str = "Pushing Manifests";

/// The size that clients and registries should expect, in bytes: the
/// specification says "4 megabytes", and the larger reading is the safe one.
const EXPECTED: usize = 4 * 1024 * 1024;

/// A size no registry should take: no manifest is that large.
const EXCESSIVE: usize = 32 * 1024 * 1024;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Should,
            a_manifest_of_4_mib_should_be_accepted,
            "manifests of at least 4 megabytes are taken"
        ),
        check!(
            Should,
            an_excessive_manifest_should_be_413,
            "a manifest over the registry's limit, and there should be one, is answered with 413"
        ),
        check!(
            Must,
            a_tag_of_128_characters_must_be_accepted,
            "a tag has up to 128 characters: letters, digits, `_`, and after the first `.` and `-`"
        ),
        check!(
            Must,
            each_kind_of_tag_must_be_accepted,
            "a tag may be one character, start with `_`, and differ from another in case only"
        ),
        check!(
            Must,
            each_kind_of_name_must_be_accepted,
            "a name may have several components, with `.`, `_`, `__` and any number of `-` inside"
        ),
    ]
}

/// An image manifest of `size` bytes.
fn sized(image: &Image, size: usize) -> Document {
    let padded = |padding| {
        let text = "x".repeat(padding);
        image
            .clone()
            .with("annotations", json!({"padding": text}))
            .content
            .to_string()
    };
    let bare = padded(0).len();
    Document::raw(OCI_IMAGE, padded(size - bare))
}

async fn a_manifest_of_4_mib_should_be_accepted(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let document = sized(&image, EXPECTED);
    repository.push_manifest("large", &document).await?;
    repository.expect_manifest("large", &document).await
}

async fn an_excessive_manifest_should_be_413(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let document = sized(&image, EXCESSIVE);
    repository
        .put_manifest("excessive", &document)
        .send()
        .await?
        .expect(413)?;
    Ok(())
}

async fn a_tag_of_128_characters_must_be_accepted(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let tag = format!("{}{}", "aZ9_.-".repeat(21), "xy");
    let document = repository.push_as(&tag, &Image::new()).await?;
    repository.expect_manifest(&tag, &document).await
}

async fn each_kind_of_tag_must_be_accepted(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let mut pushed = Vec::new();
    for tag in [
        "a",
        "_",
        "0",
        "__internal",
        "Latest",
        "latest",
        "v1.0.0-rc.1",
        "A.-_",
    ] {
        pushed.push((tag, repository.push_as(tag, &Image::new()).await?));
    }
    for (tag, document) in pushed {
        repository.expect_manifest(tag, &document).await?;
    }
    Ok(())
}

async fn each_kind_of_name_must_be_accepted(registry: Registry) -> Result<(), Failure> {
    let unique = crate::fixture::unique();
    for rest in [
        "a/b/c/d/e/f",
        "x.y",
        "x_y",
        "x__y",
        "x-y",
        "x---y",
        "0",
        "blobs/uploads",
        "tags/list",
    ] {
        let repository = registry.repository_below(&format!("{unique}/{rest}"));
        let document = repository.push_as("latest", &Image::new()).await?;
        repository.expect_manifest("latest", &document).await?;
    }
    Ok(())
}
