//! "Listing Referrers": what the list says about each manifest.

use serde_json::{Value, json};

use super::listing_referrers::{ask, descriptors};
use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{Image, OCI_IMAGE, OCI_INDEX},
};

const SECTION: &str = "Listing Referrers";

const SIGNATURE: &str = "application/vnd.example.signature.v1+json";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            descriptors_must_describe_the_manifests,
            "each descriptor has the media type, the digest and the size of the manifest",
            [Referrers]
        ),
        check!(
            Must,
            artifact_type_must_be_that_of_the_image,
            "artifactType in the descriptor is the artifactType of the image manifest",
            [Referrers]
        ),
        check!(
            Must,
            artifact_type_must_fall_back_to_the_config,
            "without artifactType in the image manifest, it is the media type of its config",
            [Referrers]
        ),
        check!(
            Must,
            an_empty_artifact_type_must_fall_back_to_the_config,
            "with an empty artifactType in the image manifest, it is the media type of its config",
            [Referrers]
        ),
        check!(
            Must,
            artifact_type_must_be_that_of_the_index,
            "artifactType in the descriptor is the artifactType of the index",
            [Referrers]
        ),
        check!(
            Must,
            artifact_type_must_be_left_out_for_an_index_without_one,
            "without artifactType in the index, the descriptor has none",
            [Referrers]
        ),
        check!(
            Must,
            annotations_of_an_image_must_be_copied,
            "the annotations of the image manifest are in the descriptor",
            [Referrers]
        ),
        check!(
            Must,
            annotations_of_an_index_must_be_copied,
            "the annotations of the index are in the descriptor",
            [Referrers]
        ),
    ]
}

/// Pushes `referrer` about an image; holds if its descriptor has this `field`,
/// or does not have it for `null`.
async fn expect_field(
    registry: Registry,
    referrer: Image,
    field: &str,
    wanted: Value,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let subject = repository.push(&Image::new()).await?;
    let document = repository.push(&referrer.about(&subject)).await?;
    let answer = ask(&repository, subject.digest()).send().await?;
    let found = descriptors(&answer)?;
    let Some(descriptor) = found.iter().find(|one| one["digest"] == document.digest()) else {
        return Err(answer.violates("the referrer in the list"));
    };
    let got = descriptor.get(field);
    if got == Some(&wanted) || (wanted.is_null() && got.is_none()) {
        return Ok(());
    }
    Err(answer.violates(format!("`{field}` to be {wanted} in the descriptor")))
}

async fn descriptors_must_describe_the_manifests(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let subject = repository.push(&Image::new()).await?;
    let artifact = repository
        .push(&Image::artifact(SIGNATURE).about(&subject))
        .await?;
    let index = repository.push(&Image::index(&[]).about(&subject)).await?;
    let answer = ask(&repository, subject.digest()).send().await?;
    let found = descriptors(&answer)?;
    for (document, media_type) in [(&artifact, OCI_IMAGE), (&index, OCI_INDEX)] {
        let described = found.iter().any(|one| {
            one["digest"] == document.digest()
                && one["mediaType"] == media_type
                && one["size"] == document.bytes().len()
        });
        if !described {
            return Err(answer.violates(format!("a descriptor of {}", document.digest())));
        }
    }
    Ok(())
}

async fn artifact_type_must_be_that_of_the_image(registry: Registry) -> Result<(), Failure> {
    let referrer = Image::artifact(SIGNATURE);
    expect_field(registry, referrer, "artifactType", json!(SIGNATURE)).await
}

async fn artifact_type_must_fall_back_to_the_config(registry: Registry) -> Result<(), Failure> {
    let mut referrer = Image::new();
    let config_type = "application/vnd.example.config.v1+json";
    referrer.content["config"]["mediaType"] = json!(config_type);
    expect_field(registry, referrer, "artifactType", json!(config_type)).await
}

async fn an_empty_artifact_type_must_fall_back_to_the_config(
    registry: Registry,
) -> Result<(), Failure> {
    let mut referrer = Image::new().with("artifactType", json!(""));
    let config_type = "application/vnd.example.config.v2+json";
    referrer.content["config"]["mediaType"] = json!(config_type);
    expect_field(registry, referrer, "artifactType", json!(config_type)).await
}

async fn artifact_type_must_be_that_of_the_index(registry: Registry) -> Result<(), Failure> {
    let referrer = Image::index(&[]).with("artifactType", json!(SIGNATURE));
    expect_field(registry, referrer, "artifactType", json!(SIGNATURE)).await
}

async fn artifact_type_must_be_left_out_for_an_index_without_one(
    registry: Registry,
) -> Result<(), Failure> {
    expect_field(registry, Image::index(&[]), "artifactType", Value::Null).await
}

async fn annotations_of_an_image_must_be_copied(registry: Registry) -> Result<(), Failure> {
    let annotations = json!({"org.example.one": "1", "org.example.two": "zwei \u{1f980} \"x\""});
    let referrer = Image::artifact(SIGNATURE).with("annotations", annotations.clone());
    expect_field(registry, referrer, "annotations", annotations).await
}

async fn annotations_of_an_index_must_be_copied(registry: Registry) -> Result<(), Failure> {
    let annotations = json!({"org.example.index": "yes"});
    let referrer = Image::index(&[]).with("annotations", annotations.clone());
    expect_field(registry, referrer, "annotations", annotations).await
}
