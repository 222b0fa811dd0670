//! "Pushing Manifests": PUT by tag and by digest.

use reqwest::Method;
use serde_json::json;

use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{Document, Image, OCI_IMAGE, missing_digest},
};

const SECTION: &str = "Pushing Manifests";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            put_by_tag_must_be_201_with_a_pullable_location,
            "the PUT of a manifest by tag is answered with 201 and a Location to pull it from"
        ),
        check!(
            Must,
            put_by_digest_must_be_201_with_a_pullable_location,
            "the PUT of a manifest by digest is answered with 201 and a Location to pull it from"
        ),
        check!(
            Must,
            put_of_an_index_must_be_201_with_a_pullable_location,
            "the PUT of an index is answered with 201 and a Location to pull it from"
        ),
        check!(
            Must,
            put_of_an_index_of_indexes_must_be_201,
            "an index may list other indexes"
        ),
        check!(
            Must,
            put_of_an_empty_index_must_be_201,
            "an index may list nothing"
        ),
        check!(
            Must,
            put_again_must_be_201,
            "a manifest can be pushed again, by the same tag and by another"
        ),
        check!(
            Must,
            the_exact_bytes_must_be_stored,
            "the registry stores the manifest in the exact bytes that it was given"
        ),
        check!(
            Must,
            unknown_fields_must_be_stored,
            "fields that the registry does not know are part of the bytes it stores"
        ),
        check!(
            Must,
            docker_content_digest_must_be_the_given_digest,
            "Docker-Content-Digest in the answer, if it is sent, is the digest of the manifest"
        ),
        check!(
            Must,
            put_by_a_wrong_digest_must_be_400,
            "a manifest whose bytes do not have the digest in the path is answered with 400"
        ),
        check!(
            Must,
            put_by_a_malformed_digest_must_be_400,
            "a manifest whose digest in the path is no digest is answered with 400"
        ),
        check!(
            Must,
            put_must_move_a_tag,
            "a tag names the manifest pushed last; the one before stays there by digest"
        ),
        check!(
            Should,
            content_type_parameters_should_be_ignored,
            "parameters of the Content-Type of a pushed manifest are ignored"
        ),
        check!(
            Must,
            a_manifest_without_layers_must_be_accepted,
            "the list of blobs of a manifest may be empty"
        ),
        check!(
            Must,
            an_artifact_with_an_empty_config_must_be_accepted,
            "an artifact with the empty JSON object as its config is a manifest like any other"
        ),
        check!(
            Should,
            a_manifest_without_media_type_should_be_accepted,
            "`mediaType` in a manifest is recommended, not required"
        ),
        check!(
            Expected,
            a_descriptor_with_data_is_accepted,
            "a descriptor may carry its content in `data`, and the blob is pulled as ever"
        ),
        check!(
            Expected,
            text_that_is_no_json_is_refused,
            "a manifest that is no JSON, or no object, is answered with 400"
        ),
        check!(
            Expected,
            a_document_of_both_kinds_is_refused,
            "a document that is an image and an index at once is answered with 400"
        ),
    ]
}

async fn put_by_tag_must_be_201_with_a_pullable_location(
    registry: Registry,
) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let document = image.document();
    let answer = repository.push_manifest("latest", &document).await?;
    repository
        .expect_at(answer.location()?, &document.blob)
        .await?;
    repository.expect_manifest("latest", &document).await
}

async fn put_by_digest_must_be_201_with_a_pullable_location(
    registry: Registry,
) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let document = image.document();
    let answer = repository
        .push_manifest(document.digest(), &document)
        .await?;
    repository
        .expect_at(answer.location()?, &document.blob)
        .await?;
    repository
        .expect_manifest(document.digest(), &document)
        .await
}

async fn put_of_an_index_must_be_201_with_a_pullable_location(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let child = repository.push(&Image::new()).await?;
    let index = Image::index(&[child]).document();
    let answer = repository.push_manifest("latest", &index).await?;
    repository.expect_at(answer.location()?, &index.blob).await
}

async fn put_of_an_index_of_indexes_must_be_201(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let child = repository.push(&Image::new()).await?;
    let inner = repository.push(&Image::index(&[child])).await?;
    let outer = repository
        .push_as("latest", &Image::index(&[inner]))
        .await?;
    repository.expect_manifest("latest", &outer).await
}

async fn put_of_an_empty_index_must_be_201(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let index = repository.push_as("latest", &Image::index(&[])).await?;
    repository.expect_manifest("latest", &index).await
}

async fn put_again_must_be_201(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let document = repository.push_as("one", &Image::new()).await?;
    for reference in ["one", "two", document.digest()] {
        repository.push_manifest(reference, &document).await?;
    }
    repository.expect_manifest("two", &document).await
}

async fn the_exact_bytes_must_be_stored(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let (config, layer) = (&image.content["config"], &image.content["layers"][0]);
    let text = format!(
        "\n{{\t\"layers\" : [ {layer}\r\n], \"annotations\":{{\"z\":\"\\u00e9\",\"a\":\"/\\/\"}},\
         \"config\":{config},\"mediaType\":\"{OCI_IMAGE}\"  ,\"schemaVersion\":2 }}\n\n"
    );
    let document = Document::raw(OCI_IMAGE, text);
    repository.push_manifest("odd", &document).await?;
    repository.expect_manifest("odd", &document).await?;
    repository
        .expect_manifest(document.digest(), &document)
        .await
}

async fn unknown_fields_must_be_stored(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let image = Image::new().with("org.example.future", json!({"nested": [1, null, "x"]}));
    let document = repository.push_as("latest", &image).await?;
    repository.expect_manifest("latest", &document).await
}

async fn docker_content_digest_must_be_the_given_digest(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let document = image.document();
    for reference in ["latest", document.digest()] {
        let answer = repository.push_manifest(reference, &document).await?;
        answer.expect_header_if_any("docker-content-digest", document.digest())?;
    }
    Ok(())
}

async fn put_by_a_wrong_digest_must_be_400(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let (document, claimed) = (image.document(), missing_digest());
    repository
        .put_manifest(&claimed, &document)
        .send()
        .await?
        .expect(400)?;
    for digest in [&claimed, document.digest()] {
        repository
            .manifest(Method::GET, digest)
            .send()
            .await?
            .expect(404)?;
    }
    Ok(())
}

async fn put_by_a_malformed_digest_must_be_400(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let document = image.document();
    repository
        .put_manifest("sha256:short", &document)
        .send()
        .await?
        .expect(400)?;
    Ok(())
}

async fn put_must_move_a_tag(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let first = repository.push_as("latest", &Image::new()).await?;
    let second = repository.push_as("latest", &Image::new()).await?;
    repository.expect_manifest("latest", &second).await?;
    repository.expect_manifest(first.digest(), &first).await
}

async fn content_type_parameters_should_be_ignored(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let document = image.document();
    let request = repository.request(Method::PUT, "manifests/latest");
    let request = request.header("content-type", &format!("{OCI_IMAGE}; charset=utf-8"));
    request
        .body(document.bytes().clone())
        .send()
        .await?
        .expect(201)?;
    let answer = repository.manifest(Method::GET, "latest").send().await?;
    answer
        .expect(200)?
        .expect_body(document.bytes())?
        .expect_header("content-type", OCI_IMAGE)?;
    Ok(())
}

async fn a_manifest_without_layers_must_be_accepted(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    let image = Image::new().with("layers", json!([]));
    let document = repository.push_as("latest", &image).await?;
    repository.expect_manifest("latest", &document).await
}

async fn an_artifact_with_an_empty_config_must_be_accepted(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository();
    let artifact = Image::artifact("application/vnd.example.thing.v1+json");
    let document = repository.push_as("latest", &artifact).await?;
    repository.expect_manifest("latest", &document).await
}

async fn a_manifest_without_media_type_should_be_accepted(
    registry: Registry,
) -> Result<(), Failure> {
    let (repository, mut image) = (registry.repository(), Image::new());
    if let Some(fields) = image.content.as_object_mut() {
        fields.remove("mediaType");
    }
    let document = repository.push_as("latest", &image).await?;
    let answer = repository.manifest(Method::GET, "latest").send().await?;
    answer
        .expect(200)?
        .expect_body(document.bytes())?
        .expect_header("content-type", OCI_IMAGE)?;
    Ok(())
}

async fn a_descriptor_with_data_is_accepted(registry: Registry) -> Result<(), Failure> {
    let (repository, mut image) = (registry.repository(), Image::artifact("application/x-data"));
    // `{}` in base64.
    image.content["config"]["data"] = json!("e30=");
    let document = repository.push_as("latest", &image).await?;
    repository.expect_manifest("latest", &document).await?;
    repository.expect_blob(&image.blobs[0]).await
}

async fn text_that_is_no_json_is_refused(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository();
    for text in [
        "",
        "no json",
        "[]",
        "17",
        "{\"schemaVersion\":2,",
        "{}\u{0}",
    ] {
        let document = Document::raw(OCI_IMAGE, text);
        repository
            .put_manifest("latest", &document)
            .send()
            .await?
            .expect(400)?;
    }
    Ok(())
}

async fn a_document_of_both_kinds_is_refused(registry: Registry) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    let child = repository.push(&image).await?;
    let both = image
        .with("manifests", json!([child.descriptor()]))
        .document();
    repository
        .put_manifest("latest", &both)
        .send()
        .await?
        .expect(400)?;
    Ok(())
}
