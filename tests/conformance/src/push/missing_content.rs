//! "Push": a manifest may come before what it refers to, or be refused for it
//! in one way only.

use serde_json::json;

use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{Document, Image, OCI_IMAGE},
    repository::Repository,
};

const SECTION: &str = "Push";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            a_manifest_with_a_missing_layer_must_be_taken_or_manifest_blob_unknown,
            "a manifest refused for a missing layer is refused with MANIFEST_BLOB_UNKNOWN"
        ),
        check!(
            Must,
            a_manifest_with_a_missing_config_must_be_taken_or_manifest_blob_unknown,
            "a manifest refused for a missing config is refused with MANIFEST_BLOB_UNKNOWN"
        ),
        check!(
            Must,
            an_index_with_a_missing_child_must_be_taken_or_manifest_blob_unknown,
            "an index refused for a missing manifest is refused with MANIFEST_BLOB_UNKNOWN"
        ),
        check!(
            Must,
            a_blob_of_another_repository_must_be_treated_as_missing,
            "a blob that only another repository has does not satisfy a manifest, or the manifest \
             is taken unseen; it does not put the blob into the repository"
        ),
        check!(
            Must,
            a_subject_that_is_missing_must_be_accepted,
            "a manifest whose subject is not there is taken, so that both are pushed in any order"
        ),
        check!(
            Must,
            an_index_with_a_missing_subject_must_be_accepted,
            "an index whose subject is not there is taken, so that both are pushed in any order"
        ),
        check!(
            Expected,
            a_non_distributable_layer_may_be_missing,
            "a non-distributable layer lives elsewhere, so a manifest is taken without it"
        ),
    ]
}

async fn expect_taken_or_unknown(
    repository: &Repository,
    document: &Document,
) -> Result<(), Failure> {
    let answer = repository.put_manifest("latest", document).send().await?;
    if answer.status() == 201 {
        return repository.expect_manifest("latest", document).await;
    }
    answer.expect_error(&[400, 404], &["MANIFEST_BLOB_UNKNOWN"])?;
    Ok(())
}

async fn a_manifest_with_a_missing_layer_must_be_taken_or_manifest_blob_unknown(
    registry: Registry,
) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blob(&image.blobs[0]).await?;
    expect_taken_or_unknown(&repository, &image.document()).await
}

async fn a_manifest_with_a_missing_config_must_be_taken_or_manifest_blob_unknown(
    registry: Registry,
) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blob(&image.blobs[1]).await?;
    expect_taken_or_unknown(&repository, &image.document()).await
}

async fn an_index_with_a_missing_child_must_be_taken_or_manifest_blob_unknown(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let present = repository.push(&Image::new()).await?;
    let index = Image::index(&[present, Image::new().document()]);
    expect_taken_or_unknown(&repository, &index.document()).await
}

async fn a_blob_of_another_repository_must_be_treated_as_missing(
    registry: Registry,
) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    registry.other_repository().push(&image).await?;
    expect_taken_or_unknown(&repository, &image.document()).await?;
    for blob in &image.blobs {
        repository
            .blob(reqwest::Method::GET, &blob.digest)
            .send()
            .await?
            .expect(404)?;
    }
    Ok(())
}

async fn a_subject_that_is_missing_must_be_accepted(registry: Registry) -> Result<(), Failure> {
    let (repository, subject) = (registry.repository(), Image::new().document());
    let artifact = Image::artifact("application/vnd.example.signature").about(&subject);
    let document = repository.push(&artifact).await?;
    repository
        .expect_manifest(document.digest(), &document)
        .await
}

async fn an_index_with_a_missing_subject_must_be_accepted(
    registry: Registry,
) -> Result<(), Failure> {
    let (repository, subject) = (registry.repository(), Image::new().document());
    let child = repository.push(&Image::new()).await?;
    let index = repository
        .push(&Image::index(&[child]).about(&subject))
        .await?;
    repository.expect_manifest(index.digest(), &index).await
}

async fn a_non_distributable_layer_may_be_missing(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let mut image = Image::new();
    let elsewhere = |media_type: &str| {
        let mut layer = Image::new().blobs[1].descriptor(media_type);
        layer["urls"] = json!(["https://store.example.org/layer"]);
        layer
    };
    let own = image.content["layers"][0].clone();
    image.content["layers"] = json!([
        elsewhere("application/vnd.oci.image.layer.nondistributable.v1.tar"),
        elsewhere("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        own
    ]);
    image.content["mediaType"] = json!(OCI_IMAGE);
    let document = repository.push_as("latest", &image).await?;
    repository.expect_manifest("latest", &document).await
}
