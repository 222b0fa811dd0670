//! "Error Codes": the code for each condition, as its description in the table
//! has it.

use reqwest::Method;

use crate::{
    Check, Failure, Registry,
    check::check,
    fixture::{Blob, Document, Image, OCI_IMAGE, missing_digest},
};

const SECTION: &str = "Error Codes";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Should,
            an_unknown_blob_should_be_blob_unknown,
            "a blob that is not there is BLOB_UNKNOWN"
        ),
        check!(
            Should,
            an_unknown_manifest_should_be_manifest_unknown,
            "a manifest that is not there is MANIFEST_UNKNOWN, by tag and by digest"
        ),
        check!(
            Should,
            an_unknown_repository_should_be_name_unknown,
            "the tags of a repository that is not there are NAME_UNKNOWN"
        ),
        check!(
            Should,
            an_unknown_session_should_be_blob_upload_unknown,
            "an upload session that is not there is BLOB_UPLOAD_UNKNOWN"
        ),
        check!(
            Should,
            wrong_bytes_should_be_digest_invalid,
            "bytes that do not have the claimed digest are DIGEST_INVALID, for a blob in one PUT"
        ),
        check!(
            Should,
            wrong_chunks_should_be_digest_invalid,
            "bytes that do not have the claimed digest are DIGEST_INVALID, for a blob in chunks"
        ),
        check!(
            Should,
            a_manifest_by_a_wrong_digest_should_be_digest_invalid,
            "a manifest that does not have the digest in the path is DIGEST_INVALID"
        ),
        check!(
            Should,
            a_malformed_digest_should_be_digest_invalid,
            "a digest that is none is DIGEST_INVALID"
        ),
        check!(
            Should,
            a_malformed_manifest_should_be_manifest_invalid,
            "a manifest that is no JSON is MANIFEST_INVALID"
        ),
    ]
}

async fn an_unknown_blob_should_be_blob_unknown(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    let answer = repository
        .blob(Method::GET, &missing_digest())
        .send()
        .await?;
    answer.expect_error(&[404], &["BLOB_UNKNOWN"])?;
    Ok(())
}

async fn an_unknown_manifest_should_be_manifest_unknown(registry: Registry) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    for reference in ["absent", &missing_digest()] {
        let answer = repository.manifest(Method::GET, reference).send().await?;
        answer.expect_error(&[404], &["MANIFEST_UNKNOWN"])?;
    }
    Ok(())
}

async fn an_unknown_repository_should_be_name_unknown(registry: Registry) -> Result<(), Failure> {
    let answer = registry.repository().get("tags/list").send().await?;
    answer.expect_error(&[404], &["NAME_UNKNOWN"])?;
    Ok(())
}

async fn an_unknown_session_should_be_blob_upload_unknown(
    registry: Registry,
) -> Result<(), Failure> {
    let repository = registry.repository().populated().await?;
    let upload = repository.start_upload().await?;
    upload.cancel().send().await?.expect_any(&[200, 202, 204])?;
    let answer = upload.status().send().await?;
    answer.expect_error(&[404], &["BLOB_UPLOAD_UNKNOWN"])?;
    let answer = upload.close_with(&Blob::random(10)).send().await?;
    answer.expect_error(&[404], &["BLOB_UPLOAD_UNKNOWN"])?;
    Ok(())
}

async fn wrong_bytes_should_be_digest_invalid(registry: Registry) -> Result<(), Failure> {
    let upload = registry.repository().start_upload().await?;
    let answer = upload
        .put(&missing_digest(), Blob::random(1000).bytes)
        .send()
        .await?;
    answer.expect_error(&[400], &["DIGEST_INVALID"])?;
    Ok(())
}

async fn wrong_chunks_should_be_digest_invalid(registry: Registry) -> Result<(), Failure> {
    let mut upload = registry.repository().start_upload().await?;
    let blob = upload.blob_of_three_chunks();
    upload.send_chunk(0, blob.bytes).await?;
    let answer = upload.close(&missing_digest()).send().await?;
    answer.expect_error(&[400], &["DIGEST_INVALID"])?;
    Ok(())
}

async fn a_manifest_by_a_wrong_digest_should_be_digest_invalid(
    registry: Registry,
) -> Result<(), Failure> {
    let (repository, image) = (registry.repository(), Image::new());
    repository.push_blobs(&image).await?;
    let answer = repository
        .put_manifest(&missing_digest(), &image.document())
        .send()
        .await?;
    answer.expect_error(&[400], &["DIGEST_INVALID"])?;
    Ok(())
}

async fn a_malformed_digest_should_be_digest_invalid(registry: Registry) -> Result<(), Failure> {
    let upload = registry.repository().start_upload().await?;
    let answer = upload
        .put("sha256:short", Blob::random(1000).bytes)
        .send()
        .await?;
    answer.expect_error(&[400], &["DIGEST_INVALID"])?;
    Ok(())
}

async fn a_malformed_manifest_should_be_manifest_invalid(
    registry: Registry,
) -> Result<(), Failure> {
    let document = Document::raw(OCI_IMAGE, "{\"schemaVersion\": 2, \"config\": ");
    let answer = registry
        .repository()
        .put_manifest("bad", &document)
        .send()
        .await?;
    answer.expect_error(&[400], &["MANIFEST_INVALID"])?;
    Ok(())
}
